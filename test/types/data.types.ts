// Compiled by `npm run check`, never run: what batches of each kind of source are.
import * as flow from "onestep";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isTrue = <T extends true>(): T | undefined => undefined;
type BatchIn<S> = S extends AsyncIterable<infer T> ? T : never;

declare const images: flow.NdArray<"float32">;
const { data } = flow;

const pair = data.batches([images, new Int32Array(4)], { batchSize: 2 });
isTrue<Equal<BatchIn<typeof pair>, [flow.NdArray<"float32">, flow.NdArray<"int32">]>>();
for (const [x, y] of pair) isTrue<Equal<[typeof x, typeof y], [flow.NdArray<"float32">, flow.NdArray<"int32">]>>();

const named = data.batches({ x: images, y: new Float64Array(4) }, { batchSize: 2 });
isTrue<Equal<BatchIn<typeof named>, { x: flow.NdArray<"float32">; y: flow.NdArray<"float64"> }>>();

const files = data.batches({ length: 4, get: async (i) => ({ x: new Float32Array(3), y: i }) }, { batchSize: 2 });
isTrue<Equal<BatchIn<typeof files>, { x: flow.NdArray<"float32">; y: number[] }>>();

const stream = data.batches(
  async function* () {
    yield [new Float32Array(3), "a"] as const;
  },
  { batchSize: 2, lastBatch: "drop" },
);
isTrue<Equal<BatchIn<typeof stream>, [flow.NdArray<"float32">, string[]]>>();
// @ts-expect-error only arrays can be read without waiting
for (const _ of stream);
// @ts-expect-error batchSize is needed
data.batches(images, {});
// @ts-expect-error no such treatment of the last batch
data.batches(images, { batchSize: 2, lastBatch: "wrap" });
