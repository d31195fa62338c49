// Errors of jobs in programs of their own: what a user sees, with the lines of the user's program and no others.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "onestep-stack-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** The lines of the program that the printed stack names, by their marks, in order. */
  readonly marks: readonly string[];
}

/** Runs a program in a process of its own. A mark is a comment at the end of a line: `await job(1); //@call`. */
async function run(body: string): Promise<Outcome> {
  const file = join(folder, `program-${Math.random().toString(36).slice(2)}.mjs`);
  const program = `import * as flow from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
const { tp } = flow;
${body}`;
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  const [code] = (await once(child, "close")) as [number | null];
  const source = program.split("\n");
  const frames = err.split("\n").filter((line) => /^\s+at /.test(line));
  const marks = frames.flatMap((frame) => {
    const line = /program-\w+\.mjs:(\d+):\d+/.exec(frame)?.[1];
    if (line === undefined) return [frame.trim()];
    return [/\/\/@(\w+)/.exec(source[Number(line) - 1]!)?.[1] ?? `line ${line}: ${source[Number(line) - 1]}`];
  });
  return { code, out, err, marks };
}

const job = `const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2])], (x) => x.add(1));`;
const numbers = `flow.gather(flow.constant(1, { dtype: flow.float, shape: [3] }), i)`;
const index = `const index = flow.globalFunction({ name: "index", returns: tp.Numpy }, [tp.Numpy.Placeholder([1], { dtype: flow.int32 })], (i) => ${numbers});`;

describe("a forgotten await", () => {
  test("of a call with a wrong argument ends the program with the error and its line", async () => {
    const { code, err, marks } = await run(`${job}
job([1, 2, 3]); //@call`);
    expect(code).toBe(1);
    expect(err).toContain("FlowError: job 'job', argument 0: got an array of 3, expected an array of 2 (float32[2])");
    expect(err).toContain("code: 'E_SHAPE'");
    expect(marks).toEqual(["call"]);
  });

  test("of a call whose step fails, inside an async function", async () => {
    const { code, err, marks } = await run(`${index}
async function work() {
  index([0]);
  index([5]); //@call
}
await work(); //@outer
await new Promise((resolve) => setTimeout(resolve, 5000));`);
    expect(code).toBe(1);
    expect(err).toContain("[E_INDEX]");
    expect(marks).toEqual(["call", "outer"]);
  });

  test("of init, whose job cannot be traced", async () => {
    const { code, err, marks } = await run(`flow.globalFunction({ type: "train", name: "t" }, () => null);
new flow.train.CheckPoint().init(); //@call`);
    expect(code).toBe(1);
    expect(err).toContain("job 't'");
    expect(err).toContain("[E_OPTIMIZER]");
    expect(marks).toEqual(["call"]);
  });

  test("of a job with tp.Callback, before its callback is given", async () => {
    const { code, err, marks } = await run(
      `const job = flow.globalFunction({ name: "job", returns: tp.Callback(tp.Numpy) }, [tp.Numpy.Placeholder([2])], (x) => x);
job([1]); //@call`,
    );
    expect(code).toBe(1);
    expect(err).toContain("job 'job', argument 0: got an array of 1");
    expect(marks).toEqual(["call"]);
  });
});

