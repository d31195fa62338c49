import * as flow from "onestep";
import { tp } from "onestep";
import { expect, test, vi } from "vitest";
import { encodeSavedModel } from "#src/engines/tensorflow/encode.js";
import { lowerJob, lowerVariable } from "#src/engines/tensorflow/lower/model.js";
import { lowers } from "#src/engines/tensorflow/lower/table.js";
import { compile } from "#src/job/compile.js";
import { defaultSession } from "#src/job/session.js";
import "../../jobs/support.js";
import { isReady } from "../ready.js";
import { readSavedModel } from "./read-saved-model.js";

// No GPU here: what is shown is the device that each node of the encoded graph asks for.

test.runIf(isReady("tensorflow"))(
  "on a TensorFlow without a GPU the job runs on the CPU, and one line says so",
  async () => {
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      for (const name of ["one", "two"]) {
        flow.config.engine("tensorflow");
        const job = flow.globalFunction({ name, returns: tp.Numpy }, [tp.Numpy.Placeholder([1])], (x) =>
          flow.scope.placement("gpu", "0:0", () => x.add(1)),
        );
        expect((await job([1])).item()).toBe(2);
        await flow.clearDefaultSession();
      }
      const lines = write.mock.calls.filter(([text]) => String(text).includes("running on the CPU"));
      expect(lines.length).toBe(1);
    } finally {
      write.mockRestore();
    }
  },
);

const labels = [0, 2];
const declare = () =>
  flow.globalFunction(
    { type: "train", name: "train_job", returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([2, 4]), tp.Numpy.Placeholder([2], { dtype: flow.int32 })],
    (x, y) => {
      const kernelInitializer = flow.truncatedNormal(0.5);
      const [logits, largest] = flow.scope.placement("gpu", "0:1-2", () => {
        const hidden = flow.layers.dense(x, 5, { activation: flow.nn.relu, kernelInitializer, name: "dense1" });
        const last = flow.scope.placement("cpu", "0:0", () =>
          flow.layers.dense(hidden, 3, { kernelInitializer, name: "dense2" }),
        );
        return [last, flow.math.argmax(hidden, { name: "largest" })] as const;
      });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(
        y,
        flow.math.sqrt(flow.math.square(logits), { name: "outside" }),
      );
      new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }).minimize(loss);
      return [loss, largest];
    },
  );

/** Nodes of the job's encoded graph. */
async function nodesOf(gpu: boolean) {
  const { traced } = defaultSession().job("train_job").latest;
  const { graph } = compile(traced, { name: "tensorflow", lowers }, { checkNumerics: false, variant: "" }).whole.native;
  const variables = lowerVariable("v0", { dtype: "float32", shape: [2] });
  const { nodes } = lowerJob("j0", graph, () => variables.handle, { gpu });
  return readSavedModel(await encodeSavedModel([...variables.nodes, ...nodes])).nodes;
}

test("with a GPU, ops carry the device of their placement, gradients that of their op", async () => {
  flow.config.engine("reference");
  const job = declare();
  await new flow.train.CheckPoint().init();
  await job(new Float32Array(8), labels);
  const nodes = await nodesOf(true);
  const on = (device: string) => nodes.filter((node) => (node.device ?? "") === device);
  expect([...new Set(nodes.map(({ device }) => device ?? ""))].sort()).toEqual(["", "/device:CPU:0", "/device:GPU:1"]);
  // Each layer's product, and the gradients of its weights and (of the second) of its input.
  const products = (device: string) => on(device).filter(({ op }) => op === "MatMul").length;
  expect([products("/device:GPU:1"), products("/device:CPU:0"), products("")]).toEqual([2, 3, 0]);
  expect(on("/device:GPU:1").some(({ op }) => op === "Relu" || op === "Maximum")).toBe(true);
  expect(on("").some(({ op }) => op === "ArgMax")).toBe(true);
  expect(on("").some(({ name, op }) => op === "Sqrt" && name.includes("/outside/"))).toBe(true);
  // Inputs, variables and what computes with integers are left to TensorFlow.
  for (const { op, device } of nodes)
    if (/Variable|VarHandle|Placeholder|Arg/.test(op)) expect([op, device ?? ""]).toEqual([op, ""]);
});

test("without one, none carries a device", async () => {
  flow.config.engine("reference");
  const job = declare();
  await new flow.train.CheckPoint().init();
  await job(new Float32Array(8), labels);
  expect((await nodesOf(false)).filter(({ device }) => (device ?? "") !== "")).toEqual([]);
});
