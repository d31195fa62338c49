/**
 * The documented `oneflow.typing`, also as `tp`: what jobs take and give.
 * @module
 */

export { Bundle, Callback, ListListNumpy, ListNumpy, Numpy } from "../job/typing.js";
