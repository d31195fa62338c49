import type { Operators } from "../graph/blob.js";
import {
  add,
  divide,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  multiply,
  negative,
  notEqual,
  subtract,
} from "./elementwise.js";

/** The functions behind the methods of Blob. */
export const operators: Operators = {
  add,
  subtract,
  multiply,
  divide,
  negative,
  equal,
  notEqual,
  less,
  lessEqual,
  greater,
  greaterEqual,
};
