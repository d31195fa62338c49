import * as flow from "onestep";
import { Draw, type Recorder } from "./recorder.js";
import { classes, type Scene, steps } from "./steps.js";

/** Mistakes inside a job function. */
type Mistake = (rec: Recorder, x: flow.Blob, made: Made) => unknown;

/** What a model gives. */
export interface Made {
  readonly blobs: readonly flow.Blob[];
  /** `[batch, classes]`. */
  readonly logits: flow.Blob;
}

/** A chain of steps, some inside scopes, and a dense layer at the end. */
export function model(
  rec: Recorder,
  input: flow.Blob,
  labels: flow.Blob,
  { plan, dropout }: { plan: readonly (readonly number[])[]; dropout: boolean },
): Made {
  const blobs: flow.Blob[] = [input];
  for (const [index, numbers] of plan.entries()) {
    const draw = new Draw(numbers);
    const step = draw.from(steps);
    const x = draw.once(4) ? draw.from(blobs) : blobs.at(-1)!;
    const scene: Scene = { rec, draw, index, input, labels, blobs, dropout };
    const made = scoped(rec, draw.below(12), index, () => step(scene, x));
    if (made !== undefined) blobs.push(made);
  }
  const last = blobs.at(-1)!;
  const size = last.shape.slice(1).reduce((a, b) => a * b, 1);
  const rows = rec.call("reshape", last, [-1, size]);
  const kernelInitializer = flow.randomNormalInitializer(0, 0.5);
  const logits = rec.call("layers.dense", rows, classes, { kernelInitializer, name: "head" });
  return { blobs: [...blobs, logits], logits };
}

function scoped<T>(rec: Recorder, kind: number, index: number, fn: () => T): T {
  const space = (inner: () => T): T => rec.scope("scope.namespace", [`space${index}`], inner);
  switch (kind) {
    case 11:
      return space(fn);
    case 10:
      return rec.scope("scope.placement", ["cpu", "0:0"], () => space(fn));
    case 9:
      return rec.scope("scope.mirroredView", [], fn);
    case 8:
      return space(() => rec.scope("nameScope", ["inner"], () => rec.scope("scope.placement", ["cpu", ["0:0-1"]], fn)));
    default:
      return fn();
  }
}

const dense = (rec: Recorder, x: flow.Blob, options: object): flow.Blob =>
  rec.call("layers.dense", rec.call("reshape", x, [x.shape[0]!, -1]), 2, options);

/** Each is refused while the job is traced, or when it runs. */
export const mistakes: readonly Mistake[] = [
  (rec, x) => rec.call(".add", x, rec.call("constant", 1, { dtype: x.dtype, shape: [97] })),
  (rec, x) => [rec.call("nn.relu", x, { name: "same" }), rec.call("nn.relu", x, { name: "same" })],
  (rec, x) => [dense(rec, x, { name: "twice" }), dense(rec, x, { name: "twice" })],
  (rec, x) => dense(rec, x, { name: "option", kernelInitialiser: flow.zerosInitializer() }),
  (rec, x) => rec.call("math.reduceSum", x, { axis: 9 }),
  (rec, x) =>
    rec.call("matmul", rec.call("reshape", x, [1, -1]), rec.call("constant", 1, { dtype: x.dtype, shape: [97, 2] })),
  (rec, x) => rec.call(".mul", x, rec.call("cast", x, "int32")),
  (rec, x) => rec.call("nn.relu", rec.call("cast", x, "int32")),
  (rec, x) => rec.call("reshape", x, [97, -1]),
  (rec, x) => rec.call("math.log", rec.call("math.subtract", -1, rec.call("math.square", x))),
  (rec, x) => rec.call("gather", x, rec.call("constant", 97, { dtype: "int32" }), { axis: 0 }),
  (rec, x) => rec.call("gather", x, rec.call("constant", -1, { dtype: "int64" }), { axis: 0 }),
  (rec, x) => rec.call("oneHot", rec.call("constant", 97, { dtype: "int32" }), 3, { dtype: x.dtype }),
  (rec) => rec.call("getVariable", "head-weight", { shape: [97] }),
  (rec) => rec.call("getVariable", "unmade"),
  (rec) => rec.call("getVariable", "../up", { shape: [1], initializer: flow.zerosInitializer() }),
  (rec, x) =>
    rec.call(
      "gradients",
      rec.call("getVariable", "aside", { shape: [1], dtype: x.dtype, initializer: flow.onesInitializer() }),
      x,
    ),
  (rec, x) => rec.call("gradients", x, x, { gradYs: rec.call("constant", 1, { dtype: x.dtype, shape: [97] }) }),
  (rec, x) => rec.scope("scope.namespace", [""], () => rec.call("nn.relu", x)),
  (rec, x) => rec.scope("scope.placement", ["cpu", "nowhere"], () => rec.call("nn.relu", x)),
  (rec, x) => rec.scope("scope.namespace", ["later"], async () => rec.call("nn.relu", x)),
  (_, x) => (x as unknown as number) + 1,
  (_, x) => (x as unknown as number) > 0,
  (rec, x) => rec.call("concat", [x, rec.call("constant", 1, { dtype: x.dtype, shape: [97, 97, 97] })], { axis: 0 }),
  (rec, x) => rec.call("transpose", x, { perm: [0, 0] }),
  (rec, x) =>
    rec.call(
      "slice",
      x,
      x.shape.map(() => 97),
      x.shape.map(() => 1),
    ),
  (rec, x) => rec.call("nn.dropout", x, 1.5),
  (rec, x) => rec.call("watch", x, 3),
  (rec) => rec.call("nn.relu", 3),
  (rec) => rec.call("nn.relu", undefined),
  (rec, x) => rec.call("layers.conv2d", rec.call("reshape", x, [1, 1, 1, -1]), 2, [97, 1], { name: "wide" }),
  (rec, x) => rec.call("nn.maxPool2d", rec.call("reshape", x, [1, 1, 1, -1]), 1, 0, "SAME"),
  (rec, x) => rec.call("nn.maxPool2d", rec.call("reshape", x, [1, 1, 1, -1]), 1, 1, "SOME"),
  (rec, x) =>
    rec.call(
      "nn.sparseSoftmaxCrossEntropyWithLogits",
      rec.call("constant", 97, { dtype: "int32", shape: [1] }),
      rec.call("reshape", x, [1, -1]),
    ),
  (rec, x) => rec.call("math.l2Normalize", x),
  (rec, x) => rec.call("math.topK", x, { k: 97 }),
  (rec, x) => rec.call("expandDims", x, 97),
  (rec, x) => rec.call("tile", x, [0]),
  (rec, x) => rec.call("broadcastTo", x, [97]),
  (rec, x) => rec.call("squeeze", rec.call("reshape", rec.call("concat", [x, x]), [2, -1]), { axis: [0] }),
  (rec, x) => rec.call("pad", x, [[-1, 0]]),
  (rec, x) => rec.call("cast", x, "float17"),
  (rec, x) => rec.call("constant", x),
  (rec, x) => rec.call("layers.batchNormalization", x, { axis: 97 }),
  (rec, x) => rec.call("layers.layerNorm", x, { beginNormAxis: 97 }),
  (rec, x) => dense(rec, x, { name: "bad", kernelInitializer: "zeros" }),
  (rec, x) => dense(rec, x, { name: "bad", activation: "relu" }),
  (rec, x) => rec.call("layers.dense", x, 0),
  (rec, x) => rec.call("layers.conv2d", x, 2, 0),
];
