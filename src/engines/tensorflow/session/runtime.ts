import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bug, FlowError } from "../../../core/errors.js";
import type { EngineOptions } from "../../engine.js";
import { Calls, callAside, cString, type Handle, type Koffi, openKoffi, pointers } from "../../koffi.js";
import { defaultThreads } from "../../usable-cores.js";
import type { EdgeType } from "../edge.js";
import { elementTypes, encodeConfig } from "../encode.js";
import type { Feed } from "../lower/model.js";
import { tag } from "../versions.js";
import { type Api, openApi, Status } from "./c-api.js";
import { quiet, withEnvironment } from "./quiet.js";
import { openSystem, type System } from "./system.js";
import { doesNotLoad, librariesToTry } from "./tfjs-node.js";

/** A call of a loaded graph: what it feeds, as bytes of the edge types, gives what it fetches, likewise, in memory of its own. */
export interface Call {
  run(feeds: readonly Uint8Array[]): Promise<readonly ArrayBuffer[]>;
  /** Frees the memory of feeds, which is kept from run to run. */
  release(): void;
}

/** A loaded SavedModel with its variables. */
export interface Model {
  /** A call that feeds these placeholders and fetches values by name. TensorFlow prepares each set at its first run. */
  call(feeds: readonly Feed[], fetches: readonly string[]): Call;
  release(): Promise<void>;
}

/** TensorFlow's C library, that of tfjs-node, through koffi. */
export interface Runtime {
  readonly version: string;
  readonly gpu: boolean;
  /** Where the library was found. */
  readonly path: string;
  /** Threads of one op where the environment does not say; TensorFlow's own choice where undefined. */
  readonly threads: number | undefined;
  load(savedModel: Uint8Array): Promise<Model>;
}

let opened: Promise<Runtime> | undefined;

/** TensorFlow's runtime, one for a process: its thread count is that of the first call. */
export async function openRuntime({ threads }: Pick<EngineOptions, "threads"> = {}): Promise<Runtime> {
  opened ??= open(threads ?? defaultThreads());
  opened.catch(() => {
    opened = undefined;
  });
  const runtime = await opened;
  if (threads !== undefined && threads !== runtime.threads)
    process.stderr.write(
      `tensorflow: one op keeps to ${runtime.threads ?? "TensorFlow's own number of"} threads, as when the process first used it; ${threads} would need another process\n`,
    );
  return runtime;
}

/** The first library that loads; where none does, why the best one does not. */
async function open(threads: number | undefined): Promise<Runtime> {
  const libraries = librariesToTry();
  const koffi = await openKoffi();
  if (koffi === undefined)
    throw new FlowError(
      "E_ENGINE",
      `tensorflow: koffi, through which TensorFlow is called, does not load on ${process.platform} ${process.arch}; use flow.config.engine("onnx")`,
    );
  const system = openSystem(koffi);
  let first: FlowError | undefined;
  const loud = quiet(system, libraries);
  try {
    for (const path of libraries) {
      try {
        return await withEnvironment(system, { TF_CPP_MIN_LOG_LEVEL: "3" }, () =>
          TensorFlow.start(koffi, system, path, threads),
        );
      } catch (error) {
        first ??= doesNotLoad(path, (error as Error).message);
      }
    }
    throw first;
  } finally {
    loud();
  }
}

class TensorFlow implements Runtime {
  private constructor(
    readonly koffi: Koffi,
    readonly system: System,
    readonly api: Api,
    readonly path: string,
    readonly threads: number | undefined,
    readonly config: Uint8Array,
    readonly gpu: boolean,
  ) {}

  get version(): string {
    return String(this.api.TF_Version());
  }

  /** Opens a session without a graph: TensorFlow makes its devices and threads with the first. */
  static async start(koffi: Koffi, system: System, path: string, threads: number | undefined): Promise<Runtime> {
    const api = await openApi(koffi, system, path);
    const config = await configOf(threads);
    const [status, graph, options] = [new Status(api), api.TF_NewGraph(), optionsOf(api, config)];
    try {
      const session = await callAside(api.TF_NewSession, graph, options, status.handle);
      status.check();
      const gpu = hasGpu(api, session as Handle, status);
      api.TF_DeleteSession(session, status.handle);
      return new TensorFlow(koffi, system, api, path, threads, config, gpu);
    } finally {
      api.TF_DeleteSessionOptions(options);
      api.TF_DeleteGraph(graph);
      status.release();
    }
  }

  async load(savedModel: Uint8Array): Promise<Model> {
    const { api, koffi, config } = this;
    const directory = await mkdtemp(join(tmpdir(), "onestep-tensorflow-"));
    const [status, graph, options] = [new Status(api), api.TF_NewGraph() as Handle, optionsOf(api, config)];
    try {
      await writeFile(join(directory, "saved_model.pb"), savedModel);
      const tags = pointers(1);
      tags[0] = koffi.address(tagText);
      const load = api.TF_LoadSessionFromSavedModel;
      const session = await callAside(load, options, null, directory, tags, 1, graph, null, status.handle);
      status.check();
      return new LoadedModel(this, graph, session as Handle, status);
    } catch (error) {
      api.TF_DeleteGraph(graph);
      status.release();
      throw error;
    } finally {
      api.TF_DeleteSessionOptions(options);
      await rm(directory, { recursive: true, force: true });
    }
  }
}

