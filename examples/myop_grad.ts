// An op of one's own with a gradient of one's own, compared with the same formula built from operators: the documented
// program, with the op registered in TypeScript. Both jobs train the variable v1; the second sees what the first has updated.
import * as flow from "onestep";
import { tp } from "onestep";
import { show } from "./support/show.js";

/** `3 x x`, whose gradient is `6 x`. */
const myop = flow.registerOp("myop", {
  infer: ([x]) => ({ dtype: x!.dtype, shape: x!.shape }),
  lower: ([x]) => x!.mul(x!).mul(3),
  grad: ({ inputs: [x], dy }) => [x!.mul(6).mul(dy)],
});

/** A job that trains v1 on `f(x + v1)`; `handler` gets the gradient of `x + v1`. */
const makeJob = (name: string, f: (x: flow.Blob) => flow.Blob, handler: (gradient: flow.NdArray) => void) =>
  flow.globalFunction({ type: "train", name, returns: tp.Numpy }, [tp.Numpy.Placeholder([5])], (input) => {
    const v1 = flow.getVariable("v1", { shape: [5], dtype: flow.float, initializer: flow.zerosInitializer() });
    const x = input.add(v1);
    const loss = f(x);
    const lrScheduler = new flow.optimizer.PiecewiseConstantScheduler([], [1e-4]);
    new flow.optimizer.SGD(lrScheduler, { momentum: 0 }).minimize(loss);
    flow.watchDiff(x, handler);
    return loss;
  });

const job1 = makeJob(
  "job1",
  (x) => myop([x], {}, { name: "myop1" }),
  (gradient) => console.log("x_diff1", show(gradient)),
);
const job2 = makeJob(
  "job2",
  (x) => flow.math.multiply(x, x).mul(3),
  (gradient) => console.log("x_diff2", show(gradient)),
);

await new flow.train.CheckPoint().init();
const x = Float32Array.of(-2, -1, 0, 1, 2);
console.log("out1", show(await job1(x)));
console.log("out2", show(await job2(x)));
