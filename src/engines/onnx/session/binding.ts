import { bug, FlowError } from "../../../core/errors.js";
import type { Tensor } from "../../../core/tensor.js";
import { edgeType, type Port } from "../encode.js";
import type { LoadOptions, Model, Runtime, Value } from "./runtime.js";

type Ort = typeof import("onnxruntime-node");
type OrtTensor = import("onnxruntime-node").Tensor;
type OrtSession = import("onnxruntime-node").InferenceSession;

/** onnxruntime-node's own JavaScript API: slower on small steps, and it copies outputs, but needs nothing else. */
export async function openBinding(): Promise<Runtime> {
  let ort: Ort;
  try {
    ort = await import("onnxruntime-node");
  } catch (cause) {
    throw new FlowError(
      "E_ENGINE",
      `onnx: onnxruntime-node does not load on ${process.platform} ${process.arch}: ${(cause as Error).message}; reinstall it, or use flow.config.engine("reference")`,
      { cause },
    );
  }
  return {
    kind: "binding",
    value: (tensor) => new BindingValue(ort, tensor),
    async load(bytes, inputs, outputs, { threads, fusions = true, memoryPattern = true, unfit = [] }: LoadOptions) {
      const session = await explained(() =>
        ort.InferenceSession.create(bytes, {
          logSeverityLevel: 3,
          enableMemPattern: memoryPattern,
          extra: { optimization: { disable_specified_optimizers: unfit.join(";") } },
          ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
          ...(fusions ? {} : { graphOptimizationLevel: "basic" as const }),
        }),
      );
      return new BindingModel(session, inputs, outputs);
    },
  };
}

async function explained<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    throw new FlowError("E_ENGINE", `onnx: onnxruntime says: ${(cause as Error).message}`, { cause });
  }
}

class BindingValue implements Value {
  readonly ortTensor: OrtTensor;
  constructor(
    ort: Ort,
    readonly tensor: Tensor,
  ) {
    const { dtype, data, shape } = tensor;
    this.ortTensor = new ort.Tensor(edgeType(dtype), data as never, [...shape]);
  }
  release(): void {
    this.ortTensor.dispose();
  }
}

class BindingModel implements Model {
  /** The binding has asynchronous runs only. */
  readonly quick = false;
  constructor(
    readonly session: OrtSession,
    readonly inputs: readonly Port[],
    readonly outputs: readonly Port[],
  ) {}

  async run(inputs: readonly Value[], outputs: readonly Value[]): Promise<void> {
    const feeds = Object.fromEntries(this.inputs.map(({ name }, i) => [name, (inputs[i] as BindingValue).ortTensor]));
    const results = await explained(() =>
      this.session.run(
        feeds,
        this.outputs.map(({ name }) => name),
      ),
    );
    for (const [i, { name }] of this.outputs.entries())
      (outputs[i]!.tensor.data as Float32Array).set(results[name]!.data as Float32Array);
  }

  runNow(): void {
    throw bug("onnxruntime-node's binding runs nothing in place");
  }

  release(): void {
    void this.session.release();
  }
}
