import { Worker } from "node:worker_threads";
import { bug, type ErrorCode, FlowError } from "../core/errors.js";
import type { Tensor } from "../core/tensor.js";
import type { Attrs, Node } from "../graph/graph.js";
import { findOp } from "../ops/index.js";
import { hostFeed } from "./compile.js";
import { hostContext } from "./host-context.js";

export interface HostRequest {
  readonly id: number;
  readonly op: string;
  readonly attrs: Attrs;
  readonly seed: number;
  readonly path: readonly (string | number)[];
  readonly call: number;
}

export interface HostAnswer {
  readonly id: number;
  readonly tensors?: readonly Tensor[];
  /** A FlowError, whose class does not cross threads. */
  readonly failure?: { readonly code: ErrorCode; readonly message: string };
  readonly error?: unknown;
}

/** The call a job is about to make: what random streams depend on besides job and op. */
export interface HostCall {
  readonly seed: number;
  readonly call: number;
}

/** What the streams of a node are made from, before the call: a seed of its own, else the session's seed, job and name. */
function streamSource(
  job: string,
  { name, op, attrs }: Node,
  seed: number,
): { readonly seed: number; readonly path: readonly (string | number)[] } {
  const [own] = (attrs.seed ?? []) as readonly number[];
  return own === undefined ? { seed, path: ["op", job, name ?? op] } : { seed: own, path: ["op"] };
}

/** One thread that computes host ops without inputs; it never keeps an idle process alive. */
class HostThread {
  // A thread refuses options of the process such as --input-type.
  readonly #worker = new Worker(new URL("./host-worker.js", import.meta.url), { execArgv: [] });
  readonly #waiting = new Map<
    number,
    { resolve: (tensors: readonly Tensor[]) => void; reject: (error: unknown) => void }
  >();
  #next = 0;

  constructor() {
    this.#worker.unref();
    this.#worker.on("message", ({ id, tensors, failure, error }: HostAnswer) => {
      const { resolve, reject } = this.#waiting.get(id)!;
      this.#waiting.delete(id);
      if (failure !== undefined) reject(new FlowError(failure.code, failure.message));
      else if (tensors === undefined) reject(error);
      else resolve(tensors);
    });
    this.#worker.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  run(request: Omit<HostRequest, "id">): Promise<readonly Tensor[]> {
    const id = this.#next++;
    const answer = new Promise<readonly Tensor[]>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    // A draw made ahead may fail before anyone waits for it; the error is kept for whoever does.
    answer.catch(() => undefined);
    this.#worker.postMessage({ id, ...request } satisfies HostRequest);
    return answer;
  }

  /** Awaits an answer; only then does the thread keep the process alive. */
  async wait<T>(answer: Promise<T>): Promise<T> {
    this.#worker.ref();
    try {
      return await answer;
    } finally {
      this.#worker.unref();
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Answers under way for one call. */
interface Draw {
  readonly key: string;
  readonly answers: readonly Promise<readonly Tensor[]>[];
}

/** The host nodes of one job: those without inputs are drawn one call ahead on a thread, the others when their inputs are there. */
export class HostRunner {
  readonly #sources: readonly Node[];
  readonly #others: readonly Node[];
  #thread: HostThread | undefined;
  #ahead: Draw | undefined;

  constructor(
    readonly job: string,
    nodes: readonly Node[],
  ) {
    this.#sources = nodes.filter((node) => node.inputs.length === 0);
    this.#others = nodes.filter((node) => node.inputs.length > 0);
  }

  /** Adds what the host nodes compute for this call to `feeds`, by the names of their placeholders. */
  async run(call: HostCall, feeds: Map<string, Tensor>): Promise<void> {
    if (this.#sources.length > 0) {
      this.#thread ??= new HostThread();
      const current = this.#ahead?.key === keyOf(call) ? this.#ahead : this.#draw(call);
      this.#ahead = this.#draw({ ...call, call: call.call + 1 });
      const results = await this.#thread.wait(Promise.all(current.answers));
      for (const [n, node] of this.#sources.entries())
        for (const [i, tensor] of results[n]!.entries()) feeds.set(hostFeed(node, i), tensor);
    }
    for (const node of this.#others) {
      const inputs = node.inputs.map((input) => {
        const name =
          input.node.op === "placeholder" ? String(input.node.attrs.name) : hostFeed(input.node, input.index);
        return feeds.get(name) ?? missing(name);
      });
      const { seed, path } = streamSource(this.job, node, call.seed);
      const tensors = await findOp(node.op)!.host!(inputs, node.attrs, hostContext(seed, path, call.call));
      for (const [i, tensor] of tensors.entries()) feeds.set(hostFeed(node, i), tensor);
    }
  }

  async close(): Promise<void> {
    await this.#thread?.close();
  }

  #draw(call: HostCall): Draw {
    const answers = this.#sources.map((node) =>
      this.#thread!.run({
        op: node.op,
        attrs: node.attrs,
        call: call.call,
        ...streamSource(this.job, node, call.seed),
      }),
    );
    return { key: keyOf(call), answers };
  }
}

const keyOf = ({ seed, call }: HostCall): string => `${seed}:${call}`;

function missing(name: string): never {
  throw bug(`host input '${name}' was not fed`);
}
