import { candidates } from "#src/engines/tensorflow/session/tfjs-node.js";

/**
 * Whether an engine's tests run. TensorFlow's are left out where it has not been set up (`npx onestep setup tensorflow`), but
 * not in CI, where whatever is missing is an error.
 */
export const isReady = (engine: string): boolean =>
  engine !== "tensorflow" || process.env.ONESTEP_CI !== undefined || candidates().some(({ built }) => built);
