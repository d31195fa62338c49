import { type Emitters, inFloats, type } from "./context.js";

export const special = {
  // The kernel gives NaN at infinity; beyond 6 the result is 1 or -1 in float64 too.
  erf: inFloats((to, [x], _, [out]) => {
    const { dtype } = out!;
    const T = type(dtype);
    const far = to.one("Greater", [to.one("Abs", [x!], { T }), to.scalar(dtype, 6)], { T });
    return to.one("SelectV2", [far, to.one("Sign", [x!], { T }), to.one("Erf", [x!], { T })], { T });
  }),
} satisfies Partial<Emitters>;
