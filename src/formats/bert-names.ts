import type { Shape } from "../core/shape.js";

/** How one program's names, and shapes of the same bytes, become another's. */
export interface NamePreset {
  /** The name in the other program. */
  readonly rename: (name: string) => string;
  /** The shape there of the variable of this name here. */
  readonly shape: (name: string, shape: Shape) => Shape;
}

const positions = { tensorflow: "bert/embeddings/position_embeddings", oneflow: "bert-embeddings-position_embeddings" };

/**
 * Names of Google's BERT checkpoints to those of OneFlow's BERT programs: `/` becomes `-`, a last `kernel` becomes `weight`. Matrices are
 * [in, out] on both sides, so no element moves; the position table gains a leading 1. A name without `/` stays
 * (OneFlow's script makes `global_ste-global_step` of `global_step`).
 */
export const bertFromTensorflow: NamePreset = {
  rename: (name) => {
    const cut = name.lastIndexOf("/");
    if (cut === -1) return name;
    const last = name.slice(cut + 1);
    return `${name.slice(0, cut).replaceAll("/", "-")}-${last === "kernel" ? "weight" : last}`;
  },
  shape: (name, shape) => (name === positions.tensorflow && shape.length === 2 ? [1, ...shape] : shape),
};

/** The way back, for variables of the BERT model; optimizer slots and step counters, which Google's checkpoints name otherwise, keep their names. */
export const bertToTensorflow: NamePreset = {
  rename: (name) =>
    /^(?:bert|cls)-/.test(name) && !/-(?:m|v|beta1_t|beta2_t|momentum)$/.test(name)
      ? name.replaceAll("-", "/").replace(/\/weight$/, "/kernel")
      : name,
  shape: (name, shape) => (name === positions.oneflow && shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape),
};

/** Presets by the name that the command line gives them. */
export const presets: Readonly<Record<string, NamePreset>> = {
  "bert-tensorflow": bertFromTensorflow,
  "bert-to-tensorflow": bertToTensorflow,
};
