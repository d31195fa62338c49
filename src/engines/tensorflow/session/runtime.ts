import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SHARE_ENV, Worker } from "node:worker_threads";
import { FlowError } from "../../../core/errors.js";
import type { EngineOptions } from "../../engine.js";
import { tag } from "../versions.js";
import { bindingsToTry, doesNotLoad } from "./binding.js";
import { Gate } from "./gate.js";
import type { Answer, Feed, Hello, Request, Start } from "./messages.js";
import { quiet } from "./quiet.js";

export type { Feed } from "./messages.js";

/**
 * A loaded SavedModel with its variables. Fetches are in the order asked for, as bytes of the edge types. Feeds that are the same
 * at each call go through memory that is kept for them and shared with the thread where `keep` is set.
 */
export interface Model {
  run(
    feeds: readonly Feed[],
    fetches: readonly string[],
    options?: { readonly keep?: boolean },
  ): Promise<readonly ArrayBuffer[]>;
  release(): Promise<void>;
}

/** TensorFlow's C library behind tfjs-node's binding, on a thread of its own. */
export interface Runtime {
  readonly version: string;
  readonly gpu: boolean;
  readonly binding: string;
  /** Threads of one op; TensorFlow's own choice where undefined. */
  readonly threads: number | undefined;
  load(savedModel: Uint8Array): Promise<Model>;
}

let opened: Promise<Runtime> | undefined;

/** TensorFlow's runtime, one for a process: its thread count is that of the first call. */
export async function openRuntime({ threads }: Pick<EngineOptions, "threads"> = {}): Promise<Runtime> {
  opened ??= WorkerRuntime.open(threads, () => {
    opened = undefined;
  });
  const runtime = await opened;
  if (threads !== undefined && threads !== runtime.threads)
    process.stderr.write(
      `tensorflow: one op keeps to ${runtime.threads ?? "TensorFlow's own number of"} threads, as when the process first used it; ${threads} would need another process\n`,
    );
  return runtime;
}

class WorkerRuntime implements Runtime {
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: unknown): void }>();
  #count = 0;

  private constructor(
    readonly worker: Worker,
    readonly binding: string,
    readonly threads: number | undefined,
    readonly version: string,
    readonly gpu: boolean,
    lost: () => void,
  ) {
    worker.on("message", (answer: Answer) => this.#settle(answer));
    const fail = (cause: unknown): void => {
      lost();
      for (const { reject } of this.#waiting.values())
        reject(new FlowError("E_ENGINE", "tensorflow: the thread that runs TensorFlow has ended", { cause }));
      this.#waiting.clear();
    };
    worker.on("error", fail);
    worker.on("exit", fail);
    worker.unref();
  }

  /** The first binding that loads; where none does, why the best one does not. */
  static async open(threads: number | undefined, lost: () => void): Promise<Runtime> {
    let first: FlowError | undefined;
    try {
      for (const binding of bindingsToTry()) {
        const { worker, hello } = await start(binding, threads);
        if (!("broken" in hello)) return new WorkerRuntime(worker, binding, threads, hello.version, hello.gpu, lost);
        await worker.terminate();
        first ??= doesNotLoad(binding, hello.broken);
      }
      throw first;
    } catch (error) {
      lost();
      throw error;
    }
  }

  async load(savedModel: Uint8Array): Promise<Model> {
    const directory = await mkdtemp(join(tmpdir(), "onestep-tensorflow-"));
    try {
      await writeFile(join(directory, "saved_model.pb"), savedModel);
      const { model } = (await this.#ask({ kind: "load", directory, tag })) as { readonly model: number };
      const kept = new Map<string, Uint8Array>();
      return {
        run: async (feeds, fetches, { keep = false } = {}) => {
          const given = keep ? feeds.map((feed) => shared(feed, kept)) : feeds;
          const answer = await this.#ask({ kind: "run", model, feeds: given, fetches });
          return (answer as { readonly buffers: readonly ArrayBuffer[] }).buffers;
        },
        release: async () => {
          await this.#ask({ kind: "release", model });
        },
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  #ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = this.#count++;
      // An idle thread keeps no process alive, a call under way does.
      if (this.#waiting.size === 0) this.worker.ref();
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request });
    });
  }

  #settle(answer: Answer): void {
    const { resolve, reject } = this.#waiting.get(answer.id)!;
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.worker.unref();
    if ("error" in answer) reject(new FlowError("E_ENGINE", `tensorflow: TensorFlow says: ${answer.error}`));
    else resolve(answer);
  }
}

/** A feed in memory that the thread sees too; by message it would be copied twice, into memory never touched before. */
function shared(feed: Feed, kept: Map<string, Uint8Array>): Feed {
  const { name, bytes } = feed;
  let memory = kept.get(name);
  if (memory?.byteLength !== bytes.byteLength) {
    memory = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
    kept.set(name, memory);
  }
  memory.set(bytes);
  return { ...feed, bytes: memory };
}

/** A thread that has tried to load a binding. */
async function start(
  binding: string,
  threads: number | undefined,
): Promise<{ readonly worker: Worker; readonly hello: Hello }> {
  const loud = await quiet();
  const gate = new Gate();
  const exit = (): void => {
    gate.close();
    loud();
  };
  process.on("exit", exit);
  try {
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: { binding, threads, gate: gate.memory } satisfies Start,
      // TensorFlow reads the process's environment, not a thread's copy.
      env: SHARE_ENV,
      // A thread refuses options of the process such as --input-type.
      execArgv: [],
    });
    worker.once("exit", () => process.off("exit", exit));
    const hello = await new Promise<Hello>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    // Windows unloads what no thread holds any more: a second owner keeps the library in the process.
    if (process.platform === "win32" && !("broken" in hello)) createRequire(import.meta.url)(binding);
    return { worker, hello };
  } finally {
    loud();
  }
}
