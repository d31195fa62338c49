export {
  abs, add, divide, equal, exp, greater, greaterEqual, less, lessEqual, log, maximum, minimum, multiply, negative, notEqual, relu, sign, sqrt, square, subtract,
} from "../ops/elementwise.js";
export { argmax, reduceMax, reduceMean, reduceMin, reduceSum } from "../ops/structure.js";
