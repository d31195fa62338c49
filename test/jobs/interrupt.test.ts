import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as flow from "onestep";
import { expect, test } from "vitest";
import { hashOf, runProgram } from "./programs/run.js";
import type { Plan } from "./programs/train.js";
import { failure, scratch } from "./support.js";

// Windows has no signals to send: process.kill ends the program there.
const here = process.platform === "win32" ? test.skip : test;

for (const [signal, code, more] of [
  ["SIGTERM", 143, { source: "arrays" }],
  ["SIGINT", 130, { source: "indexed", slow: true }],
  ["SIGTERM", 143, { source: "arrays", slow: true, sync: true }],
  ["SIGINT", 130, { source: "stream" }],
] as const)
  here(
    `${signal} while training on ${JSON.stringify(more)}: the step is finished and saved, exit ${code}, and the resumed run has the same bits`,
    async () => {
      const folder = scratch();
      const plan: Plan = {
        engine: "onnx",
        optimizer: "momentum",
        seed: 7,
        steps: 10 ** 9,
        final: join(folder, "never"),
        ...more,
      };
      const root = join(folder, "root");
      const stopped = await runProgram("train", { ...plan, root, interrupt: true }, (line, child) => {
        if (line.startsWith("9 ")) child.kill(signal);
      });
      expect([stopped.code, stopped.signal]).toEqual([code, null]);
      expect(stopped.stderr).toBe(`\n${signal}: finishing the step; once more to exit at once\n`);
      const manager = new flow.train.SimpleCheckPointManager(root);
      expect(await manager.listCheckpoints()).toHaveLength(2);

      const steps = stopped.lines.length + 8;
      const straight = await runProgram("train", { ...plan, steps, final: join(folder, "straight") });
      const resumed = await runProgram("train", { ...plan, steps, root, final: join(folder, "resumed") });
      expect([straight.code, resumed.code]).toEqual([0, 0]);
      // A loop that cannot wait (`for`) may print steps queued behind the save before the process ends.
      const from = Number(resumed.lines[0]!.split(" ")[0]) - 1;
      expect(from).toBeGreaterThanOrEqual(9);
      if (!("sync" in more)) expect(from).toBe(stopped.lines.length);
      expect([...straight.lines.slice(0, from), ...resumed.lines]).toEqual(straight.lines);
      expect(hashOf(join(folder, "resumed"))).toBe(hashOf(join(folder, "straight")));
    },
    60_000,
  );

const signalled = (name: string, signal: NodeJS.Signals) =>
  runProgram("interrupt", name, (line, child) => {
    if (line === "ready") child.kill(signal);
  });

here("an idle process is not kept alive", async () => {
  const { code, lines, stderr } = await runProgram("interrupt", "idle");
  expect([code, lines, stderr]).toEqual([0, ["ready"], ""]);
});

here(
  "callbacks run in turn; a removed one, by call or `using`, does not; without any the signal does what it always did",
  async () => {
    const several = await signalled("several", "SIGINT");
    expect([several.code, several.lines]).toEqual([130, ["ready", "first", "second"]]);
    const removed = await signalled("removed", "SIGTERM");
    expect([removed.code, removed.signal, removed.lines]).toEqual([null, "SIGTERM", ["ready"]]);
  },
);

here("a callback that fails is told, exit 1", async () => {
  const { code, stderr } = await signalled("failing", "SIGTERM");
  expect(code).toBe(1);
  expect(stderr).toMatch(/onInterrupt: Error: the disk is full\n {4}at /);
});

here("a second signal exits at once with a note; the same key press delivered twice does not", async () => {
  const { code, stderr, lines } = await runProgram("interrupt", "hanging", async (line, child) => {
    if (line === "ready") child.kill("SIGINT");
    if (line !== "saving") return;
    child.kill("SIGINT");
    await wait(600);
    child.kill("SIGINT");
  });
  expect([code, lines]).toEqual([130, ["ready", "saving"]]);
  expect(stderr).toBe(
    "\nSIGINT: finishing the step; once more to exit at once\n\nSIGINT again: exiting at once, without what was not finished\n",
  );
  const other = await runProgram("interrupt", "hanging", (line, child) => {
    if (line === "ready") child.kill("SIGINT");
    if (line === "saving") child.kill("SIGTERM");
  });
  expect(other.code).toBe(143);
});

here("a loop that is left instead of asking for another batch is a boundary too", async () => {
  const { code, lines } = await signalled("left", "SIGTERM");
  expect([code, lines]).toEqual([143, ["ready", "left 1", "saved"]]);
});

test("what is no function is refused", async () => {
  expect((await failure(() => flow.train.onInterrupt(undefined as never))).message).toMatch(
    /got undefined, expected a function/,
  );
  const before = process.listenerCount("SIGTERM");
  const stop = flow.train.onInterrupt(() => {});
  expect(process.listenerCount("SIGTERM")).toBe(before + 1);
  stop();
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
