import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { mlp } from "../../examples/support/mlp.js";
import type { Probe, Question } from "./serve-probe.js";

const folder = mkdtempSync(join(tmpdir(), "onestep-serve-"));
const model = join(folder, "model");
const PIXELS = 28 * 28;

/** Test images, and what a direct call of the job says of each. */
const images: number[][] = [];
const digits: number[] = [];
const probabilities: number[] = [];

beforeAll(async () => {
  // What the loop waits for is the engine that servers use, whichever one the other tests run on.
  flow.config.engine("onnx");
  flow.config.seed(1);
  const job = flow.globalFunction(
    { name: "direct", returns: tp.Numpy },
    [tp.Numpy.Placeholder([200, 1, 28, 28])],
    (x) => flow.nn.softmax(mlp(x)),
  );
  const checkPoint = new flow.train.CheckPoint();
  await checkPoint.init();
  await checkPoint.save(model);
  const [, [[batch]]] = await flow.data.loadMnist(100, 200);
  const result = await job(batch!);
  for (let i = 0; i < 200; i++) {
    images.push(Array.from(batch!.data.subarray(i * PIXELS, (i + 1) * PIXELS)));
    digits.push(result.at(i).argmax());
    probabilities.push(Math.max(...(result.at(i).data as Float32Array)));
  }
  await flow.clearDefaultSession();
  expect(new Set(digits).size).toBeGreaterThan(2);
});

