import { zeros } from "../../../core/tensor.js";
import { type Emitters, int, same, throughInt32 } from "./context.js";

export const binary = {
  mod: throughInt32((to, [x, y]: readonly string[], _, [type]) => {
    const { dtype } = type!;
    if (!dtype.startsWith("float")) return to.one("Mod", [x!, y!]);
    // For floats the kernel has C's fmod, whose result has the sign of x.
    const rest = to.one("Mod", [x!, y!], { fmod: int(1) });
    const signs = to.one("Mul", [to.one("Sign", [rest]), to.one("Sign", [y!])]);
    const opposite = to.one("Less", [signs, to.tensor(zeros(dtype, [1]))]);
    return to.one("Where", [opposite, to.one("Add", [rest, y!]), rest]);
  }),
  pow: throughInt32(same("Pow")),
} satisfies Partial<Emitters>;
