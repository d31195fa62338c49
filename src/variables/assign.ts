import { FlowError, textOfValue } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import { Blob } from "../graph/blob.js";
import { currentBuilder, textOf } from "../graph/trace.js";

/**
 * Inside a job: the variable `ref` gets `value` when the step is done. Reads in the same call see the value it had
 * before; a second assign continues from the first. A variable that the job's optimizer trains cannot be assigned
 * there.
 * @flow assign
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "counter" }, () => {
 *   const count = flow.getVariable("count", { shape: [1], initializer: flow.zerosInitializer(), trainable: false });
 *   flow.assign(count, count.add(1));
 *   return count;
 * });
 * await new flow.train.CheckPoint().init();
 * await job(); // -> [0]
 * await job(); // -> [1]
 * ```
 */
export function assign(ref: Blob, value: Blob): void {
  const builder = currentBuilder("assign");
  for (const [name, blob] of Object.entries({ ref, value }))
    if (!(blob instanceof Blob))
      throw new FlowError("E_ARGUMENT", `assign: ${name} is ${textOfValue(blob)}, expected a Blob`);
  if (ref.node.op !== "variable")
    throw new FlowError(
      "E_VARIABLE",
      `assign: ref is the result of ${ref.node.op} '${ref.opName}', expected a variable as getVariable gives it`,
    );
  if (value.dtype !== ref.dtype || !sameShape(value.shape, ref.shape))
    throw new FlowError(
      value.dtype === ref.dtype ? "E_SHAPE" : "E_DTYPE",
      `assign: '${ref.opName}' is ${textOf(ref)}, the value is ${textOf(value)}; make them equal`,
    );
  builder.update(String(ref.node.attrs.name), value);
}
