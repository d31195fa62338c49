export { currentScope } from "../job/scope.js";
