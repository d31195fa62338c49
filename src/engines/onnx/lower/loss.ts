import { type Emitters, int } from "./context.js";

export const loss = {
  logSoftmax: (to, [x], { axis }) => to.one("LogSoftmax", [x!], { axis: int(axis) }),
  softmax: (to, [x], { axis }) => to.one("Softmax", [x!], { axis: int(axis) }),
} satisfies Partial<Emitters>;
