// Compiled by `npm run check`, never run: what the types accept, refuse and infer.
import * as flow from "onestep";
import { tp } from "onestep";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isTrue = <T extends true>(): T | undefined => undefined;

const images = tp.Numpy.Placeholder([100, 784]);
const labels = tp.Numpy.Placeholder([100], { dtype: flow.int32 });
const ids = tp.Numpy.Placeholder([100], { dtype: flow.int64 });

// One array.
const one = flow.globalFunction({ name: "one", returns: tp.Numpy }, [images, labels], (x, _l) => x);
isTrue<Equal<ReturnType<typeof one>, Promise<flow.NdArray>>>();
void one(new Float32Array(78400), new Int32Array(100));
void one([[1]], [1, 2]);
// @ts-expect-error images are float32
void one(new Int32Array(78400), new Int32Array(100));
// @ts-expect-error labels are int32
void one(new Float32Array(78400), new Float32Array(100));
// @ts-expect-error one argument is missing
void one(new Float32Array(78400));
// @ts-expect-error text is no array
void one("images", [1]);

// int64 is BigInt64Array; numbers are taken too.
const big = flow.globalFunction({ name: "big", returns: tp.Numpy }, [ids], (x) => x);
void big(new BigInt64Array(100));
void big([1, 2n]);
// @ts-expect-error not an Int32Array
void big(new Int32Array(100));

// Tuples and objects keep their form.
const pair = flow.globalFunction({ name: "pair", returns: [tp.Numpy, tp.Numpy] }, [images, labels], (x, l) => [x, l]);
isTrue<Equal<Awaited<ReturnType<typeof pair>>, readonly [flow.NdArray, flow.NdArray]>>();
const nested = flow.globalFunction(
  { name: "nested", returns: { loss: tp.Numpy, more: [tp.Numpy] } },
  [images],
  (x) => ({ loss: x, more: [x] }),
);
isTrue<Equal<Awaited<ReturnType<typeof nested>>["more"][0], flow.NdArray>>();
// @ts-expect-error two blobs were declared
flow.globalFunction({ name: "wrong", returns: [tp.Numpy, tp.Numpy] }, [images], (x) => [x]);
// @ts-expect-error a number is no blob
flow.globalFunction({ name: "wrong", returns: tp.Numpy }, [images], () => 3);
// @ts-expect-error tracing is synchronous
flow.globalFunction({ name: "wrong", returns: tp.Numpy }, [images], async (x) => x);

// Undeclared: what the function returns decides.
const free = flow.globalFunction({ name: "free" }, [images], (x) => ({ x, none: null, list: [x, x] }));
const result = free(new Float32Array(78400));
isTrue<Equal<Awaited<typeof result>["x"], flow.NdArray>>();
isTrue<Equal<Awaited<typeof result>["none"], null>>();
isTrue<Equal<Awaited<typeof result>["list"][1], flow.NdArray>>();
void result.get().then(({ x }) => x.mean());
result.asyncGet(({ x }) => x.mean());

// No placeholders.
const constant = flow.globalFunction({ name: "constant", returns: tp.Numpy }, () =>
  flow.constant(1, { dtype: flow.float }),
);
void constant();
// @ts-expect-error it takes no argument
void constant(1);

// Every form of one value.
const list = flow.globalFunction({ name: "list", returns: tp.ListNumpy }, [images], (x) => x);
isTrue<Equal<ReturnType<typeof list>, Promise<readonly [flow.NdArray]>>>();
const lists = flow.globalFunction({ name: "lists", returns: tp.ListListNumpy }, [images], (x) => x);
isTrue<Equal<ReturnType<typeof lists>, Promise<readonly [readonly [flow.NdArray]]>>>();
const nothing = flow.globalFunction({ name: "nothing", returns: null }, [images], (x) => {
  flow.nn.relu(x);
});
isTrue<Equal<ReturnType<typeof nothing>, Promise<null>>>();
flow.globalFunction({ name: "nothing", returns: null }, () => null);

// Forms in tuples and objects, nested.
const mixed = flow.globalFunction(
  { name: "mixed", returns: [tp.Numpy, { list: tp.ListNumpy, none: null, deep: [[tp.ListListNumpy]] }] },
  [images],
  (x) => [x, { list: x, none: null, deep: [[x]] }],
);
isTrue<
  Equal<
    Awaited<ReturnType<typeof mixed>>,
    readonly [
      flow.NdArray,
      {
        readonly list: readonly [flow.NdArray];
        readonly none: null;
        readonly deep: readonly [readonly [readonly [readonly [flow.NdArray]]]];
      },
    ]
  >
