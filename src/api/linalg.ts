export { matmul } from "../ops/linalg.js";
