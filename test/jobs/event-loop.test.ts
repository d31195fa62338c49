import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as flow from "onestep";
import { expect, test } from "vitest";
import { tinyImages, tinyJob, tinyLabels } from "./support.js";

test("a timer of 10 ms keeps ticking while tiny steps run back to back", async () => {
  const job = tinyJob();
  await new flow.train.CheckPoint().init();
  for (let i = 0; i < 50; i++) await job(tinyImages, tinyLabels);
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    gaps.push(performance.now() - last);
    last = performance.now();
  }, 10);
  const until = performance.now() + 400;
  let steps = 0;
  while (performance.now() < until) {
    await job(tinyImages, tinyLabels);
    steps++;
  }
  clearInterval(timer);
  expect(steps).toBeGreaterThan(100);
  expect(gaps.length).toBeGreaterThan(15);
});

const program = (body: string): string => `
  import * as flow from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
  const { tp } = flow;
  const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => x.add(1));
  ${body}`;

function run(body: string): ReturnType<typeof spawn> {
  return spawn(process.execPath, ["--input-type=module", "--eval", program(body)], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function outcome(child: ReturnType<typeof spawn>): Promise<{ code: number | null; out: string; err: string }> {
  let [out, err] = ["", ""];
  child.stdout!.on("data", (data) => (out += data));
  child.stderr!.on("data", (data) => (err += data));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

test("SIGINT is seen while steps run", async () => {
  const child = run(
    `process.on("SIGINT", () => { console.log("seen"); process.exit(130); }); console.log("go"); for (;;) await job([1, 2]);`,
  );
  const end = outcome(child);
  await once(child.stdout!, "data");
  setTimeout(() => child.kill("SIGINT"), 200);
  const { code, out } = await end;
  expect(out).toContain("seen");
  expect(code).toBe(130);
});

test("a script that ends with calls queued finishes them, and then exits by itself", async () => {
  const { code, out } = await outcome(
    run(`for (let i = 0; i < 3; i++) void job([i, i]).then((y) => console.log(y.toArray().join()));`),
  );
  expect(out.trim().split("\n")).toEqual(["1,1", "2,2", "3,3"]);
  expect(code).toBe(0);
});

test("random ops have their thread in a program given by --eval too", async () => {
  const { code, out, err } = await outcome(
    run(`const drop = flow.globalFunction({ type: "train", name: "drop", returns: tp.Numpy }, [tp.Numpy.Placeholder([64])], (x) => {
      const w = flow.getVariable("w", { shape: [64], initializer: flow.onesInitializer() });
      const y = flow.nn.dropout(x.mul(w), 0.5, { name: "d" });
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(y);
      return y;
    });
    await new flow.train.CheckPoint().init();
    console.log((await drop(new Float32Array(64).fill(1))).toArray().some((v) => v === 0));`),
  );
  expect([out.trim(), err, code]).toEqual(["true", "", 0]);
});

test("a forgotten await surfaces its error", async () => {
  const { code, err } = await outcome(run(`void job([1, 2, 3]);`));
  expect(code).not.toBe(0);
  expect(err).toContain("job 'job', argument 0: got an array of 3, expected an array of 2");
});

test("a second copy of the package in one process is an error", async () => {
  const { err } = await outcome(
    run(
      `await job([1, 2]); globalThis[Symbol.for("onestep.copy")] = "file:///elsewhere.js"; flow.globalFunction({ name: "b" }, () => null);`,
    ),
  );
  expect(err).toContain("onestep is loaded twice in this process");
});