>();

// A bundle has the nesting that the function returned.
const bundle = flow.globalFunction({ name: "bundle", returns: tp.Bundle(tp.Numpy) }, [images], (x) => ({
  a: x,
  b: [x, { c: x }],
}));
isTrue<
  Equal<
    Awaited<ReturnType<typeof bundle>>,
    { readonly a: flow.NdArray; readonly b: readonly [flow.NdArray, { readonly c: flow.NdArray }] }
  >
>();
const bundledLists = flow.globalFunction({ name: "b", returns: tp.Bundle(tp.ListNumpy) }, [images], (x) => [x, [x]]);
isTrue<
  Equal<
    Awaited<ReturnType<typeof bundledLists>>,
    readonly [readonly [flow.NdArray], readonly [readonly [flow.NdArray]]]
  >
>();
const inside = flow.globalFunction(
  { name: "inside", returns: { bundle: tp.Bundle(tp.Numpy), one: tp.Numpy } },
  [images],
  (x) => ({ bundle: [x, [x]], one: x }),
);
isTrue<Equal<Awaited<ReturnType<typeof inside>>["bundle"], readonly [flow.NdArray, readonly [flow.NdArray]]>>();
// A nesting known only when the program runs.
const layers = (x: flow.Blob): flow.Blob[] => [x];
const many = flow.globalFunction({ name: "many", returns: tp.Bundle(tp.Numpy) }, [images], (x) => layers(x));
isTrue<Equal<Awaited<ReturnType<typeof many>>, readonly flow.NdArray[]>>();

// Callbacks.
const called = flow.globalFunction({ name: "called", returns: tp.Callback(tp.Numpy) }, [images], (x) => x);
void called(new Float32Array(78400))((loss) => loss.mean());
isTrue<Equal<ReturnType<typeof called>, (callback: (value: flow.NdArray) => unknown) => Promise<void>>>();
const calledPair = flow.globalFunction(
  { name: "called", returns: tp.Callback([tp.Numpy, { list: tp.ListNumpy }]) },
  [images],
  (x) => [x, { list: x }],
);
void calledPair(new Float32Array(78400))(
  ([
    loss,
    {
      list: [only],
    },
  ]) => loss.mean() + only.mean(),
);
const calledBundle = flow.globalFunction({ name: "c", returns: tp.Callback(tp.Bundle(tp.Numpy)) }, [images], (x) => ({
  x,
}));
void calledBundle(new Float32Array(78400))(({ x }) => x.mean());

// Returns that are known only when the program runs.
declare const someReturns: flow.Returns;
flow.globalFunction({ name: "some", returns: someReturns }, [images], (x) => x);

// Undeclared: nothing, a class of one's own, a union.
const silent = flow.globalFunction({ name: "silent" }, [images], (x) => {
  flow.nn.relu(x);
});
isTrue<Equal<Awaited<ReturnType<typeof silent>>, null>>();
interface Losses {
  readonly loss: flow.Blob;
  readonly auxiliary?: flow.Blob;
}
const declareLosses = (x: flow.Blob): Losses => ({ loss: x });
const losses = flow.globalFunction({ name: "losses" }, [images], declareLosses);
isTrue<Equal<Awaited<ReturnType<typeof losses>>["loss"], flow.NdArray>>();
const maybe = flow.globalFunction({ name: "maybe" }, [images], (x) => (x.shape.length > 1 ? x : null));
isTrue<Equal<Awaited<ReturnType<typeof maybe>>, flow.NdArray | null>>();
isTrue<Equal<typeof maybe extends (...args: never) => infer T ? T : never, flow.JobResult<flow.NdArray | null>>>();
const pairs = flow.globalFunction({ name: "pairs" }, [images], (x) => [x, x]);
void pairs(new Float32Array(78400))
  .get()
  .then(([first, second]) => first.mean() + second.mean());
pairs(new Float32Array(78400)).asyncGet(([first]) => first.mean());

