import { bug, FlowError } from "../../../core/errors.js";
import type { Tensor } from "../../../core/tensor.js";
import {
  Calls,
  callAside,
  cString,
  type Handle,
  type Koffi,
  type NativeFunction,
  openKoffi,
  pointers,
} from "../../koffi.js";
import { edgeType, onnxElementType, type Port } from "../encode.js";
import { libraryPath } from "./library.js";
import type { LoadOptions, Model, Runtime, Value } from "./runtime.js";

// onnxruntime_c_api.h: the table's order never changes, new entries are appended. Version 22 is the oldest that has all of these.
const apiVersion = 22;
const table = {
  GetErrorMessage: [2, "const char *", ["void *"]],
  CreateEnv: [3, "void *", ["int", "const char *", "void *"]],
  CreateSessionFromArray: [8, "void *", ["void *", "void *", "size_t", "void *", "void *"]],
  Run: [9, "void *", ["void *", "void *", "void *", "void *", "size_t", "void *", "size_t", "void *"]],
  CreateSessionOptions: [10, "void *", ["void *"]],
  DisableMemPattern: [17, "void *", ["void *"]],
  SetSessionGraphOptimizationLevel: [23, "void *", ["void *", "int"]],
  SetIntraOpNumThreads: [24, "void *", ["void *", "int"]],
  CreateTensorWithDataAsOrtValue: [49, "void *", ["void *", "void *", "size_t", "void *", "size_t", "int", "void *"]],
  CreateCpuMemoryInfo: [69, "void *", ["int", "int", "void *"]],
  ReleaseStatus: [93, "void", ["void *"]],
  ReleaseSession: [95, "void", ["void *"]],
  ReleaseValue: [96, "void", ["void *"]],
  ReleaseSessionOptions: [100, "void", ["void *"]],
  AddSessionConfigEntry: [130, "void *", ["void *", "const char *", "const char *"]],
} as const;
type Api = Record<keyof typeof table, NativeFunction>;

// Errors come back as a status: printing them too would show what a refused step means to tell by itself.
const logFatalOnly = 4;
const basicOptimizations = 1;

/** A pointer-sized cell that native code writes. */
const cell = (): BigUint64Array => pointers(1);

/** The runtime by the C API, or undefined where koffi is not to be had. */
export async function openCApi(): Promise<Runtime | undefined> {
  const koffi = await openKoffi();
  if (koffi === undefined) return undefined;
  const library = koffi.load(libraryPath());
  const base = library.func("void *OrtGetApiBase()")() as Handle;
  const getApi = koffi.decode(koffi.decode(base, "void *"), koffi.proto("void *(uint32_t)")) as NativeFunction;
  const entries = getApi(apiVersion) as Handle;
  if (!entries)
    throw new FlowError(
      "E_ENGINE",
      `onnx: the bundled onnxruntime lacks API version ${apiVersion}; reinstall onnxruntime-node`,
    );
  const api = Object.fromEntries(
    Object.entries(table).map(([name, [index, result, args]]) => [
      name,
      koffi.decode(koffi.decode(entries, index * 8, "void *"), koffi.proto(null, result, [...args])),
    ]),
  ) as Api;
  return new CApi(koffi, api, library);
}

class CApi implements Runtime {
  readonly kind = "c-api";
  readonly #env: Handle;
  readonly #memory: Handle;

  constructor(
    readonly koffi: Koffi,
    readonly api: Api,
    /** Held: koffi closes a library whose handle is collected, whatever functions were taken from it. */
    readonly library: unknown,
  ) {
    this.#env = this.#made((out) => api.CreateEnv(logFatalOnly, "onestep", out));
    this.#memory = this.#made((out) => api.CreateCpuMemoryInfo(0, 0, out));
  }

