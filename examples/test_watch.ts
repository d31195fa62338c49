// Shows a blob while a job runs: the documented program.
import * as flow from "onestep";
import { tp } from "onestep";
import { show } from "./support/show.js";

function watchHandler(y: flow.NdArray): void {
  console.log("out", show(y));
}

const reluJob = flow.globalFunction({ name: "ReluJob", returns: null }, [tp.Numpy.Placeholder([5])], (x) => {
  const y = flow.nn.relu(x);
  flow.watch(y, watchHandler);
});

const normal = (): number => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const data = Float32Array.from({ length: 5 }, normal);
console.log("in", show(data));
await reluJob(data);
