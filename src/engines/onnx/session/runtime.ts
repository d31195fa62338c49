import type { Tensor } from "../../../core/tensor.js";
import type { Port } from "../encode.js";

/** An engine handle over a tensor's own memory: nothing is copied, and the memory stays alive until `release`. */
export interface Value {
  readonly tensor: Tensor;
  release(): void;
}

/** A loaded model. Inputs and outputs come in the order of its ports; outputs are written in place. */
export interface Model {
  /** Whether a run takes so little time that the event loop can wait for it. */
  readonly quick: boolean;
  run(inputs: readonly Value[], outputs: readonly Value[]): Promise<void>;
  /** As `run`, in place; only of a model that is quick. */
  runNow(inputs: readonly Value[], outputs: readonly Value[]): void;
  release(): void;
}

export interface LoadOptions {
  /** Threads of one op; all cores where left out. */
  readonly threads?: number;
  /** False keeps onnxruntime from putting ops of its own in the place of several; default true. */
  readonly fusions?: boolean;
  /**
   * Whether runs after the first take one block of memory, at places planned by the first, which onnxruntime keeps beside what the first
   * run took; default true.
   */
  readonly memoryPattern?: boolean;
  /** Names of onnxruntime's optimizers to leave out; default none. */
  readonly unfit?: readonly string[];
}

/** onnxruntime, by one of two ways in. */
export interface Runtime {
  readonly kind: "c-api" | "binding";
  value(tensor: Tensor): Value;
  load(bytes: Uint8Array, inputs: readonly Port[], outputs: readonly Port[], options: LoadOptions): Promise<Model>;
}

const opened = new Map<string, Promise<Runtime>>();

/**
 * The C API through koffi; onnxruntime-node's own binding where koffi has no binary for this machine, or where
 * `ONESTEP_ONNX_BINDING=1` asks for it. One runtime a process and kind.
 */
export function openRuntime(
  kind: Runtime["kind"] | undefined = process.env.ONESTEP_ONNX_BINDING === "1" ? "binding" : undefined,
): Promise<Runtime> {
  const key = kind ?? "";
  const known = opened.get(key) ?? open(kind);
  opened.set(key, known);
  known.catch(() => opened.delete(key));
  return known;
}

async function open(kind: Runtime["kind"] | undefined): Promise<Runtime> {
  if (kind !== "binding") {
    const { openCApi } = await import("./c-api.js");
    const runtime = await openCApi();
    if (runtime !== undefined) return runtime;
  }
  const { openBinding } = await import("./binding.js");
  return await openBinding();
}
