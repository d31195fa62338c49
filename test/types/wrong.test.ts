import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

// What every program below begins with.
const prelude = `
import * as flow from "onestep";
import { tp } from "onestep";

const images = tp.Numpy.Placeholder([100, 784]);
const labels = tp.Numpy.Placeholder([100], { dtype: flow.int32 });
const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.1]);
const job = flow.globalFunction({ name: "job", returns: tp.Numpy }, [images, labels], (x) => x);
const checkPoint = new flow.train.CheckPoint();
const feeds = [new Float32Array(78400), new Int32Array(100)] as const;
declare const x: flow.Blob;
`;

/** The mistake, the program, what the compiler's message must say, in the order it says it. */
const wrong: readonly (readonly [mistake: string, program: string, ...message: string[]])[] = [
  // Feeds.
  ["int32 fed for float32", "job(new Int32Array(78400), feeds[1]);", "Int32Array", "'ArrayLike<\"float32\">'"],
  ["float32 labels", "job(feeds[0], feeds[0]);", "Float32Array", "'ArrayLike<\"int32\">'"],
  ["float64 fed for float32", "job(new Float64Array(78400), feeds[1]);", "Float64Array", "'ArrayLike<\"float32\">'"],
  ["an argument is missing", "job(feeds[0]);", "Expected 2 arguments, but got 1"],
  ["an argument too many", "job(...feeds, 1);", "Expected 2 arguments, but got 3"],
  ["text as a feed", 'job("images.png", feeds[1]);', "'string'", "'ArrayLike<\"float32\">'"],
  ["a number as a feed", "job(1, feeds[1]);", "'number'", "'ArrayLike<\"float32\">'"],
  ["text inside a feed", 'job(feeds[0], ["3"]);', "Type 'string' is not assignable to type 'number | bigint"],
  ["a promise as a feed", "job(Promise.resolve(feeds[0]), feeds[1]);", "'Promise<", "'ArrayLike<\"float32\">'"],
  [
    "a bare array where a list of one is due",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [tp.ListNumpy.Placeholder([2])], (a) => a)(new Float32Array(2));',
    "'Float32Array<",
    "'readonly ArrayLike<\"float32\">[]'",
  ],
  [
    "a tuple argument of another length",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [[images, labels]], ([a]) => a)([feeds[0]]);',
    "Source has 1 element(s) but target requires 2",
  ],
  [
    "the arguments of a tuple given one by one",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [[images, labels]], ([a]) => a)(...feeds);',
    "Expected 1 arguments, but got 2",
  ],
  // Results.
  [
    "await forgotten",
    "job(...feeds).mean();",
    "Property 'mean' does not exist on type 'Promise<NdArray",
    "Did you forget to use 'await'?",
  ],
  [
    "await forgotten, undeclared returns",
    'flow.globalFunction({ name: "j" }, [images], (a) => a)(feeds[0]).item();',
    "Property 'item' does not exist on type 'JobResult<NdArray",
    "Did you forget to use 'await'?",
  ],
  [
    "arithmetic on a result",
    "const loss = (await job(...feeds)) * 2;",
    "arithmetic operation must be of type 'any', 'number'",
  ],
  ["get on declared returns", "await job(...feeds).get();", "Property 'get' does not exist on type 'Promise<NdArray"],
  [
    "a callback that was not passed",
    'await flow.globalFunction({ name: "j", returns: tp.Callback(tp.Numpy) }, [images], (a) => a)(feeds[0])();',
    "Expected 1 arguments, but got 0",
  ],
  [
    "the wrong element of a tuple result",
    'const [, , third] = await flow.globalFunction({ name: "j", returns: [tp.Numpy, tp.Numpy] }, [images], (a) => [a, a])(feeds[0]);',
    "Tuple type 'readonly [NdArray",
    "of length '2' has no element at index '2'",
  ],
  [
    "a list result used as an array",
    '(await flow.globalFunction({ name: "j", returns: tp.ListNumpy }, [images], (a) => a)(feeds[0])).mean();',
    "Property 'mean' does not exist on type 'readonly [NdArray",
  ],
  // Declarations.
  [
    "a misspelt type of job",
    'flow.globalFunction({ type: "trian", name: "j", returns: tp.Numpy }, [images], (a) => a);',
    `Type '"trian"' is not assignable to type '"train" | "predict"'. Did you mean '"train"'?`,
  ],
  [
    "a misspelt option of a job",
    'flow.globalFunction({ nmae: "j", returns: tp.Numpy }, [images], (a) => a);',
    "'nmae' does not exist in type",
  ],
  [
    "the function in place of the placeholders",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, (a: flow.Blob) => a);',
    "Target signature provides too few arguments. Expected 1 or more, but got 0",
  ],
  [
    "one placeholder without a list",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, images, (a) => a);',
    "not assignable to",
    "readonly Argument[]",
  ],
  [
    "a shape in place of a placeholder",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [[100]], (a) => a);',
    "Type 'number' is not assignable to type 'Placeholder",
  ],
  [
    "options left out",
    "flow.globalFunction([images], (a: flow.Blob) => a);",
    "has no properties in common with type 'JobOptions",
  ],
  [
    "positional options",
    'flow.globalFunction("j", [images], (a: flow.Blob) => a);',
    "Type '\"j\"' has no properties in common",
  ],
  [
    "more blobs than placeholders",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [images], (a, b) => a);',
    "Target signature provides too few arguments. Expected 2 or more, but got 1",
  ],
  // What a job function returns.
  [
    "an async job function",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [images], async (a) => a);',
    "a job function must not be async",
  ],
  [
    "an async job function, undeclared returns",
    'flow.globalFunction({ name: "j" }, [images], async (a) => a);',
    "a job function must not be async",
  ],
  [
    "an async job function without placeholders",
    'flow.globalFunction({ name: "j" }, async () => flow.constant(1, { dtype: flow.float }));',
    "a job function must not be async",
  ],
  [
    "a number returned",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [images], () => 3);',
    "Type 'number' is not assignable to type 'Blob'",
  ],
  [
    "a number returned, undeclared",
    'flow.globalFunction({ name: "j" }, [images], () => 3);',
    "a job function must return Blobs",
  ],
  [
    "a number among what is returned, undeclared",
    'flow.globalFunction({ name: "j" }, [images], (a) => ({ a, step: 3 }));',
    "a job function must return Blobs",
  ],
  [
    "nothing returned for an array",
    'flow.globalFunction({ name: "j", returns: tp.Numpy }, [images], (a) => { flow.nn.relu(a); });',
    "Type 'void' is not assignable to type 'Blob",
  ],
  [
    "one blob for a tuple of two",
    'flow.globalFunction({ name: "j", returns: [tp.Numpy, tp.Numpy] }, [images], (a) => [a]);',
    "Source has 1 element(s) but target requires 2",
  ],
  [
    "a blob for a tuple",
    'flow.globalFunction({ name: "j", returns: [tp.Numpy] }, [images], (a) => a);',
    "'Blob' is not assignable to type 'readonly [Blob]'",
  ],
  [
    "a misspelt key of a returned object",
    'flow.globalFunction({ name: "j", returns: { loss: tp.Numpy } }, [images], (a) => ({ los: a }));',
    "'loss' is missing",
  ],
  [
    "a blob for null",
    'flow.globalFunction({ name: "j", returns: null }, [images], (a) => a);',
    "'Blob' is not assignable to type 'Nothing'",
  ],
  [
    "a number in a bundle",
    'flow.globalFunction({ name: "j", returns: tp.Bundle(tp.Numpy) }, [images], (a) => [a, 1]);',
    "'number' is not assignable to type 'BlobTree'",
  ],
  // Returns.
  [
    "returns as text",
    'flow.globalFunction({ name: "j", returns: "Numpy" }, [images], (a) => a);',
    "returns must be tp.Numpy",
  ],
  [
    "a placeholder as returns",
    'flow.globalFunction({ name: "j", returns: images }, [images], (a) => a);',
    "returns must be tp.Numpy",
  ],
  [
    "tp.Bundle without its type",
    'flow.globalFunction({ name: "j", returns: tp.Bundle }, [images], (a) => a);',
    "tp.Bundle and tp.Callback take the type of the value",
  ],
  [
    "tp.Callback without its type, in a tuple",
    'flow.globalFunction({ name: "j", returns: [tp.Callback] }, [images], (a) => [a]);',
    "tp.Bundle and tp.Callback take the type of the value",
  ],
  [
    "a callback in a tuple",
    'flow.globalFunction({ name: "j", returns: [tp.Callback(tp.Numpy)] }, [images], (a) => [a]);',
    "tp.Callback can only be the whole return type",
  ],
  [
    "a callback in an object",
    'flow.globalFunction({ name: "j", returns: { loss: tp.Callback(tp.Numpy) } }, [images], (loss) => ({ loss }));',
    "tp.Callback can only be the whole return type",
  ],
  [
    "a class as returns",
    'flow.globalFunction({ name: "j", returns: flow.NdArray }, [images], (a) => a);',
    "returns must be tp.Numpy",
  ],
  ["a bundle of a tuple", "tp.Bundle([tp.Numpy]);", "is not assignable to parameter of type 'FormType"],
  ["a callback of text", 'tp.Callback("Numpy");', "Argument of type '\"Numpy\"'"],
  [
    "a misspelt return type",
    'flow.globalFunction({ name: "j", returns: tp.Nunpy }, [images], (a) => a);',
    "Property 'Nunpy' does not exist",
    "Did you mean 'Numpy'?",
  ],
  // Placeholders.
  [
    "a misspelt dtype",
    'tp.Numpy.Placeholder([100], { dtype: "flaot32" });',
    `"flaot32"' is not assignable to type`,
    `Did you mean '"float32"'?`,
  ],
  [
    "an unknown dtype",
    "tp.Numpy.Placeholder([100], { dtype: flow.int16 });",
    "Property 'int16' does not exist",
    "Did you mean 'int",
  ],
  [
    "text as a shape",
    'tp.Numpy.Placeholder("100,784");',
    "Argument of type 'string' is not assignable to parameter of type 'OpenShape'",
  ],
  ["text in a shape", 'tp.Numpy.Placeholder(["batch", 784]);', "Type 'string' is not assignable to type 'number"],
  [
    "null behind the first dimension",
    "tp.Numpy.Placeholder([100, null]);",
    "not assignable to parameter of type 'OpenShape'",
    "position 1",
    "Type 'null' is not assignable to type 'number'",
  ],
  [
    "a number as a shape",
    "tp.Numpy.Placeholder(100);",
    "Argument of type 'number' is not assignable to parameter of type 'OpenShape'",
  ],
  [
    "the dtype as a positional argument",
    "tp.Numpy.Placeholder([100], flow.int32);",
    "'\"int32\"'",
    "PlaceholderOptions",
  ],
  [
    "a misspelt option of a placeholder",
    "tp.Numpy.Placeholder([100], { dype: flow.int32 });",
    "'dype' does not exist in type 'PlaceholderOptions",
  ],
  ["a placeholder without a form", "tp.Placeholder([100]);", "Property 'Placeholder' does not exist"],
  // Blobs.
  ["blobs added with +", "x + x;", "Operator '+' cannot be applied to types", "Blob' and '", "Blob'"],
  ["a number added with +", "x + 1;", "Operator '+' cannot be applied to types 'Blob' and 'number'"],
  ["blobs multiplied with *", "x * 2;", "left-hand side of an arithmetic operation must be of type 'any', 'number'"],
  [
    "a condition on a blob's value",
    "if (x > 0) flow.nn.relu(x);",
    "Operator '>' cannot be applied to types 'Blob' and 'number'",
  ],
  ["a method of arrays on a blob", "x.mean();", "Property 'mean' does not exist on type 'Blob'"],
  [
    "an array in place of a blob",
    "flow.nn.relu(new Float32Array(3));",
    "'Float32Array<ArrayBuffer>' is not assignable to parameter of type 'Blob'",
  ],
  ["a result in place of a blob", "flow.nn.relu(await job(...feeds));", "'NdArray", "'Blob'"],
  ["a shape written to", "x.shape[0] = 2;", "only permits reading"],
  [
    "a blob in concat's options",
    "flow.concat(x, x);",
    "'Blob' is not assignable to parameter of type 'readonly Blob[]'",
  ],
  [
    "an axis as a positional argument",
    "flow.math.reduceSum(x, 1);",
    "'1' has no properties in common with type 'ReduceOptions'",
  ],
  [
    "a misspelt option of an op",
    "flow.math.reduceSum(x, { keepDims: true });",
    "'keepDims' does not exist in type 'ReduceOptions'. Did you mean to write 'keepdims'?",
  ],
  ["a misspelt op", "flow.math.reduceMeen(x);", "Property 'reduceMeen' does not exist", "Did you mean 'reduceMean'?"],
  [
    "a documented name in snake_case",
    "flow.math.reduce_mean(x);",
    "Property 'reduce_mean' does not exist",
    "Did you mean 'reduceMean'?",
  ],
  ["a misspelt namespace", "flow.layer.dense(x, 10);", "Property 'layer' does not exist", "Did you mean 'layers'?"],
  [
    "a cast to a misspelt dtype",
    'flow.cast(x, "int23");',
    `Argument of type '"int23"' is not assignable to parameter of type 'DType'`,
  ],
  ["a constant without a dtype", "flow.constant(1, { dtyp: flow.float });", "'dtyp' does not exist in type"],
  // Layers and variables.
  [
    "an activation by name",
    'flow.layers.dense(x, 10, { activation: "relu" });',
    "Type 'string' is not assignable to type 'Activation'",
  ],
  [
    "an initializer by name",
    'flow.layers.dense(x, 10, { kernelInitializer: "zeros" });',
    "Type 'string' is not assignable to type 'Initializer",
  ],
  [
    "an initializer that was not called",
    "flow.layers.dense(x, 10, { kernelInitializer: flow.zerosInitializer });",
    "is not assignable to type 'Initializer | undefined'",
    "Did you mean to call this expression?",
  ],
  [
    "a number as a regularizer",
    "flow.layers.dense(x, 10, { kernelRegularizer: 1e-4 });",
    "Type 'number' is not assignable to type 'Regularizer'",
  ],
  [
    "options as positional arguments",
    "flow.layers.dense(x, 10, flow.nn.relu);",
    "has no properties in common with type 'DenseOptions'",
  ],
  ["units left out", "flow.layers.dense(x);", "Expected 2-3 arguments, but got 1"],
  [
    "units as text",
    'flow.layers.dense(x, "10");',
    "Argument of type 'string' is not assignable to parameter of type 'number'",
  ],
  [
    "an unknown padding",
    'flow.layers.conv2d(x, 8, 3, { padding: "same_uper" });',
    `Type '"same_uper"' is not assignable to type 'Padding`,
  ],
  [
    "a shape as a positional argument of getVariable",
    'flow.getVariable("w", [3]);',
    "has no properties in common with type 'VariableOptions'",
  ],
  [
    "text as a shape of getVariable",
    'flow.getVariable("w", { shape: "3" });',
    "Type 'string' is not assignable to type 'readonly number[]'",
  ],
  // Training.
  [
    "a number in place of a scheduler",
    "new flow.optimizer.SGD(0.1);",
    "Argument of type 'number' is not assignable to parameter of type 'Schedule'",
  ],
  [
    "a scheduler's numbers without lists",
    "new flow.optimizer.PiecewiseConstantScheduler(0.1);",
    "Expected 2-3 arguments, but got 1",
  ],
  [
    "the momentum as a positional argument",
    "new flow.optimizer.SGD(rate, 0.9);",
    "Type '0.9' has no properties in common with type 'SGDOptions'",
  ],
  [
    "a misspelt option of an optimizer",
    "new flow.optimizer.Adam(rate, { beta_1: 0.9 });",
    "'beta_1' does not exist in type 'AdamOptions'",
    "'beta1'",
  ],
  ["an optimizer called without new", "flow.optimizer.SGD(rate);", "is not callable. Did you mean to include 'new'?"],
  [
    "a clipping norm as a number",
    "new flow.optimizer.SGD(rate, { gradClipping: 1 });",
    "Type 'number' is not assignable to type 'GradientClipping'",
  ],
  [
    "a misspelt option of minimize",
    "new flow.optimizer.SGD(rate).minimize(x, { acumulate: 4 });",
    "'acumulate' does not exist in type 'MinimizeOptions'. Did you mean to write 'accumulate'?",
  ],
  [
    "frozen blobs in place of names",
    "new flow.optimizer.SGD(rate).minimize(x, { freeze: x });",
    "'Blob' is not assignable to type 'Pattern",
  ],
  [
    "arithmetic on a training value",
    "new flow.optimizer.SGD(rate).minimize(x).learningRate * 2;",
    "arithmetic operation must be of type 'any', 'number'",
  ],
  [
    "a misspelt training value",
    "new flow.optimizer.SGD(rate).minimize(x).gradNorm;",
    "Property 'gradNorm' does not exist on type 'Minimization'",
  ],
  ["gradients with respect to a name", 'flow.gradients(x, "dense1-weight");', "'string'", "Blob"],
  ["a misspelt option of gradients", "flow.gradients(x, x, { gradY: x });", "'gradY'", "'gradYs'"],
  ["more gradients than xs", "const [a, b] = flow.gradients(x, [x]);", "of length '1' has no element at index '1'"],
  ["a watch handler for another form", "flow.watch(x, (v: readonly flow.NdArray[]) => v.length);", "'readonly NdArray"],
  [
    "a number as a watch handler",
    "flow.watch(x, 20);",
    "Argument of type '20' is not assignable to parameter of type 'string | WatchHandler",
  ],
  [
    "an async scope",
    'flow.scope.namespace("tower", async () => x).mul(2);',
    "Property 'mul' does not exist on type 'Promise<Blob>'",
  ],
  [
    "an unknown device",
    'flow.scope.placement("tpu", "0:0", () => x);',
    `Argument of type '"tpu"' is not assignable to parameter of type 'DeviceTag'`,
  ],
  // Sessions and checkpoints.
  [
    "a misspelt method of CheckPoint",
    'checkPoint.laod("./model");',
    "Property 'laod' does not exist on type 'CheckPoint'",
  ],
  [
    "a documented method in snake_case",
    "flow.clear_default_session();",
    "Property 'clear_default_session' does not exist",
    "Did you mean 'clearDefaultSession'?",
  ],
  ["save without a path", "await checkPoint.save();", "Expected 1-2 arguments, but got 0"],
  [
    "a misspelt option of init",
    "await checkPoint.init({ onlymissing: true });",
    "'onlymissing' does not exist in type 'InitOptions'. Did you mean to write 'onlyMissing'?",
  ],
  [
    "a seed as text",
    'flow.config.seed("1");',
    "Argument of type 'string' is not assignable to parameter of type 'number'",
  ],
  [
    "a signal without its key",
    "job.with(AbortSignal.timeout(10));",
    "has no properties in common with type 'CallOptions'",
  ],
  [
    "step read without await",
    "const next = job.step() + 1;",
    "Operator '+' cannot be applied to types 'Promise<number>' and",
  ],
  [
    "a misspelt setter of a function config",
    "flow.functionConfig().defaultDatatype(flow.float);",
    "Property 'defaultDatatype' does not exist on type 'FunctionConfig'. Did you mean 'defaultDataType'?",
  ],
  [
    "the config made without a call",
    'flow.globalFunction({ name: "j", functionConfig: flow.functionConfig }, () => x);',
    "() => FunctionConfig",
    "'FunctionConfig'",
  ],
];

