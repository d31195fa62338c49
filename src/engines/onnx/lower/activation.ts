import { type Emitters, float, inFloat32, same } from "./context.js";

export const activation = {
  gelu: inFloat32((to, [x]) => to.one("Gelu", [x!], {}, "com.microsoft")),
  leakyRelu: inFloat32((to, [x], { alpha }) => to.one("LeakyRelu", [x!], { alpha: float(alpha) })),
  relu: same("Relu"),
  sigmoid: same("Sigmoid"),
} satisfies Partial<Emitters>;
