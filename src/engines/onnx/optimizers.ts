import type { OnnxModel } from "./encode.js";

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

/** What is worth its sort in our models: an optimizer and the ops of which one must be there. */
const fitting: readonly (readonly [Optimizer, readonly string[]])[] = [
  ["ConvActivationFusion", ["Conv"]],
  ["ConvAddActivationFusion", ["Conv"]],
  ["GemmActivationFusion", ["Gemm"]],
  ["MatMulScaleFusion", ["MatMul", "FusedMatMul"]],
  ["NchwcTransformer", ["Conv"]],
  ["TransposeOptimizer", ["Transpose"]],
];

/**
 * The optimizers of onnxruntime that find nothing in a model, or nothing that a step is faster by: simplify, cse and the rows of
 * the ops have done the same before. They took most of the time in which a model loads.
 */
export function unfitOptimizers({ nodes, initializers }: Pick<OnnxModel, "nodes" | "initializers">): readonly string[] {
  const ops = new Set(nodes.map(({ op }) => op));
  const fit = new Set<string>(fitting.flatMap(([name, needed]) => (needed.some((op) => ops.has(op)) ? [name] : [])));
  const constants = new Set(initializers.map(({ name }) => name));
  if (nodes.some(({ inputs }) => inputs.every((input) => constants.has(input)))) fit.add("ConstantFolding");
  return all.filter((name) => !fit.has(name));
}
