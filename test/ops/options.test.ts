import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as flow from "onestep";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { textOfValue } from "#src/core/errors.js";
import { type Parameter, type PublicFunction, publicFunctions } from "./public-api.js";

// What TypeScript tells its users at compile time, everybody is told at run time. Which functions there are, and what
// options and Blobs they take, is read from the built declaration files: a new function is here without being listed.
const functions = publicFunctions();
const isBlobs = ({ kind }: Parameter): boolean => kind === "blob" || kind === "blobs" || kind === "operand";
const takesOptions = functions.filter(({ parameters }) => parameters.some(({ kind }) => kind === "options"));
const takesBlobs = functions.filter(({ parameters }) =>
  parameters.some((p) => isBlobs(p) || p.options.some(({ blob }) => blob)),
);

// What calls of the right kind may write.
const folder = mkdtempSync(join(tmpdir(), "onestep-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Values = readonly unknown[];
const like = (shape: readonly number[], dtype: flow.DType = "float32"): flow.Blob => flow.constant(1, { dtype, shape });
const x = (): flow.Blob => like([3, 3]);
const vector = (): flow.Blob => like([3]);
const ids = (): flow.Blob => like([3], "int32");
const image = (): flow.Blob => like([1, 2, 4, 4]);
const counter = (name: string, size: number): flow.Blob =>
  flow.getVariable(name, {
    shape: [size],
    dtype: "int32",
    initializer: flow.zerosInitializer({ dtype: "int32" }),
    trainable: false,
  });
const schedule = (): flow.optimizer.Schedule => new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);

const optimizers = ["SGD", "SGDW", "Adam", "AdamW", "LazyAdam", "LAMB", "LARS", "RMSProp"] as const;

/** Arguments that are right, by path or else by declared name; where there is no entry, a Blob of shape [3, 3] for each Blob. */
const right: Readonly<Record<string, () => Values>> = {
  "layers.conv1d": () => [like([1, 2, 4]), 4, 3],
  "layers.conv2d": () => [image(), 4, 3],
  "layers.conv3d": () => [like([1, 2, 4, 4, 4]), 4, 3],
  "layers.dense": () => [x(), 4],
  "nn.batchNormalization": () => [x(), vector(), vector()],
  "nn.conv1d": () => [like([1, 2, 4]), like([4, 2, 3]), 1, "SAME"],
  "nn.conv2d": () => [image(), like([4, 2, 3, 3]), 1, "SAME"],
  "nn.conv3d": () => [like([1, 2, 4, 4, 4]), like([4, 2, 3, 3, 3]), 1, "SAME"],
  avgPool1d: () => [like([1, 2, 4]), 2, 2, "VALID"],
  avgPool2d: () => [image(), 2, 2, "VALID"],
  avgPool3d: () => [like([1, 2, 4, 4, 4]), 2, 2, "VALID"],
  biasAdd: () => [x(), vector()],
  broadcastTo: () => [x(), [2, 3, 3]],
  cast: () => [x(), "float64"],
  categoricalOrdinalEncode: () => [counter("table", 8), counter("size", 1), ids()],
  categoricalOrdinalEncoder: () => [ids(), 4],
  constant: () => [1],
  constantLike: () => [x(), 1],
  constantScalar: () => [1],
  compatConv2d: () => [image(), like([4, 2, 3, 3]), 1, "SAME"],
  conv2dTranspose: () => [image(), like([2, 3, 3, 3]), [1, 3, 6, 6]],
  decodeRandom: () => [[2], "float32"],
  dropout: () => [x(), 0.5],
  dynamicReshape: () => [x(), [9]],
  expandDims: () => [x(), 0],
  gather: () => [x(), ids()],
  gatherNd: () => [x(), like([3, 1], "int32")],
  getVariable: () => ["v"],
  kaimingInitializer: () => [[3, 3]],
  maskedFill: () => [x(), x(), 1],
  layerNormGrad: () => [x(), x(), vector(), vector()],
  layerNormParamGrad: () => [x(), x(), vector()],
  maxPool1d: () => [like([1, 4, 2]), 2, 2, "VALID"],
  maxPool2d: () => [image(), 2, 2, "VALID"],
  maxPool3d: () => [like([1, 2, 4, 4, 4]), 2, 2, "VALID"],
  moments: () => [x(), [0]],
  ofrecordRawDecoder: () => [flow.data.ofrecordReader("folder"), "feature", [2], "float32"],
  ofrecordReader: () => ["folder"],
  oneHot: () => [ids(), 3],
  pad: () => [like([3]), [[1, 1]]],
  padGrad: () => [like([3]), [[1, 1]]],
  Placeholder: () => [[2]],
  randomMaskLike: () => [x(), 0.5],
  reshape: () => [x(), [9]],
  reverse: () => [x(), 0],
  samePadding: () => [image(), "SAME_LOWER", "NCHW", 2, 1, 1],
  scatterNd: () => [like([3, 1], "int32"), x(), [4, 3]],
  slice: () => [x(), [0, 0], [1, 1]],
  sliceV2: () => [x(), [[0, 1, 1]]],
  sparseCrossEntropy: () => [ids(), x()],
  sparseSoftmaxCrossEntropyWithLogits: () => [ids(), x()],
  tensorScatterNdAdd: () => [x(), like([3, 1], "int32"), x()],
  tensorScatterNdUpdate: () => [x(), like([3, 1], "int32"), x()],
  tile: () => [x(), [1, 2]],
  uniqueWithCounts: () => [vector()],
  torchConv2dTranspose: () => [image(), like([2, 3, 3, 3])],
  unsortedBatchSegmentSum: () => [x(), like([3, 3], "int32"), 2],
  unsortedSegmentSum: () => [x(), ids(), 2],
  unsortedSegmentSumLike: () => [x(), ids(), x()],
  upsample2d: () => [image()],
  assign: () => [flow.getVariable("v", { shape: [2], initializer: flow.zerosInitializer() }), like([2])],
  findOrCreateModule: () => ["module", () => 1],
  gradients: () => {
    const blob = x();
    return [flow.math.square(blob), blob];
  },
  ...Object.fromEntries(optimizers.map((name) => [name, () => [schedule()]])),
  CosineScheduler: () => [0.1, 10],
  CustomScheduler: () => ["rate/out"],
  ExponentialScheduler: () => [0.1, 10, 0.5],
  InverseTimeScheduler: () => [0.1, 10, 0.5],
  LinearCosineScheduler: () => [0.1, 10],
  NaturalExpScheduler: () => [0.1, 10, 0.5],
  PiecewiseConstantScheduler: () => [[2], [0.1, 0.01]],
  PiecewiseScalingScheduler: () => [0.1, [2], 0.1],
  PolynomialSchduler: () => [0.1, 10],
};

/** Options without which a call is an error. */
const needed: Readonly<Record<string, object>> = {
  clipByValue: { minValue: 0 },
  constant: { dtype: "float32" },
  constantScalar: { dtype: "float32" },
  getVariable: { shape: [2], initializer: flow.zerosInitializer() },
  l2Normalize: { axis: 0 },
  transpose: { perm: [1, 0] },
};

/** What methods are called on. */
const receivers: Readonly<Record<string, () => object>> = {
  Blob: x,
  "optimizer.Optimizer": () => new flow.optimizer.SGD(schedule()),
  ...Object.fromEntries(
    optimizers.map((name) => [`optimizer.${name}`, () => new flow.optimizer[name](schedule())] as const),
  ),
  "train.CheckPoint": () => new flow.train.CheckPoint(),
  "train.SimpleCheckPointManager": () => new flow.train.SimpleCheckPointManager(folder),
};

/** Called outside jobs; that right calls work is shown elsewhere. */
const outside: Readonly<Record<string, () => Values>> = {
  globalFunction: () => [{}, () => null],
  "data.batches": () => [new Float32Array(4), { batchSize: 2 }],
  "data.loadMnist": () => [],
  "formats.convert": () => [join(folder, "none"), join(folder, "none.npz")],
  "formats.read": () => [join(folder, "none.npz")],
  "formats.write": () => [join(folder, "written.npz"), {}],
  "onnx.export": () => [flow.globalFunction({ name: "exported" }, () => null), join(folder, "model.onnx")],
  "savedModel.export": () => [flow.globalFunction({ name: "exported" }, () => null), join(folder, "saved_model")],
  "train.CheckPoint.init": () => [],
  "train.CheckPoint.load": () => [join(folder, "model")],
  "train.CheckPoint.save": () => [join(folder, "model")],
  "train.SimpleCheckPointManager.initializeOrRestore": () => [],
  "train.SimpleCheckPointManager.save": () => [],
};

/**
 * Not for users to call: the error class, which takes the options of Error, and what optimizers ask of a schedule. The manager's
 * options may stand in its prefix's place, and which options batches takes hangs on its source; their own tests have them.
 */
const exempt = [
  "FlowError",
  ...functions.flatMap(({ path }) => (/^optimizer\..*\.learningRate$/.test(path) ? [path] : [])),
  "train.SimpleCheckPointManager",
  "data.batches",
];

/** Right arguments, one for each parameter. */
function argumentsOf({ path, declared, parameters }: PublicFunction): unknown[] {
  const given = (outside[path] ?? right[path] ?? right[declared])?.() ?? [];
  return parameters.map(({ kind, name, optional }, i) => {
    if (kind === "options") return needed[declared] ?? given[i] ?? {};
    if (i < given.length) return given[i];
    if (kind === "blob" || kind === "operand") return x();
    if (kind === "blobs") return [x(), x()];
    if (optional) return undefined;
    throw new Error(`${path}: no right value for '${name}'; add a row to this test`);
  });
}

const at = (path: string): unknown =>
  path.split(".").reduce<unknown>((owner, name) => (owner as Record<string, unknown>)[name], flow);

/** Calls a function with these arguments, each time in a namespace of its own. */
let calls = 0;
function call({ path, kind }: PublicFunction, args: readonly unknown[]): unknown {
  const owner = path.split(".").slice(0, -1).join(".");
  const run = (): unknown => {
    if (kind === "constructor") return Reflect.construct(at(path) as new () => object, [...args]);
    if (kind === "function") return Reflect.apply(at(path) as () => unknown, undefined, [...args]);
    const receiver = receivers[owner]!();
    return Reflect.apply(Reflect.get(receiver, path.split(".").at(-1)!) as () => unknown, receiver, [...args]);
  };
  return path in outside ? run() : flow.scope.namespace(`call${calls++}`, run);
}

/** What a call throws, or rejects with; undefined where it passes. */
function failure(target: PublicFunction, args: readonly unknown[]): unknown {
  try {
    const result = call(target, args);
    const caught = (error: unknown): unknown => error;
    return result instanceof Promise ? result.then(() => undefined, caught) : undefined;
  } catch (error) {
    return error;
  }
}

/** The failures of calls that differ from a right one as `variants` says, made where the function may be called. */
async function failures(
  target: PublicFunction,
  variants: (args: readonly unknown[]) => readonly (readonly unknown[])[],
): Promise<unknown[]> {
  let errors: unknown[] | undefined;
  const run = (): void => {
    errors = variants(argumentsOf(target)).map((args) => failure(target, args));
  };
  if (target.path in outside) run();
  else {
    // Most functions are for jobs; the error ends the trace, so that nothing is compiled.
    const traced = new Error("traced");
    flow.config.engine("reference");
    const job = flow.globalFunction({ type: "train", name: "walk" }, () => {
      run();
      throw traced;
    });
    const ended: unknown = await job().catch((error: unknown) => error);
    if (ended !== traced) throw ended;
  }
  return await Promise.all(errors!);
}
afterEach(() => flow.clearDefaultSession());

/** A FlowError of this code whose message begins with the function's name. */
function messageOf(
  error: unknown,
  code: flow.ErrorCode,
  { path, declared, kind }: PublicFunction,
  what: string,
): string {
  expect(error, what).toBeInstanceOf(flow.FlowError);
  const { message, code: found } = error as flow.FlowError;
  expect(found, `${what}: ${message}`).toBe(code);
  // Methods of Blob stand for functions with longer names: sub for subtract.
  const names = `(${declared}|${path.split(".").at(-1)})`;
  expect(message, what).toMatch(new RegExp(`^([\\w]+(\\('.*'\\))?\\.)*${names}${kind === "method" ? "" : "\\b"}`));
  return message;
}

/** What a message says to do, or what would be right. */
const advice =
  /expected|must|cannot|differ|outside \[|is not|is no |flow\.\w+|; (use|pass|give|leave|make)|did you mean|equal|known are|may hold|pass \{/;

const tested = (list: readonly PublicFunction[]): PublicFunction[] => list.filter(({ path }) => !exempt.includes(path));

// A row that is missing or wrong fails here: without right arguments the tests below could pass for another reason.
test.each(
  tested(functions.filter((f) => takesOptions.includes(f) || takesBlobs.includes(f))).filter(
    (f) => !(f.path in outside),
  ),
)("a right call of $path passes", async (target) => {
  expect(await failures(target, (args) => [args])).toEqual([undefined]);
});

describe.each(tested(takesOptions))("options of $path", (target) => {
  const position = target.parameters.findIndex(({ kind }) => kind === "options");
  const names = target.parameters[position]!.options.map(({ name }) => name);

  test("a mistyped name is answered with the nearest right one", async () => {
    expect(names).not.toEqual([]);
    const wrong = names.map((name) => `${name}x`);
    const errors = await failures(target, (args) => wrong.map((key) => args.with(position, { [key]: 1 })));
    for (const [i, name] of names.entries())
      expect(messageOf(errors[i], "E_OPTION", target, name)).toContain(
        `: unknown option '${name}x'; did you mean '${name}'? [E_OPTION]`,
      );
  });

  test("what is no object is answered with one", async () => {
    const values = [null, 1, true, "name", [0, 1], () => 1];
    const errors = await failures(target, (args) => values.map((value) => args.with(position, value)));
    for (const [i, error] of errors.entries()) {
      const message = messageOf(error, "E_OPTION", target, String(values[i]));
      const [, first] = /: options are .+, expected an object such as \{ (\w+): .+ \} \[/.exec(message) ?? [];
      expect(names, message).toContain(first);
    }
  });
});

describe.each(tested(takesBlobs))("Blobs of $path", (target) => {
  const { parameters, kind } = target;

  test("anything else is an error that names function and argument", async () => {
    const values = [undefined, null, 1, "x", [1, 2], {}, [undefined]];
    const wrong: { readonly what: string; readonly change: (args: readonly unknown[]) => unknown[] }[] = [];
    for (const [i, parameter] of parameters.entries()) {
      const suits = values.filter((value) => !(parameter.kind === "operand" && value === 1));
      if (isBlobs(parameter))
        for (const value of suits) wrong.push({ what: parameter.name, change: (args) => args.with(i, value) });
      for (const option of parameter.options.filter(({ blob }) => blob))
        for (const value of values.slice(1))
          wrong.push({
            what: option.name,
            change: (args) => args.with(i, { ...(args[i] as object), [option.name]: value }),
          });
    }
    const errors = await failures(target, (args) => wrong.map(({ change }) => change(args)));
    for (const [i, { what }] of wrong.entries()) {
      const message = messageOf(errors[i], "E_ARGUMENT", target, `${what} #${i}`);
      const index = parameters.findIndex(({ name }) => name === what);
      if (kind !== "method") expect(message).toMatch(new RegExp(`: (${what}(\\[0\\])?|input ${index}) is `));
    }
  });
});

// Another shape or dtype than a right call's is taken, or answered with the type that was got and what to do.
describe.each(tested(takesBlobs).filter(({ path, kind }) => kind === "function" && !(path in outside)))(
  "Blobs of other types into $path",
  (target) => {
    const { parameters } = target;
    const shapes = [[5], [7, 2], [2, 3, 5, 7], [2, 1, 3, 5, 7, 1]];
    const dtypes: readonly flow.DType[] = ["float32", "float64", "int8", "uint8", "int32", "int64"];
    /** A blob of another type and how messages write it. */
    type Wrong = { readonly blob: flow.Blob; readonly texts: readonly string[] };
    const wrongOf = (blob: flow.Blob): Wrong[] => [
      ...shapes.map((shape) => ({
        blob: like(shape, blob.dtype),
        texts: [`${blob.dtype}[${shape.join(",")}]`, `[${shape.join(",")}]`, `rank-${shape.length} input`],
      })),
      ...dtypes
        .filter((dtype) => dtype !== blob.dtype)
        .map((dtype) => ({ blob: like(blob.shape, dtype), texts: [`${dtype}[${blob.shape.join(",")}]`] })),
    ];

    test("are taken, or the error has the type and what was expected", async () => {
      const tried: { readonly what: string; readonly texts: readonly string[] }[] = [];
      const errors = await failures(target, (args) => {
        const calls: (readonly unknown[])[] = [];
        const add = (what: string, right: unknown, change: (blob: unknown) => readonly unknown[]): void => {
          const [first, ...rest] = (Array.isArray(right) ? right : [right]) as unknown[];
          if (!(first instanceof flow.Blob)) return;
          for (const { blob, texts } of wrongOf(first)) {
            tried.push({ what, texts });
            calls.push(change(Array.isArray(right) ? [...rest, blob] : blob));
          }
        };
        for (const [i, parameter] of parameters.entries()) {
          if (isBlobs(parameter)) add(parameter.name, args[i], (blob) => args.with(i, blob));
          for (const { name } of parameter.options.filter((option) => option.blob))
            add(name, x(), (blob) => args.with(i, { ...(args[i] as object), [name]: blob }));
        }
        return calls;
      });
      for (const [i, { what, texts }] of tried.entries()) {
        if (errors[i] === undefined) continue;
        const { code } = errors[i] as flow.FlowError;
        expect(["E_SHAPE", "E_DTYPE", "E_ARGUMENT", "E_VARIABLE", "E_GRADIENT"], String(errors[i])).toContain(code);
        const message = messageOf(errors[i], code, target, what);
        expect(message, what).toMatch(advice);
        // What is wrong then is another thing: no variable, no path.
        if (code === "E_VARIABLE" || code === "E_GRADIENT") continue;
        expect(
          texts.some((text) => message.includes(text)),
          `${what} ${texts[0]}: ${message}`,
        ).toBe(true);
      }
    });
  },
);

/** Whether a message has the value that was got: as `textOfValue` names it or as it would be typed, or what is wrong in a list. */
function tells(message: string, value: unknown): boolean {
  if (value === undefined && / (is|are) missing/.test(message)) return true;
  const plain = (text: string): string => text.replaceAll(/["' ]/g, "");
  const got = message.split(", expected")[0]!;
  if (got.includes(textOfValue(value))) return true;
  if (typeof value === "string") return got.includes(`'${value}'`) || got.includes(`"${value}"`);
  if (Array.isArray(value))
    return plain(got).includes(plain(JSON.stringify(value))) || value.some((entry) => tells(message, entry));
  return (
    typeof value !== "object" &&
    typeof value !== "function" &&
    new RegExp(`(?<![\\w.-])${String(value)}(?![\\w.])`).test(got)
  );
}

// Some wrong values mean something or are taken as they are; what must not happen is an error of JavaScript's own.
describe.each(tested([...takesOptions, ...takesBlobs.filter((f) => !takesOptions.includes(f))]))(
  "values of another kind into $path",
  (target) => {
    const values = [undefined, null, 1.5, -1, "x", true, {}, [], [1.5, "a"], [[1]], [null], () => 1];

    test("give FlowErrors that have the value and say what to do", async () => {
      const calls: {
        readonly what: string;
        readonly value: unknown;
        readonly change: (args: readonly unknown[]) => unknown[];
      }[] = [];
      for (const [i, { name, kind, options }] of target.parameters.entries()) {
        // A job function may do anything, also fail.
        if (target.path in outside && kind !== "options") continue;
        for (const value of values) {
          if (kind === "other") calls.push({ what: name, value, change: (args) => args.with(i, value) });
          for (const option of options) {
            // A folder that is a name is looked for, and MNIST downloaded to it.
            if (target.path === "data.loadMnist" && (option.name !== "outDir" || value === undefined || value === "x"))
              continue;
            calls.push({
              what: option.name,
              value,
              change: (args) => args.with(i, { ...(args[i] as object), [option.name]: value }),
            });
          }
        }
      }
      const errors = await failures(target, (args) => [...calls.map(({ change }) => change(args)), args]);
      const usual = String(errors.pop());
      for (const [i, error] of errors.entries()) {
        if (error === undefined) continue;
        expect(error, `${calls[i]!.what}: ${String(error)}`).toBeInstanceOf(flow.FlowError);
        const { what, value } = calls[i]!;
        const { message, code } = error as flow.FlowError;
        // A layer's variables and names are checked by getVariable and scope.namespace, which then name themselves.
        if (target.kind === "function" && !target.path.startsWith("layers.") && !(target.path in outside))
          messageOf(error, code, target, what);
        expect(message, what).toMatch(advice);
        // Where the right call fails too, for want of a job or a file, this value may not have been reached.
        if (String(error) !== usual)
          expect(tells(message, value), `${what}, given ${textOfValue(value)}: ${message}`).toBe(true);
      }
    });
  },
);

test.each([
  [
    "reduceSum",
    (blob: flow.Blob) => flow.math.reduceSum(blob, 1 as never),
    "reduceSum: options are the number 1, expected an object such as { axis: 1 } [E_OPTION]",
  ],
  [
    "reduceMean",
    (blob: flow.Blob) => flow.math.reduceMean(blob, [0, 1] as never),
    "reduceMean: options are an array, expected an object such as { axis: [0,1] } [E_OPTION]",
  ],
  [
    "maxPool2d",
    () => flow.nn.maxPool2d(image(), 2, 2, "SAME", "NHWC" as never),
    "nn.maxPool2d: options are the string 'NHWC', expected an object such as { dataFormat: \"NHWC\" } [E_OPTION]",
  ],
  [
    "layerNorm",
    (blob: flow.Blob) => flow.nn.layerNorm(blob, blob as never),
    "layerNorm: options are a Blob, expected an object such as { gamma: ... } [E_OPTION]",
  ],
  [
    "relu",
    (blob: flow.Blob) => flow.nn.relu(blob, { nmae: "x" } as never),
    "relu: unknown option 'nmae'; did you mean 'name'? [E_OPTION]",
  ],
  ["dense", () => flow.layers.dense(null as never, 5), "layers.dense: inputs is null, expected a Blob [E_ARGUMENT]"],
  ["softmax", () => flow.nn.softmax([1, 2] as never), "softmax: logits is an array, expected a Blob [E_ARGUMENT]"],
  [
    "add",
    (blob: flow.Blob) => flow.math.add(blob, "1" as never),
    "add: y is the string '1', expected a Blob or a number [E_ARGUMENT]",
  ],
])("what %s says", async (_, wrong, message) => {
  flow.config.engine("reference");
  const job = flow.globalFunction({ name: "wrong" }, () => wrong(x()));
  await expect(job()).rejects.toThrow(message);
});
