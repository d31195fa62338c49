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

// @ts-expect-error an unknown type of job
flow.globalFunction({ type: "trian", name: "x", returns: tp.Numpy }, [images], (x) => x);
// @ts-expect-error an unknown option
flow.globalFunction({ nmae: "x", returns: tp.Numpy }, [images], (x) => x);
// @ts-expect-error optimizers take a scheduler
new flow.optimizer.SGD(0.1);
// @ts-expect-error a misspelt option
flow.layers.dense({} as flow.Blob, 10, { kernelInitialiser: flow.zerosInitializer() });