const tagText = cString(tag);

/**
 * Ops run one after the other on the thread that calls, each on all cores: a step has little to run side by side, and handing
 * its ops to other threads costs 1 us each. What the user set in the environment counts.
 */
function configOf(threads: number | undefined): Promise<Uint8Array> {
  const isSet = (name: string): boolean => process.env[name] !== undefined;
  return encodeConfig({
    threads: isSet("TF_NUM_INTRAOP_THREADS") ? undefined : threads,
    interOpThreads: isSet("TF_NUM_INTEROP_THREADS") ? undefined : -1,
  });
}

function optionsOf(api: Api, config: Uint8Array): Handle {
  const options = api.TF_NewSessionOptions() as Handle;
  const status = new Status(api);
  try {
    api.TF_SetConfig(options, config, config.byteLength, status.handle);
    status.check();
    return options;
  } finally {
    status.release();
  }
}

function hasGpu(api: Api, session: Handle, status: Status): boolean {
  const devices = api.TF_SessionListDevices(session, status.handle) as Handle;
  status.check();
  const count = api.TF_DeviceListCount(devices) as number;
  const types = Array.from({ length: count }, (_, i) => api.TF_DeviceListType(devices, i, status.handle));
  api.TF_DeleteDeviceList(devices);
  return types.includes("GPU");
}

class LoadedModel implements Model {
  readonly #operations = new Map<string, Handle>();
  constructor(
    readonly runtime: TensorFlow,
    readonly graph: Handle,
    readonly session: Handle,
    readonly status: Status,
  ) {}

  call(feeds: readonly Feed[], fetches: readonly string[]): Call {
    return new SessionCall(this, feeds, fetches);
  }

  /** A list of the C API's `TF_Output { TF_Operation* oper; int index; }`. */
  ports(names: readonly string[]): BigUint64Array {
    const ports = pointers(2 * names.length);
    for (const [i, name] of names.entries()) {
      const [node, index = "0"] = name.split(":") as [string, string?];
      ports[2 * i] = this.#operation(node);
      ports[2 * i + 1] = BigInt(index);
    }
    return ports;
  }

  #operation(name: string): Handle {
    const known = this.#operations.get(name);
    if (known !== undefined) return known;
    const found = this.runtime.api.TF_GraphOperationByName(this.graph, name) as Handle | null;
    if (!found) throw bug(`tensorflow engine: the graph has no node '${name}'`);
    this.#operations.set(name, found);
    return found;
  }

  async release(): Promise<void> {
    const { api } = this.runtime;
    await callAside(api.TF_DeleteSession, this.session, this.status.handle);
    api.TF_DeleteGraph(this.graph);
    this.status.release();
  }
}

class SessionCall implements Call {
  readonly #runs: Calls;
  readonly #inputPorts: BigUint64Array;
  readonly #inputs: BigUint64Array;
  readonly #data: readonly Handle[];
  readonly #outputPorts: BigUint64Array;
  readonly #outputs: BigUint64Array;

  constructor(
    readonly model: LoadedModel,
    readonly feeds: readonly Feed[],
    readonly fetches: readonly string[],
  ) {
    const { api } = model.runtime;
    this.#runs = new Calls(api.TF_SessionRun);
    this.#inputPorts = model.ports(feeds.map(({ name }) => name));
    this.#outputPorts = model.ports(fetches);
    this.#inputs = pointers(feeds.length);
    this.#outputs = pointers(fetches.length);
    this.#data = feeds.map((feed, i) => {
      this.#inputs[i] = allocate(api, feed);
      return api.TF_TensorData(this.#inputs[i]) as Handle;
    });
  }

  async run(values: readonly Uint8Array[]): Promise<readonly ArrayBuffer[]> {
    const { session, status, runtime } = this.model;
    for (const [i, bytes] of values.entries()) runtime.system.copy(this.#data[i]!, bytes, bytes.byteLength);
    await this.#runs.make(
      session,
      null,
      this.#inputPorts,
      this.#inputs,
      this.feeds.length,
      this.#outputPorts,
      this.#outputs,
      this.fetches.length,
      null,
      0,
      null,
      status.handle,
    );
    status.check();
    return this.fetches.map((_, i) => this.#taken(this.#outputs[i]!));
  }

  /** A result's bytes; the tensor is freed. */
  #taken(tensor: Handle): ArrayBuffer {
    const { api, system } = this.model.runtime;
    const bytes = new Uint8Array(Number(api.TF_TensorByteSize(tensor)));
    system.copy(bytes, api.TF_TensorData(tensor) as Handle, bytes.byteLength);
    api.TF_DeleteTensor(tensor);
    return bytes.buffer;
  }

  release(): void {
    for (let i = 0; i < this.feeds.length; i++) this.model.runtime.api.TF_DeleteTensor(this.#inputs[i]);
  }
}

const widths: Readonly<Record<EdgeType, number>> = { float32: 4, int32: 4, int64: 8, bool: 1 };

function allocate(api: Api, { type, shape }: Feed): Handle {
  const bytes = shape.reduce((product, size) => product * size, widths[type]);
  return api.TF_AllocateTensor(elementTypes[type], BigInt64Array.from(shape, BigInt), shape.length, bytes) as Handle;
}
