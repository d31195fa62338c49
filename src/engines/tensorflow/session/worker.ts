import { constants } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { Gate } from "./gate.js";
import type { Answer, Feed, Hello, Request, Start } from "./messages.js";

// tfjs-node's binding runs a session on the thread that calls it, so it has a thread of its own.

interface Info {
  readonly id: number;
}
/** What tfjs-node's binding exports, as far as we use it. */
interface Binding {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  createTensor(shape: readonly number[], type: number, data: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): { readonly buffer: ArrayBuffer };
  loadSavedModel(directory: string, tags: string): number;
  deleteSavedModel(model: number): void;
  runSavedModel(model: number, inputs: readonly number[], names: string, fetches: string): readonly Info[];
}

// dlfcn.h
const neverUnload = process.platform === "win32" ? 0 : process.platform === "darwin" ? 0x80 : 0x1000;

const port = parentPort!;
const start = workerData as Start;
const gate = new Gate(start.gate);
const binding = open();

/** types.proto, and the array that the binding wants for it: int64 as pairs of int32. */
const arrays = {
  float32: [1, Float32Array],
  int32: [3, Int32Array],
  int64: [9, Int32Array],
  bool: [10, Uint8Array],
} as const;

/**
 * Loads the binding for good: a thread that ends unloads what only it has loaded, and the process crashes when the code of
 * TensorFlow's own threads is gone.
 */
function load(file: string): Binding {
  const module = { exports: {} as Binding };
  process.dlopen(module, file, constants.dlopen.RTLD_NOW | neverUnload);
  return module.exports;
}

function open(): Binding | undefined {
  let loaded: Binding | undefined;
  let hello: Hello;
  try {
    // Read when the library is loaded.
    const wanted = {
      TF_CPP_MIN_LOG_LEVEL: "3",
      ...(start.threads === undefined ? {} : { TF_NUM_INTRAOP_THREADS: String(start.threads) }),
    };
    [loaded, hello] = gate.pass(() => {
      const it = withEnvironment(wanted, () => load(start.binding));
      return [it, { version: it.TF_Version, gpu: it.isUsingGpuDevice() }];
    });
  } catch (error) {
    hello = { broken: (error as Error).message };
  }
  port.postMessage(hello);
  return loaded;
}

/** An action while the environment of the process says more; what the user set stays. */
function withEnvironment<T>(wanted: Readonly<Record<string, string>>, action: () => T): T {
  const added = Object.entries(wanted).filter(([name]) => process.env[name] === undefined);
  for (const [name, value] of added) process.env[name] = value;
  try {
    return action();
  } finally {
    for (const [name] of added) delete process.env[name];
  }
}

function tensorOf({ type, shape, bytes }: Feed): number {
  const [code, Class] = arrays[type];
  return binding!.createTensor(
    shape,
    code,
    new Class(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / Class.BYTES_PER_ELEMENT),
  );
}

function run(model: number, feeds: readonly Feed[], fetches: readonly string[]): readonly ArrayBuffer[] {
  const held: number[] = [];
  try {
    for (const feed of feeds) held.push(tensorOf(feed));
    const results = binding!.runSavedModel(
      model,
      held,
      feeds.map(({ name }) => withPort(name)).join(","),
      fetches.map(withPort).join(","),
    );
    for (const { id } of results) held.push(id);
    return results.map(({ id }) => binding!.tensorDataSync(id).buffer);
  } finally {
    for (const id of held) binding!.deleteTensor(id);
  }
}

const withPort = (name: string): string => (name.includes(":") ? name : `${name}:0`);

function answer(id: number, request: Request): Answer {
  switch (request.kind) {
    case "load":
      // Read with the first graph: ops run one after the other on the thread that calls, each on all cores. A step has little
      // to run side by side, and handing its ops to other threads costs 1 us each.
      return withEnvironment({ TF_NUM_INTEROP_THREADS: "-1" }, () => ({
        id,
        model: binding!.loadSavedModel(request.directory, request.tag),
      }));
    case "run":
      return { id, buffers: run(request.model, request.feeds, request.fetches) };
    case "release":
      binding!.deleteSavedModel(request.model);
      return { id, buffers: [] };
  }
}

port.on("message", ({ id, request }: { readonly id: number; readonly request: Request }) => {
  let reply: Answer;
  try {
    reply = gate.pass(() => answer(id, request));
  } catch (error) {
    reply = { id, error: (error as Error).message };
  }
  port.postMessage(reply, "buffers" in reply ? [...reply.buffers] : []);
});
