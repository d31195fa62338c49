import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { FlowError } from "../../../core/errors.js";
import type { EngineOptions } from "../../engine.js";
import { tag } from "../versions.js";
import { bindingsToTry, doesNotLoad } from "./binding.js";
import type { Answer, Feed, Hello, Request } from "./messages.js";

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
      // Read with the first graph: ops run one after the other on the thread that calls, each on all cores. A step has little
      // to run side by side, and handing its ops to other threads costs 1 us each.
      const { model } = (await withEnvironment({ TF_NUM_INTEROP_THREADS: "-1" }, () =>
        this.#ask({ kind: "load", directory, tag }),
      )) as { readonly model: number };
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
  // Read when the library is loaded.
  const wanted = {
    TF_CPP_MIN_LOG_LEVEL: "3",
    ...(threads === undefined ? {} : { TF_NUM_INTRAOP_THREADS: String(threads) }),
  };
  return withEnvironment(wanted, async () => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: binding,
      // A thread refuses options of the process such as --input-type.
      execArgv: [],
      // load() closes a descriptor that a system call made.
      trackUnmanagedFds: false,
    });
    const hello = await new Promise<Hello>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    // See load(): a second owner keeps the library in the process.
    if (!("broken" in hello) && !hello.stays) createRequire(import.meta.url)(binding);
    return { worker, hello };
  });
}

/**
 * An action while the environment says more; what the user set stays. TensorFlow reads the process's environment, not a
 * thread's copy.
 */
async function withEnvironment<T>(wanted: Readonly<Record<string, string>>, action: () => Promise<T>): Promise<T> {
  const added = Object.entries(wanted).filter(([name]) => process.env[name] === undefined);
  for (const [name, value] of added) process.env[name] = value;
  try {
    return await action();
  } finally {
    for (const [name] of added) delete process.env[name];
  }
}