// Arguments: tuples, lists, the older definitions, an open first dimension.
const tuples = flow.globalFunction(
  { name: "tuples", returns: tp.Numpy },
  [[images, labels], ids],
  ([x, _labels], _ids) => x,
);
void tuples([new Float32Array(78400), new Int32Array(100)], new BigInt64Array(100));
// @ts-expect-error the parts of the tuple are the other way round
void tuples([new Int32Array(100), new Float32Array(78400)], new BigInt64Array(100));
const listed = flow.globalFunction(
  { name: "listed", returns: tp.Numpy },
  [tp.ListNumpy.Placeholder([null, 3]), tp.ListListNumpy.Placeholder([3], { dtype: flow.int8 })],
  (x) => x,
);
void listed([new Float32Array(3)], [[new Int8Array(3)]]);
// @ts-expect-error not a list
void listed(new Float32Array(3), [[new Int8Array(3)]]);
const older = flow.globalFunction(
  { name: "older", returns: tp.Numpy },
  [
    new flow.FixedTensorDef([100]),
    new flow.FixedTensorDef([100], { dtype: flow.int32 }),
    new flow.MirroredTensorDef([2], { dtype: flow.double }),
    new flow.MirroredTensorListDef([2], { dtype: flow.uint8 }),
  ],
  (x) => x,
);
void older(new Float32Array(100), new Int32Array(100), [new Float64Array(2)], [[new Uint8Array(2)]]);
// @ts-expect-error the second is int32
void older(new Float32Array(100), new Float32Array(100), [new Float64Array(2)], [[new Uint8Array(2)]]);
// A result can be fed where its dtype may be right; numbers of another typed array cannot.
declare const array: flow.NdArray;
declare const doubles: flow.NdArray<"float64">;
void one(array as flow.NdArray<"float32">, [1]);
// @ts-expect-error float64 for float32
void one(doubles, [1]);
const shape: readonly number[] = [100, 784];
tp.Numpy.Placeholder(shape);

// What a job has besides its call.
isTrue<Equal<ReturnType<typeof one.step>, Promise<number>>>();
isTrue<Equal<ReturnType<typeof one.learningRate>, Promise<number>>>();
isTrue<Equal<ReturnType<typeof one.with>, typeof one>>();
void one
  .with({ signal: AbortSignal.timeout(10) })([[1]], [1])
  .then((value) => value.mean());
isTrue<Equal<typeof one.jobName, string>>();

// Inside job functions.
flow.globalFunction({ type: "train", name: "train", returns: [tp.Numpy, tp.Numpy, tp.Numpy] }, [images], (x) => {
  const w = flow.getVariable("w", { shape: [784], initializer: flow.zerosInitializer() });
  const loss = x.mul(w);
  const one = flow.gradients(loss, w);
  isTrue<Equal<typeof one, flow.Blob>>();
  const two = flow.gradients([loss], [w, x], { unconnectedGradients: "zero", gradYs: x });
  isTrue<Equal<typeof two, readonly [flow.Blob, flow.Blob]>>();
  const some: readonly flow.Blob[] = flow.gradients(loss, layers(x));
  flow.watch(x);
  flow.watch(x, "x is");
  flow.watch(x, (value) => isTrue<Equal<typeof value, flow.NdArray>>());
  flow.watch(x, ([value]) => isTrue<Equal<typeof value, flow.NdArray>>(), { type: tp.ListNumpy });
  flow.watchDiff(w, ([[value]]) => isTrue<Equal<typeof value, flow.NdArray>>(), { type: tp.ListListNumpy });
  flow.watchDiff(w, async (value: flow.NdArray) => value.mean());
  const { gradientNorm, learningRate, step } = new flow.optimizer.SGD(
    new flow.optimizer.PiecewiseConstantScheduler([], [0.1]),
  ).minimize([loss, ...some], { accumulate: 4, freeze: ["conv*", /bias$/] });
  isTrue<Equal<typeof step, flow.Blob>>();
  const scoped = flow.scope.namespace("tower", () => flow.scope.placement("cpu", ["0:0-1"], () => [x, w] as const));
  isTrue<Equal<typeof scoped, readonly [flow.Blob, flow.Blob]>>();
  return [gradientNorm, learningRate, step];
});

// @ts-expect-error an unknown type of job
flow.globalFunction({ type: "trian", name: "x", returns: tp.Numpy }, [images], (x) => x);
// @ts-expect-error an unknown option
flow.globalFunction({ nmae: "x", returns: tp.Numpy }, [images], (x) => x);
// @ts-expect-error optimizers take a scheduler
new flow.optimizer.SGD(0.1);
// @ts-expect-error a misspelt option
flow.layers.dense({} as flow.Blob, 10, { kernelInitialiser: flow.zerosInitializer() });

// Typed arrays as signatures name them, over whichever memory.
const feed = flow.globalFunction({ name: "feed", returns: tp.Numpy }, [images], (x) => x);
const fed = (data: Float32Array) => [feed(data), new flow.NdArray(data, [1, 784])] as const;
void fed;
