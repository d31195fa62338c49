export { byGlobalNorm } from "../optim/optimizer.js";
