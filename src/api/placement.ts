/**
 * An older place of `currentScope`.
 * @module
 */

export { currentScope } from "../job/scope.js";
