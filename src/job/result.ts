import { FlowError } from "../core/errors.js";

/**
 * What an unannotated job call gives: a promise of its value that also has the documented `get()` (once only) and
 * `asyncGet(callback)`.
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "both" }, [tp.Numpy.Placeholder([2])], (x) => ({ x, sum: x.add(1) }));
 * const { sum } = await job([1, 2]).get();
 * console.log(sum); // -> [2, 3]
 * job([3, 4]).asyncGet((value) => console.log(value.sum.toArray()));
 * await flow.syncDefaultSession();
 * ```
 */
export class JobResult<T> extends Promise<T> {
  #taken = false;

  // Results of then() are plain promises.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** The value; a second `get` is an error, as documented. */
  get(): Promise<T> {
    if (this.#taken)
      return Promise.reject(new FlowError("E_ARGUMENT", "get: the result was taken before; keep it in a variable"));
    this.#taken = true;
    return this.then();
  }

  /** Calls `callback` once with the value when it is ready; an error of the job or the callback surfaces as an unhandled rejection. */
  asyncGet(callback: (value: T) => void): void {
    void this.then(callback);
  }
}
