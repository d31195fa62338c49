import { FlowError } from "../core/errors.js";
import { type ArrayLike, copyInto, NdArray, zeros } from "../core/tensor.js";
import { activeBuilder } from "../graph/trace.js";
import { fromCallSite } from "./call-site.js";
import { defaultSession, type Session } from "./session.js";

/**
 * The value of a variable, by name, after the calls made before.
 * @flow experimental.get_interface_blob_value
 * @example
 * ```ts
 * const job = flow.globalFunction({ name: "model" }, () =>
 *   flow.getVariable("w", { shape: [2], initializer: flow.onesInitializer() }).add(0),
 * );
 * await new flow.train.CheckPoint().init();
 * await flow.experimental.setInterfaceBlobValue("w", [3, 4]);
 * await flow.experimental.getInterfaceBlobValue("w"); // -> [3, 4]
 * await job(); // -> [3, 4]
 * ```
 */
export function getInterfaceBlobValue(name: string): Promise<NdArray> {
  const where = "experimental.getInterfaceBlobValue";
  return fromCallSite(getInterfaceBlobValue, async () => {
    const session = outside(where);
    return await session.enqueue(where, async () => {
      session.variable(where, name);
      if (!session.isInitialized(name))
        throw new FlowError(
          "E_UNINITIALIZED",
          `${where}: variable '${name}' has no value; call checkPoint.init() or checkPoint.load(path) first`,
        );
      const { data, shape, dtype } = await session.read(name);
      return new NdArray(data, shape, dtype);
    });
  });
}

/** Gives a variable a value, by name; calls made after see it. Its shape and dtype must be the variable's.  @flow experimental.set_interface_blob_value */
export function setInterfaceBlobValue(name: string, value: ArrayLike): Promise<void> {
  const where = "experimental.setInterfaceBlobValue";
  return fromCallSite(setInterfaceBlobValue, async () => {
    const session = outside(where);
    const given = snapshot(value);
    await session.enqueue(where, async () => {
      const { dtype, shape } = session.variable(where, name);
      const copy = zeros(dtype, shape);
      copyInto(`${where}: variable '${name}'`, given, copy);
      await session.write(name, copy);
    });
  });
}

/** What the value is now: the variable's type is known only when the call's turn has come. */
function snapshot(value: unknown): unknown {
  if (value instanceof NdArray) return new NdArray(value.data.slice(), value.shape, value.dtype);
  return ArrayBuffer.isView(value) || Array.isArray(value) ? structuredClone(value) : value;
}

function outside(where: string): Session {
  if (activeBuilder() !== undefined)
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: called inside a job function, where variables have no values; use getVariable and flow.assign there`,
    );
  return defaultSession();
}
