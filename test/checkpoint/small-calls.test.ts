import { constants, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { lookAt, OpenFile, openFile } from "#src/checkpoint/small-calls.js";

const folder = mkdtempSync(join(tmpdir(), "small-calls-"));
const path = (name: string): string => join(folder, name);
writeFileSync(
  path("bytes"),
  Uint8Array.from({ length: 100_000 }, (_, i) => i * 7),
);
writeFileSync(path("empty"), "");
mkdirSync(path("folder"));
symlinkSync(path("bytes"), path("link"));
afterAll(() => rmSync(folder, { recursive: true }));

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const within = async <T>(name: string, work: (file: OpenFile) => Promise<T>): Promise<T> => {
  const file = await openFile(path(name), flags);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
};
const read = (length: number, position: number) => async (file: OpenFile) => {
  const bytes = new Uint8Array(length);
  return [await file.read(bytes, position), bytes.at(0), bytes.at(-1)];
};
const calls: Readonly<Record<string, readonly [() => Promise<unknown>, unknown]>> = {
  size: [async () => (await lookAt(path("bytes"))).size, 100_000],
  link: [async () => (await lookAt(path("link"))).isSymbolicLink(), true],
  absent: [() => lookAt(path("absent")), "ENOENT: no such file or directory, lstat"],
  below: [() => lookAt(path("bytes/below")), "ENOTDIR: not a directory, lstat"],
  "open absent": [() => openFile(path("absent"), flags), "ENOENT: no such file or directory, open"],
  "open link": [() => openFile(path("link"), flags), "ELOOP: too many symbolic links encountered, open"],
  stat: [() => within("bytes", async (file) => (await file.stat()).size), 100_000],
  start: [() => within("bytes", read(3, 0)), [3, 0, 14]],
  middle: [() => within("bytes", read(1000, 1001)), [1000, (1001 * 7) % 256, (2000 * 7) % 256]],
  end: [() => within("bytes", read(10, 99_999)), [1, (99_999 * 7) % 256, 0]],
  beyond: [() => within("bytes", read(10, 200_000)), [0, 0, 0]],
  much: [() => within("bytes", read(100_000, 0)), [100_000, 0, (99_999 * 7) % 256]],
  empty: [() => within("empty", read(1, 0)), [0, 0, 0]],
  "read folder": [() => within("folder", read(1, 0)), "EISDIR: illegal operation on a directory, read"],
  "read closed": [() => new OpenFile(1_000_000).read(new Uint8Array(1), 0), "EBADF: bad file descriptor, read"],
  "stat closed": [() => new OpenFile(1_000_000).stat(), "EBADF: bad file descriptor, fstat"],
  "close closed": [() => new OpenFile(1_000_000).close(), "EBADF: bad file descriptor, close"],
};

/** What came of a call, and whether it was made here: a thread's answer comes with the event loop, not while it stands. */
async function made(work: () => Promise<unknown>): Promise<{ readonly outcome: unknown; readonly here: boolean }> {
  let settled = false;
  const outcome = work()
    .catch((error: NodeJS.ErrnoException) => error.message.replace(/ '.*'$/, ""))
    .finally(() => {
      settled = true;
    });
  for (let i = 0; i < 100; i++) await null;
  const here = settled;
  return { outcome: await outcome, here };
}

test.skipIf(process.platform === "win32").each(Object.entries(calls))(
  "%s: the same here and on a thread, and no file stays open",
  async (name, [work, expected]) => {
    const open = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
    const before = open();
    await sleep(20);
    const first = await made(work);
    expect(first).toEqual({ outcome: expected, here: false });
    let here = false;
    for (let i = 0; i < 2000 && !here; i++) {
      await turn();
      const { outcome, here: now } = await made(work);
      expect(outcome).toEqual(expected);
      here = now;
    }
    expect(here).toBe(name !== "much");
    expect(open()).toBe(before);
  },
);

test("the event loop turns while calls are made here", async () => {
  let turns = 0;
  let on = true;
  const count = (): void => {
    turns++;
    if (on) setImmediate(count);
  };
  count();
  for (const end = performance.now() + 100; performance.now() < end; ) await lookAt(folder);
  on = false;
  expect(turns).toBeGreaterThan(5);
});
