import { FlowError, nearest, plainText } from "../core/errors.js";
import type { Engine } from "../engines/engine.js";

/** Settings of a session; fixed when it starts. */
export interface Settings {
  engine?: string;
  seed?: number;
  threads?: number;
  /** Bytes of all that a job updates, from which the onnx engine writes next values over the old ones; for tests. */
  inPlaceFrom?: number;
  /** Every floating value is tested in each step. */
  checkNumerics?: boolean;
  /** Gradients compute again what they need of the forward pass. */
  recompute?: boolean;
  /** Jobs must declare what they return. */
  typed?: boolean;
  /** Jobs may be declared again, and variables get their first values by themselves. */
  eager?: boolean;
}

const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  onnx: async () => (await import("../engines/onnx/engine.js")).onnx,
  reference: async () => (await import("../engines/reference/engine.js")).reference,
  tensorflow: async () => (await import("../engines/tensorflow/engine.js")).tensorflow,
};

/** The engine that settings, else `ONESTEP_ENGINE`, else the default name. */
export async function engineFor(settings: Settings): Promise<Engine> {
  const name = settings.engine ?? process.env.ONESTEP_ENGINE ?? "onnx";
  return await engines[checkEngine(name)]!();
}

export function checkEngine(name: string): string {
  if (Object.hasOwn(engines, name)) return name;
  const near = nearest(name, Object.keys(engines));
  throw new FlowError(
    "E_ENGINE",
    `engine ${plainText(name)} is unknown; ${near === undefined ? `known are ${Object.keys(engines).join(", ")}` : `did you mean '${near}'?`}`,
  );
}

/** Every engine by name. */
export const engineNames: readonly string[] = Object.keys(engines);
