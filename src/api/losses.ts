export { addLoss } from "../optim/losses.js";
