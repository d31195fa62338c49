// Writes the ONNX models of a few train jobs for check_onnx.py: ONESTEP_DEBUG=3 npx tsx test/interop/emit_models.ts
import * as flow from "onestep";
import { tp } from "onestep";

const { optimizer } = flow;
const falling = new optimizer.PiecewiseConstantScheduler([5, 10], [0.1, 0.05, 0.01]);
const optimizers: Readonly<Record<string, () => flow.optimizer.Optimizer>> = {
  sgd: () => new optimizer.SGD(new optimizer.PiecewiseConstantScheduler([], [0.1]), { momentum: 0 }),
  momentum: () => new optimizer.SGD(falling, { gradClipping: optimizer.gradClipping.byGlobalNorm(1) }),
  adam: () => new optimizer.Adam(falling, { doBiasCorrection: true }),
};

for (const [name, make] of Object.entries(optimizers)) {
  const job = flow.globalFunction(
    { type: "train", name, returns: [tp.Numpy, tp.Numpy] },
    [tp.Numpy.Placeholder([100, 1, 28, 28]), tp.Numpy.Placeholder([100], { dtype: flow.int32 })],
    (images, labels) => {
      const kernelRegularizer = flow.regularizers.l1L2();
      const hidden = flow.layers.dense(flow.reshape(images, [100, -1]), 512, {
        activation: flow.nn.relu,
        name: "dense1",
        kernelRegularizer,
      });
      const logits = flow.layers.dense(flow.nn.dropout(hidden, 0.5, { name: "dropout" }), 10, { name: "dense2" });
      const loss = flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits);
      make().minimize(loss);
      return [loss, flow.math.argmax(logits)];
    },
  );
  await new flow.train.CheckPoint().init();
  await job(new Float32Array(78400), new Int32Array(100));
  await flow.clearDefaultSession();
}
