import { checkOptions, FlowError, textOfValue } from "../core/errors.js";
import type { NdArray } from "../core/tensor.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, type GraphBuilder, textOf } from "../graph/trace.js";
import { requireBlob } from "../ops/define.js";
import { cast } from "../ops/elementwise.js";
import type { Form } from "./placeholder.js";
import { type FormType, type InForm, isForm, Numpy } from "./typing.js";

/** Gets a value after each call of the job; what it returns is awaited before the call's own result is given. */
export type WatchHandler<F extends Form = "Numpy"> = (value: InForm<F>) => unknown;

/** Options of `watch` and `watchDiff`. */
export interface WatchOptions<F extends Form = Form> {
  /** The form the handler gets the value in; default `tp.Numpy`. */
  readonly type?: FormType<F>;
}

/** A blob somebody watches. */
export interface Watch {
  readonly blob: Blob;
  readonly of: "value" | "gradient";
  readonly handle: (value: NdArray) => unknown;
}

const watches = new WeakMap<GraphBuilder, Watch[]>();

/** What the function of a job watches, in the order of its calls. */
export function watchesOf(builder: GraphBuilder): readonly Watch[] {
  return watches.get(builder) ?? [];
}

/**
 * Inside a job: hands the value of `blob` to a handler after each call, before the call's result. A string is printed
 * before the value in place of a handler; nothing just prints the value. The job's results stay the same. What a
 * handler throws rejects the call, whose step was made.
 * @flow watch
 * @example
 * ```ts
 * const seen: number[] = [];
 * const job = flow.globalFunction({ name: "watched" }, [tp.Numpy.Placeholder([2])], (x) => {
 *   const doubled = x.mul(2);
 *   flow.watch(doubled, (value) => seen.push(value.sum()));
 *   return doubled.add(1);
 * });
 * await job([1, 2]); // -> [3, 5]
 * console.log(seen); // -> [6]
 * ```
 */
export function watch<F extends Form = "Numpy">(
  blob: Blob,
  handlerOrPrompt?: WatchHandler<F> | string,
  options: WatchOptions<F> = {},
): void {
  add("watch", "value", blob, handlerOrPrompt as WatchHandler<Form> | string | undefined, options);
}

/**
 * Inside a train job: as `watch`, with the gradient of the losses' sum with respect to `blob`: before it is averaged
 * over the loss's elements, regularized and clipped, and without the loss scale. In a predict job, or where no loss
 * depends on the blob, the handler is never called, as documented.
 * @flow watch_diff
 * @example
 * ```ts
 * const seen: unknown[] = [];
 * const job = flow.globalFunction({ type: "train", name: "watched" }, [tp.Numpy.Placeholder([2])], (x) => {
 *   const w = flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() });
 *   const y = w.mul(x);
 *   flow.watchDiff(w, (gradient) => seen.push(gradient.toArray()));
 *   new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(y);
 * });
 * await new flow.train.CheckPoint().init();
 * await job([3, 4]);
 * console.log(seen); // -> [[3, 4]]
 * ```
 */
export function watchDiff<F extends Form = "Numpy">(
  blob: Blob,
  handlerOrPrompt?: WatchHandler<F> | string,
  options: WatchOptions<F> = {},
): void {
  add("watchDiff", "gradient", blob, handlerOrPrompt as WatchHandler<Form> | string | undefined, options);
}

function add(
  where: string,
  of: Watch["of"],
  blob: Blob,
  handler: WatchHandler<Form> | string | undefined,
  options: WatchOptions,
): void {
  const builder = currentBuilder(where);
  checkOptions(where, options, ["type"]);
  const { type = Numpy } = options;
  requireBlob(where, "blob", blob);
  if (!isForm(type))
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: type is ${textOfValue(type)}, expected tp.Numpy, tp.ListNumpy or tp.ListListNumpy`,
    );
  if (handler !== undefined && typeof handler !== "function" && typeof handler !== "string")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the second argument is ${textOfValue(handler)}, expected a handler or a prompt`,
    );
  if (typeof handler === "function" && handler.length > 1)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the handler takes ${handler.length} arguments, expected one, the value`,
    );
  if (of === "gradient" && !blob.dtype.startsWith("float"))
    throw new FlowError(
      "E_DTYPE",
      `${where}: '${blob.opName}' is ${textOf(blob)}, expected a floating dtype; only floating blobs have gradients`,
    );
  // bool lives inside graphs only.
  const shown = blob.dtype === "bool" ? cast(blob, "int8") : blob;
  watches.set(builder, [...watchesOf(builder), { blob: shown, of, handle: handling(handler, type.kind) }]);
}

function handling(handler: WatchHandler<Form> | string | undefined, form: Form): Watch["handle"] {
  if (typeof handler !== "function")
    return (value) => {
      if (handler !== undefined) console.log(handler);
      console.log(value.toString());
    };
  return (value) => handler(form === "Numpy" ? value : form === "ListNumpy" ? [value] : [[value]]);
}
