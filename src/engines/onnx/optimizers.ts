import { sizeOf } from "../../core/shape.js";
import type { OnnxModel, OnnxNode } from "./encode.js";

/** Optimizers of onnxruntime 1.30 by name. Each of them sorts the graph before it looks for what it knows. */
const all = [
  "AttentionFusion",
  "BiasDropoutFusion",
  "BiasGeluFusion",
  "BiasSkipLayerNormFusion",
  "BiasSoftmaxFusion",
  "CommonSubexpressionElimination",
  "ConstantFolding",
  "ConstantSharing",
  "ConvActivationFusion",
  "ConvAddActivationFusion",
  "DoubleQDQPairsRemover",
  "DynamicQuantizeMatMulFusion",
  "EmbedLayerNormFusion",
  "EnsureUniqueDQForNodeUnit",
  "FastGeluFusion",
  "FreeDimensionOverrideTransformer",
  "GatherSliceToSplitFusion",
  "GatherToSliceFusion",
  "GeluFusionL1",
  "GeluFusionL2",
  "GemmActivationFusion",
  "GroupQueryAttentionFusion",
  "GroupQueryAttentionPreNormFusion",
  "LayerNormFusionL1",
  "LayerNormFusionL2",
  "Level1_RuleBasedTransformer",
  "Level2_RuleBasedTransformer",
  "MatMulActivationFusion",
  "MatMulAddFusion",
  "MatMulIntegerToFloatFusion",
  "MatMulNBitsFusion",
  "MatMulScaleFusion",
  "MatmulTransposeFusion",
  "NchwcTransformer",
  "NhwcTransformer",
  "QDQFinalCleanupTransformer",
  "QDQPropagationTransformer",
  "QDQS8ToU8Transformer",
  "QDQSelectorActionTransformer",
  "QuickGeluFusion",
  "ReshapeFusion",
  "SimplifiedLayerNormFusion",
  "SkipLayerNormFusion",
  "SliceConcatToSpaceToDepthFusion",
  "TransposeOptimizer",
  "TransposeOptimizer_CPUExecutionProvider",
  "WeightBiasQuantization",
  "WhereDummyDq",
] as const;

type Optimizer = (typeof all)[number];

type Model = Pick<OnnxModel, "nodes" | "outputs" | "initializers">;

const count = ({ nodes }: Model, ...ops: readonly string[]): number =>
  nodes.reduce((sum, { op }) => sum + Number(ops.includes(op)), 0);

/** `op then reader` of each value that one node alone reads. */
function pairsOf({ nodes, outputs }: Model): ReadonlySet<string> {
  const readers = new Map<string, OnnxNode | "many">(outputs.map(({ name }) => [name, "many"]));
  for (const node of nodes) for (const input of node.inputs) readers.set(input, readers.has(input) ? "many" : node);
  const pairs = new Set<string>();
  for (const { op, outputs: made } of nodes)
    for (const value of made) {
      const reader = readers.get(value);
      if (reader !== undefined && reader !== "many") pairs.add(`${op} then ${reader.op}`);
    }
  return pairs;
}

/** Whether one of `makers` makes a value that is read by one node alone, one of `readers`. */
type Follows = (makers: readonly string[], readers: readonly string[]) => boolean;

/** Activations that onnxruntime puts into the kernel of a product or a convolution. */
const activations = ["Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"];
const products = ["MatMul", "FusedMatMul"];
const scales = ["Mul", "Div"];

/** Which models a step of is faster by an optimizer, or may be. Every other model would only load later. */
const fits: Partial<Record<Optimizer, (model: Model, follows: Follows) => boolean>> = {
  // What is computed of large constants, such as masks; the Expand of one number is best made anew each step.
  ConstantFolding: ({ nodes, initializers }) => {
    const sizes = new Map(initializers.map(({ name, tensor }) => [name, sizeOf(tensor.shape)]));
    return nodes.some(
      ({ inputs }) => inputs.every((name) => sizes.has(name)) && inputs.some((name) => sizes.get(name)! > 1024),
    );
  },
  ConvActivationFusion: (_, follows) => follows(["Conv"], activations),
  ConvAddActivationFusion: (_, follows) => follows(["Conv"], ["Add"]),
  GemmActivationFusion: (_, follows) => follows(["Gemm"], activations),
  MatMulScaleFusion: (_, follows) => follows(products, scales) || follows(scales, products),
  // Blocked average pools: InceptionV3, batch 4, 1418 ms a step with them and 1483 without. One at the end is not worth it.
  NchwcTransformer: (model) => count(model, "AveragePool") > 1,
  // Where images are NHWC, between layers: 52 ms a step instead of 65 for a narrow ResNet.
  TransposeOptimizer: ({ nodes }) => nodes.some(movesChannelsLast),
};

/** A transpose to [0, 2, 3, 1] and its like. */
function movesChannelsLast({ op, attributes }: OnnxNode): boolean {
  const perm = attributes.perm;
  if (op !== "Transpose" || perm === undefined || !("ints" in perm)) return false;
  const { ints } = perm;
  const last = ints.length - 1;
  return last >= 3 && ints.every((axis, i) => axis === (i === 0 ? 0 : i === last ? 1 : i + 1));
}

/**
 * The optimizers of onnxruntime that find nothing in a model, or nothing that makes a step faster: simplify, cse and the rows of
 * the ops have done the same before. They took most of the time in which a model loads.
 */
export function unfitOptimizers(model: Model): readonly string[] {
  const pairs = pairsOf(model);
  const follows: Follows = (makers, readers) =>
    makers.some((maker) => readers.some((reader) => pairs.has(`${maker} then ${reader}`)));
  return all.filter((name) => fits[name]?.(model, follows) !== true);
}