describe("stacks", () => {
  test("end at the user's line, also across await", async () => {
    const { code, marks } = await run(`${index}
async function inner() {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return await index([9]); //@call
}
async function outer() {
  return await inner(); //@inner
}
await index([0]);
await outer(); //@outer`);
    expect(code).toBe(1);
    expect(marks).toEqual(["call", "inner", "outer"]);
  });

  test("of an error in tracing name the line in the job's function, then the call", async () => {
    const { code, err, marks } = await run(`const model = (x) => {
  return flow.matmul(x, x); //@op
};
const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 3])], (x) => {
  return model(x); //@model
});
async function work() {
  await job([[1, 2, 3], [4, 5, 6]]); //@call
}
await work(); //@outer`);
    expect(code).toBe(1);
    expect(err).toContain("matmul");
    expect(marks).toEqual(["op", "model", "call", "outer"]);
  });

  test("of an error in tracing name the operator method's line, at init too", async () => {
    const { code, marks } =
      await run(`flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 3]), tp.Numpy.Placeholder([4])], (x, y) => {
  return x.add(y); //@op
});
await new flow.train.CheckPoint().init(); //@call`);
    expect(code).toBe(1);
    expect(marks).toEqual(["op", "call"]);
  });

  test("of an error in a layer, an optimizer and a scope name the user's lines", async () => {
    for (const [body, code] of [
      [`flow.layers.dense(x, 0.5); //@op`, "E_ARGUMENT"],
      [`new flow.optimizer.SGD(0.1); //@op`, "E_ARGUMENT"],
      [`flow.scope.placement("tpu", "0:0", () => x); //@op`, "E_DEVICE"],
      [`flow.watch(3); //@op`, "E_ARGUMENT"],
      [`flow.gradients(x, x, { unconected: 1 }); //@op`, "E_OPTION"],
    ] as const) {
      const outcome =
        await run(`const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [tp.Numpy.Placeholder([2, 3])], (x) => {
  ${body}
  return x;
});
await job([[1, 2, 3], [4, 5, 6]]); //@call`);
      expect(outcome.err).toContain(`[${code}]`);
      expect(outcome.marks).toEqual(["op", "call"]);
    }
  });

  test("of wrong declarations, settings and checkpoints name the user's line", async () => {
    for (const body of [
      `flow.globalFunction({ name: "job", retuns: tp.Numpy }, () => null); //@call`,
      `tp.Numpy.Placeholder([0]); //@call`,
      `flow.config.engine("onx"); //@call`,
      `flow.functionConfig().defaultDataTyp(flow.float); //@call`,
      `${job} await new flow.train.CheckPoint().load("./nothing"); //@call`,
      `${job} await flow.experimental.getInterfaceBlobValue("w"); //@call`,
      `${job} await job.step(); //@call`,
      `await flow.data.loadMnist(7); //@call`,
    ]) {
      const { code, err, marks } = await run(body);
      expect(code).toBe(1);
      expect(err).toContain("FlowError");
      expect(marks).toEqual(["call"]);
    }
  });
});

describe("errors in callbacks reach the user:", () => {
  const callbackJob = `const job = flow.globalFunction({ name: "job", returns: tp.Callback(tp.Numpy) }, [tp.Numpy.Placeholder([2])], (x) => x);`;
  const boom = `throw new Error("boom");`;

  test("of tp.Callback, awaited and not, in plain and async callbacks", async () => {
    const awaited = await run(`${callbackJob}
for (const callback of [() => { ${boom} }, async () => { ${boom} }])
  try { await job([1, 2])(callback); console.log("missed"); } catch (error) { console.log(error.message); }`);
    expect(awaited).toMatchObject({ code: 0, out: "boom\nboom\n" });
    for (const callback of [`() => { ${boom} }`, `async () => { ${boom} }`]) {
      const { code, err, marks } = await run(`${callbackJob}
job([1, 2])(${callback}); //@callback
await flow.syncDefaultSession();
await new Promise((resolve) => setTimeout(resolve, 5000));`);
      expect(code).toBe(1);
      expect(err).toContain("Error: boom");
      expect(marks[0]).toBe("callback");
    }
  });

  test("of tp.Callback, whose job fails: the callback is not called", async () => {
    const { code, out, err, marks } = await run(`${callbackJob}
job([1, 2, 3])(() => console.log("called")); //@call`);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("job 'job', argument 0: got an array of 3");
    expect(marks).toEqual(["call"]);
  });

  test("of asyncGet", async () => {
    const free = `const job = flow.globalFunction({ name: "job" }, [tp.Numpy.Placeholder([2])], (x) => x);`;
    const thrown = await run(`${free}
job([1, 2]).asyncGet(() => { ${boom} }); //@callback`);
    expect(thrown.code).toBe(1);
    expect(thrown.err).toContain("Error: boom");
    expect(thrown.marks[0]).toBe("callback");
    const failed = await run(`${free}
job([1]).asyncGet(() => console.log("called")); //@call`);
    expect(failed).toMatchObject({ code: 1, out: "", marks: ["call"] });
  });

  test("of watch and watchDiff handlers, plain and async", async () => {
    for (const watch of ["watch", "watchDiff"])
      for (const handler of [`() => { ${boom} }`, `async () => { ${boom} }`]) {
        const { code, err, marks } =
          await run(`const job = flow.globalFunction({ type: "train", name: "job", returns: tp.Numpy }, () => {
  const w = flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });
  new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [1])).minimize(w);
  flow.${watch}(w, ${handler}); //@handler
  return w;
});
await new flow.train.CheckPoint().init();
job();
await new Promise((resolve) => setTimeout(resolve, 5000));`);
        expect(code).toBe(1);
        expect(err).toContain("Error: boom");
        expect(marks[0]).toBe("handler");
      }
  });
});
