import { type Emitters, lacks } from "./context.js";

export const indexing = {
  argmax: lacks("argmax", "its row is not written yet"),
  gather: lacks("gather", "its row is not written yet"),
  segmentSum: lacks("segmentSum", "its row is not written yet"),
  topK: lacks("topK", "its row is not written yet"),
} satisfies Partial<Emitters>;
