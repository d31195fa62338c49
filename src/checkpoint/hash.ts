import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { bug } from "../core/errors.js";

/** The SHA-256 of one file's bytes, which come in order. */
export interface Hash {
  /** Takes the next bytes, which may change once this resolves. */
  update(bytes: Uint8Array): Promise<void>;
  /** 64 hex digits; nothing comes after it. */
  digest(): Promise<string>;
}

/** Starts the hash of a file of about `size` bytes. */
export type Hashing = (size: number) => Promise<Hash>;

/** A hash on this thread. */
export function hashHere(): Hash {
  const hash = createHash("sha256");
  return {
    update: async (bytes) => {
      hash.update(bytes);
    },
    digest: async () => hash.digest("hex"),
  };
}

// Threads take 50 ms to start, in which this one hashes 80 MB.
const WORTH_THREADS = 1 << 26;
// Two hash 3 GB a second, which is more than most disks write; each takes 9 MB of memory.
const THREADS = 2;
// Bytes wait in shared memory, in a few buffers for all files. A file that fits in a part of one is not worth a message.
const BUFFER = 1 << 20;
const BUFFERS = 4 * THREADS;
const WORTH_MESSAGE = 1 << 18;

/** Runs `work`; once it hashes much, threads do it, which have ended when this resolves. */
export async function withHashing<T>(work: (hashing: Hashing) => Promise<T>): Promise<T> {
  let begun = 0;
  let starting: Promise<readonly HashThread[]> | undefined;
  try {
    return await work(async (size) => {
      begun += size;
      if (begun < WORTH_THREADS || size < WORTH_MESSAGE || availableParallelism() === 1) return hashHere();
      starting ??= startThreads();
      const threads = await starting;
      // A program that is bundled into one file, or may not start threads, has none.
      if (threads.length === 0) return hashHere();
      return threads.reduce((idlest, one) => (one.files < idlest.files ? one : idlest)).hash();
    });
  } finally {
    for (const thread of (await starting) ?? []) await thread.close();
  }
}

async function startThreads(): Promise<readonly HashThread[]> {
  const buffers = new Buffers();
  const started = await Promise.allSettled(Array.from({ length: THREADS }, () => HashThread.start(buffers)));
  return started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
}

/** Shared memory for bytes on their way to a thread. */
class Buffers {
  readonly #free = Array.from({ length: BUFFERS }, (): Uint8Array => new Uint8Array(new SharedArrayBuffer(BUFFER)));
  readonly #wanted: ((buffer: Uint8Array) => void)[] = [];

  async take(): Promise<Uint8Array> {
    return this.#free.pop() ?? new Promise((resolve) => this.#wanted.push(resolve));
  }

  give(buffer: Uint8Array): void {
    const resolve = this.#wanted.shift();
    if (resolve === undefined) this.#free.push(buffer);
    else resolve(buffer);
  }
}

export interface HashRequest {
  readonly file: number;
  /** Absent where the file has ended and its hash is asked for. */
  readonly bytes?: Uint8Array;
}

/** The hash of a file that has ended, else an empty string. */
export type HashAnswer = string;

interface Waiting {
  readonly resolve: (answer: HashAnswer) => void;
  readonly reject: (error: unknown) => void;
}

class HashThread {
  // A thread refuses options of the process such as --input-type.
  readonly #worker = new Worker(new URL("./hash-worker.js", import.meta.url), { execArgv: [] });
  readonly #waiting: Waiting[] = [];
  #ended: { readonly why: unknown } | undefined;
  #count = 0;
  /** How many files it has in hand. */
  files = 0;

  private constructor(readonly buffers: Buffers) {
    this.#worker.on("message", (answer: HashAnswer) => this.#waiting.shift()!.resolve(answer));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(bug("a thread that hashes has ended")));
  }

  static async start(buffers: Buffers): Promise<HashThread> {
    const thread = new HashThread(buffers);
    await thread.#answer();
    return thread;
  }

  hash(): Hash {
    const file = this.#count++;
    this.files++;
    return {
      update: async (bytes) => {
        for (let start = 0; start < bytes.byteLength; start += BUFFER) {
          const part = bytes.subarray(start, start + BUFFER);
          const buffer = await this.buffers.take();
          buffer.set(part);
          // What fails here fails again when the hash is asked for.
          const hashed = this.#ask({ file, bytes: buffer.subarray(0, part.byteLength) }).catch(() => undefined);
          void hashed.then(() => this.buffers.give(buffer));
        }
      },
      digest: () => {
        this.files--;
        return this.#ask({ file });
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(request: HashRequest): Promise<HashAnswer> {
    this.#worker.postMessage(request);
    return this.#answer();
  }

  #answer(): Promise<HashAnswer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended.why);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #end(why: unknown): void {
    this.#ended ??= { why };
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended.why);
  }
}
