import { parentPort, workerData } from "node:worker_threads";
import { load } from "./load.js";
import type { Answer, Feed, Hello, Request } from "./messages.js";

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

const port = parentPort!;
const binding = await open();

/** types.proto, and the array that the binding wants for it: int64 as pairs of int32. */
const arrays = {
  float32: [1, Float32Array],
  int32: [3, Int32Array],
  int64: [9, Int32Array],
  bool: [10, Uint8Array],
} as const;

async function open(): Promise<Binding | undefined> {
  let hello: Hello;
  let loaded: Binding | undefined;
  try {
    const { exports, stays } = await load(workerData as string);
    loaded = exports as Binding;
    hello = { version: loaded.TF_Version, gpu: loaded.isUsingGpuDevice(), stays };
  } catch (error) {
    hello = { broken: (error as Error).message };
  }
  port.postMessage(hello);
  return loaded;
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
      return { id, model: binding!.loadSavedModel(request.directory, request.tag) };
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
    reply = answer(id, request);
  } catch (error) {
    reply = { id, error: (error as Error).message };
  }
  port.postMessage(reply, "buffers" in reply ? [...reply.buffers] : []);
});
