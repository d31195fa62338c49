import { type Emitters, inFloats, same } from "./context.js";

export const activation = {
  relu: inFloats(same("Relu")),
  sigmoid: inFloats(same("Sigmoid")),
} satisfies Partial<Emitters>;