const servers: ChildProcess[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

/** `examples/serve.ts` in a process of its own, once it listens. */
async function serve(...args: string[]) {
  const child = fork(local("../../examples/serve.ts"), ["--port", "0", "--model", model, ...args], {
    execArgv: ["--expose-gc", "--import", tsx, "--import", new URL("./serve-probe.ts", import.meta.url).href],
    env: { ...process.env, ONESTEP_ENGINE: "onnx" },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  servers.push(child);
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  let [out, err] = ["", ""];
  child.stdout!.on("data", (data) => (out += data));
  child.stderr!.on("data", (data) => (err += data));
  while (!out.includes("listening on ")) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${out}${err}`);
    await sleep(10);
  }
  const url = `${/http:\S+/.exec(out)![0]}/classify`;
  const ask = async (question: Question): Promise<Probe> => {
    const reply = once(child, "message") as Promise<[Probe]>;
    child.send(question);
    return (await reply)[0];
  };
  const waiting = async (calls: number): Promise<void> => {
    while ((await ask("probe")).waiting !== calls) await sleep(5);
  };
  return { child, exited, url, ask, waiting, out: () => out, err: () => err };
}

const post = (url: string, body: unknown, options: RequestInit = {}): Promise<Response> =>
  fetch(url, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), ...options });

/** Asks for some images, from `first` on, and checks the answer. */
async function classify(url: string, first: number, count = 1): Promise<void> {
  const asked = Array.from({ length: count }, (_, i) => (first + i) % images.length);
  const response = await post(url, { images: asked.map((i) => images[i]) });
  await check(response, asked);
}

async function check(response: Response, asked: readonly number[]): Promise<void> {
  expect(response.status).toBe(200);
  const answer = (await response.json()) as { digits: number[]; probabilities: number[] };
  expect(answer.digits).toEqual(asked.map((i) => digits[i]));
  for (const [n, i] of asked.entries()) expect(answer.probabilities[n]).toBeCloseTo(probabilities[i]!, 5);
}

test("200 requests at once, five times: each answer is right, memory stays, the event loop turns", async () => {
  const server = await serve();
  await server.ask("reset");
  const memory: number[] = [];
  for (let round = 0; round < 5; round++) {
    // Batches of 1 to 5 images.
    await Promise.all(Array.from({ length: 200 }, (_, i) => classify(server.url, i + round, 1 + ((i + round) % 5))));
    memory.push((await server.ask("probe")).rss / 2 ** 20);
  }
  const { delay, own, waiting } = await server.ask("probe");
  const text = ({ p99, max }: Probe["delay"]): string => `p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`;
  console.log(
    `event loop delay ${text(delay)}; without waiting for a core ${text(own)}; RSS ${memory.map((mib) => mib.toFixed(0)).join(" ")} MiB`,
  );
  expect(waiting).toBe(0);
  // What else this machine computes is not the server's doing.
  expect(own.p99).toBeLessThan(20);
  expect(memory[4]! - memory[0]!).toBeLessThan(64);
  expect(server.err()).toBe("");
});

test("a full queue answers 503 with Retry-After; whoever tries again is served, none is lost", async () => {
  const server = await serve("--queue", "8");
  await server.ask("block");
  let refused = 0;
  let released = false;
  const patient = async (i: number): Promise<void> => {
    for (;;) {
      const response = await post(server.url, { images: [images[i]] });
      if (response.status !== 503) return await check(response, [i]);
      expect(response.headers.get("Retry-After")).toBe("1");
      expect(await response.json()).toEqual({ error: "too many requests are waiting; try again" });
      refused++;
      while (!released) await sleep(5);
      await sleep(1 + (i % 7));
    }
  };
  const all = Promise.all(Array.from({ length: 50 }, (_, i) => patient(i)));
  while (refused < 42) await sleep(5);
  expect((await server.ask("probe")).waiting).toBe(8);
  expect(refused).toBe(42);
  released = true;
  await server.ask("release");
  await all;
  expect((await server.ask("probe")).waiting).toBe(0);
  expect(server.err()).toBe("");
});

test("clients that hang up leave the queue", async () => {
  const server = await serve();
  await server.ask("block");
  const hangUp = new AbortController();
  const gone = Array.from({ length: 15 }, (_, i) =>
    post(server.url, { images: [images[i]] }, { signal: hangUp.signal }).then(
      () => "answered",
      (error: Error) => error.name,
    ),
  );
  const staying = Promise.all(Array.from({ length: 5 }, (_, i) => classify(server.url, 20 + i)));
  await server.waiting(20);
  hangUp.abort();
  expect(await Promise.all(gone)).toEqual(Array(15).fill("AbortError"));
  await server.waiting(5);
  await server.ask("release");
  await staying;
  // One that hangs up in the middle of its body.
  const half = new AbortController();
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"images": ['));
      setTimeout(() => half.abort(), 50);
    },
  });
  await expect(
    fetch(server.url, { method: "POST", body, duplex: "half", signal: half.signal } as RequestInit),
  ).rejects.toThrow();
  await classify(server.url, 0);
  expect(server.err()).toBe("");
});

test.skipIf(process.platform === "win32")("SIGTERM finishes what was asked for, and then ends", async () => {
  const server = await serve();
  await server.ask("block");
  const asked = Promise.all(Array.from({ length: 5 }, (_, i) => classify(server.url, i)));
  await server.waiting(5);
  server.child.kill("SIGTERM");
  while (!server.out().includes("SIGTERM: finishing")) await sleep(5);
  await expect(classify(server.url, 0)).rejects.toThrow("fetch failed");
  await server.ask("release");
  await asked;
  expect(await server.exited).toEqual([0, null]);
  expect(server.out()).toContain("closed");
});

test("wrong requests are answered with what was got and what was expected", async () => {
  const server = await serve();
  const blank = Array<number>(PIXELS).fill(0);
  const cases: readonly [unknown, number, string][] = [
    ["{", 400, "the body is no JSON: "],
    [null, 400, 'expected {"images": [...]}'],
    [{ images: 3 }, 400, 'expected {"images": [...]}'],
    [{ images: [] }, 400, "got 0 images, expected 1 to 128"],
    [{ images: Array(129).fill([]) }, 400, "got 129 images, expected 1 to 128"],
    [{ images: [blank, [1, 2, 3]] }, 400, "image 1 has 3 numbers, expected 784: 28 rows of 28"],
    [{ images: [7] }, 400, "image 0 has 0 numbers, expected 784: 28 rows of 28"],
    [{ images: [[...blank.slice(1), "1"]] }, 400, 'image 0, pixel 783 is "1", expected a number from 0 to 1'],
    [{ images: [[255, ...blank.slice(1)]] }, 400, "image 0, pixel 0 is 255, expected a number from 0 to 1"],
    ["x".repeat(5 << 20), 413, "the body has 5242880 bytes, expected at most 4194304"],
  ];
  for (const [body, status, message] of cases) {
    const response = await post(server.url, body);
    expect([response.status, ((await response.json()) as { error: string }).error]).toEqual([
      status,
      expect.stringContaining(message),
    ]);
  }
  const get = await fetch(server.url);
  expect([get.status, get.headers.get("Allow")]).toEqual([405, "POST"]);
  expect((await fetch(new URL("/", server.url))).status).toBe(404);
  await classify(server.url, 0);
  expect(server.err()).toBe("");
});