/** The compiler's messages for each program, all compiled together against the built package's declarations. */
function messagesOf(programs: readonly string[]): readonly (readonly string[])[] {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.test.json"), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const texts = new Map(
    programs.map((text, i) => [resolve(root, "test", "types", `program-${i}.mts`), `${prelude}${text}\n`]),
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(resolve(path)) || fileExists(path);
  host.readFile = (path) => texts.get(resolve(path)) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const text = texts.get(resolve(path));
    return text === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, text, version);
  };
  const program = ts.createProgram([...texts.keys()], options, host);
  return [...texts.keys()].map((path) => {
    const file = program.getSourceFile(path)!;
    return ts
      .getPreEmitDiagnostics(program, file)
      .map(({ messageText, relatedInformation = [] }) =>
        [messageText, ...relatedInformation.map((more) => more.messageText)]
          .map((text) => ts.flattenDiagnosticMessageText(text, "\n"))
          .join("\n"),
      );
  });
}

const messages = messagesOf(["", ...wrong.map(([, program]) => program)]);

test("what the wrong programs begin with is right", () => {
  expect(messages[0]).toEqual([]);
  expect(wrong.length).toBeGreaterThanOrEqual(40);
});

test.each(wrong.map(([mistake, program, ...expected], i) => ({ mistake, program, expected, got: messages[i + 1]! })))(
  "$mistake",
  ({ program, expected, got }) => {
    expect(got, `${program} should be refused once`).toHaveLength(1);
    let rest = got[0]!;
    for (const fragment of expected) {
      expect(rest).toContain(fragment);
      rest = rest.slice(rest.indexOf(fragment) + fragment.length);
    }
  },
);
