import { type Emitters, lacks } from "./context.js";

export const window = {
  unfold: lacks("unfold", "its row is not written yet"),
  fold: lacks("fold", "its row is not written yet"),
  maxPool: lacks("maxPool", "its row is not written yet"),
  maxUnpool: lacks("maxUnpool", "its row is not written yet"),
} satisfies Partial<Emitters>;