  value(tensor: Tensor): OrtValue {
    const { data, shape, dtype } = tensor;
    const dims = BigInt64Array.from(shape, BigInt);
    const handle = this.#made((out) =>
      this.api.CreateTensorWithDataAsOrtValue(
        this.#memory,
        data,
        data.byteLength,
        dims,
        shape.length,
        onnxElementType[edgeType(dtype)],
        out,
      ),
    );
    return new OrtValue(tensor, handle, this.api);
  }

  async load(
    bytes: Uint8Array,
    inputs: readonly Port[],
    outputs: readonly Port[],
    { threads, fusions = true, memoryPattern = true, unfit = [] }: LoadOptions,
  ): Promise<Model> {
    const options = this.#made((out) => this.api.CreateSessionOptions(out));
    try {
      if (!memoryPattern) this.check(this.api.DisableMemPattern(options));
      if (threads !== undefined) this.check(this.api.SetIntraOpNumThreads(options, threads));
      if (unfit.length > 0)
        this.check(
          this.api.AddSessionConfigEntry(options, "optimization.disable_specified_optimizers", unfit.join(";")),
        );
      if (!fusions) this.check(this.api.SetSessionGraphOptimizationLevel(options, basicOptimizations));
      const out = cell();
      this.check(await callAside(this.api.CreateSessionFromArray, this.#env, bytes, bytes.byteLength, options, out));
      return new CModel(this, out[0]!, inputs, outputs);
    } finally {
      this.api.ReleaseSessionOptions(options);
    }
  }

  /** Throws onnxruntime's message where a call returned a status. */
  check(status: unknown): void {
    if (!status) return;
    const message = String(this.api.GetErrorMessage(status));
    this.api.ReleaseStatus(status);
    throw new FlowError("E_ENGINE", `onnx: onnxruntime says: ${message.trim()}`);
  }

  #made(create: (out: BigUint64Array) => unknown): Handle {
    const out = cell();
    this.check(create(out));
    return out[0]!;
  }
}

class OrtValue implements Value {
  constructor(
    readonly tensor: Tensor,
    readonly handle: Handle,
    readonly api: Api,
  ) {}

  release(): void {
    this.api.ReleaseValue(this.handle);
  }
}

class CModel implements Model {
  readonly #inputNames: Names;
  readonly #outputNames: Names;
  readonly #inputs: BigUint64Array;
  readonly #outputs: BigUint64Array;
  readonly #runs: Calls;

  constructor(
    readonly runtime: CApi,
    readonly session: Handle,
    inputs: readonly Port[],
    outputs: readonly Port[],
  ) {
    this.#inputNames = new Names(runtime.koffi, inputs);
    this.#outputNames = new Names(runtime.koffi, outputs);
    this.#runs = new Calls(runtime.api.Run);
    this.#inputs = pointers(inputs.length);
    this.#outputs = pointers(outputs.length);
  }

  get quick(): boolean {
    return this.#runs.quick;
  }

  async run(inputs: readonly Value[], outputs: readonly Value[]): Promise<void> {
    this.runtime.check(await this.#runs.make(...this.#arguments(inputs, outputs)));
  }

  runNow(inputs: readonly Value[], outputs: readonly Value[]): void {
    this.runtime.check(this.#runs.makeNow(...this.#arguments(inputs, outputs)));
  }

  release(): void {
    this.runtime.api.ReleaseSession(this.session);
  }

  #arguments(inputs: readonly Value[], outputs: readonly Value[]): readonly unknown[] {
    if (inputs.length !== this.#inputNames.count || outputs.length !== this.#outputNames.count)
      throw bug(`model run with ${inputs.length} inputs and ${outputs.length} outputs`);
    for (let i = 0; i < inputs.length; i++) this.#inputs[i] = (inputs[i] as OrtValue).handle;
    for (let i = 0; i < outputs.length; i++) this.#outputs[i] = (outputs[i] as OrtValue).handle;
    return [
      this.session,
      null,
      this.#inputNames.pointers,
      this.#inputs,
      inputs.length,
      this.#outputNames.pointers,
      outputs.length,
      this.#outputs,
    ];
  }
}

/** C strings and the array of pointers to them, kept alive together. */
class Names {
  readonly count: number;
  readonly pointers: BigUint64Array;
  readonly #strings: readonly Uint8Array[];
  constructor(koffi: Koffi, ports: readonly Port[]) {
    this.count = ports.length;
    this.#strings = ports.map(({ name }) => cString(name));
    this.pointers = pointers(this.count);
    this.#strings.forEach((bytes, i) => {
      this.pointers[i] = koffi.address(bytes);
    });
  }
}
