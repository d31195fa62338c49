export { l1, l1L2, l2, type Regularizer } from "../variables/regularizers.js";
