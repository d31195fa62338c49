// A worker of the examples' runner: imports one program after the other, each in its own folder and with a fresh session, and
// reports what became of it.
import { mkdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import * as flow from "onestep";

const { NdArray, Blob, tp } = flow;

/** A value as plain arrays, numbers and objects. */
function plain(value) {
  if (value instanceof NdArray) return value.toArray();
  if (ArrayBuffer.isView(value)) return [...value].map(plain);
  if (typeof value === "bigint") return Number(value);
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (Object.prototype.toString.call(value) === "[object Object]")
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
  return value;
}

/** Numbers as far as they are usually written out: 4 decimals. */
function same(got, expected) {
  if (typeof expected === "number" && typeof got === "number")
    return Object.is(got, expected) || Math.abs(got - expected) <= 6e-5 * Math.max(1, Math.abs(expected));
  if (expected instanceof RegExp) return typeof got === "string" && expected.test(got);
  if (typeof got !== "object" || typeof expected !== "object" || got === null || expected === null)
    return got === expected;
  const keys = Object.keys(expected);
  return (
    Array.isArray(got) === Array.isArray(expected) &&
    keys.length === Object.keys(got).length &&
    keys.every((key) => key in got && same(got[key], expected[key]))
  );
}

let checks = 0;
globalThis.__check = (value, expected, line) => {
  checks++;
  const [got, wanted] = [plain(value), plain(expected())];
  if (!same(got, wanted))
    throw new Error(`line ${line}: got ${JSON.stringify(got)}, the example says ${JSON.stringify(wanted)}`);
  return value;
};
globalThis.__throws = async (run, code, line) => {
  checks++;
  try {
    await run();
  } catch (error) {
    if (error?.code === code) return;
    throw new Error(`line ${line}: threw '${error}', the example says ${code}`);
  }
  throw new Error(`line ${line}: threw nothing, the example says ${code}`);
};
globalThis.__job = async (feeds, fn) => {
  const expectations = [];
  const job = flow.globalFunction(
    { type: "predict", name: "example" },
    feeds.map(({ dtype, value }) => tp.Numpy.Placeholder(shapeOf(value), { dtype })),
    (...blobs) => {
      const out = (value, expected, line) => {
        const isBlobs =
          value instanceof Blob || (Array.isArray(value) && value.every((entry) => entry instanceof Blob));
        if (isBlobs) expectations.push({ value, expected, line });
        else globalThis.__check(value, expected, line);
        return value;
      };
      fn(out, ...blobs);
      return expectations.map(({ value }) => value);
    },
  );
  await new flow.train.CheckPoint().init();
  const values = await job(...feeds.map(({ value }) => value));
  for (const [i, { expected, line }] of expectations.entries()) globalThis.__check(values[i], expected, line);
};

const shapeOf = (value) => (Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : []);

let unhandled;
process.on("unhandledRejection", (error) => {
  unhandled ??= error;
});

process.on("message", async ({ program, folder }) => {
  checks = 0;
  unhandled = undefined;
  let error;
  try {
    mkdirSync(folder, { recursive: true });
    process.chdir(folder);
    await import(pathToFileURL(program).href);
    await flow.syncDefaultSession();
    await new Promise((resolve) => setImmediate(resolve));
    error = unhandled;
  } catch (thrown) {
    error = thrown;
  }
  await flow.clearDefaultSession();
  process.send({
    checks,
    ...(error === undefined ? {} : { error: { message: String(error?.message ?? error), code: error?.code } }),
  });
});
