import * as flow from "onestep";

/** Sizes of a BERT. `seqLength` is that of the batches, at most `maxPositionEmbeddings`. */
export interface BertConfig {
  readonly vocabSize: number;
  readonly seqLength: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Default four times `hiddenSize`. */
  readonly intermediateSize?: number;
  /** Dropout of embeddings and of each block's output; default 0.1. */
  readonly hiddenDropoutProb?: number;
  /** Dropout of attention probabilities; default 0.1. */
  readonly attentionProbsDropoutProb?: number;
  /** Rows of the position table; default 512. */
  readonly maxPositionEmbeddings?: number;
  /** Rows of the segment table; default 2. */
  readonly typeVocabSize?: number;
  /** Deviation of the truncated normal that weights start from; default 0.02. */
  readonly initializerRange?: number;
}

/** BERT-base, uncased: 12 layers, 12 heads, width 768. */
export const bertBase: BertConfig = {
  vocabSize: 30522,
  seqLength: 128,
  hiddenSize: 768,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
};

/** BERT-large, uncased: 24 layers, 16 heads, width 1024. */
export const bertLarge: BertConfig = { ...bertBase, hiddenSize: 1024, numHiddenLayers: 24, numAttentionHeads: 16 };

/** 2 layers, 2 heads, width 128: small enough to be pretrained on a CPU in minutes, which is too short for dropout to help. */
export const bertSmall: BertConfig = {
  vocabSize: 2048,
  seqLength: 64,
  hiddenSize: 128,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
  initializerRange: 0.05,
};

/** A batch of token sequences, each int32[B, S]. */
export interface BertInput {
  readonly inputIds: flow.Blob;
  /** 1 for tokens, 0 for padding. */
  readonly inputMask: flow.Blob;
  /** 0 for the first sentence of a pair, 1 for the second. */
  readonly segmentIds: flow.Blob;
}

/** What is to be foretold in pretraining. */
export interface PretrainTargets {
  /** int32[B, P]: places of the masked tokens, 0 where there are fewer than P. */
  readonly maskedLmPositions: flow.Blob;
  /** int32[B, P]: the tokens that stood there. */
  readonly maskedLmIds: flow.Blob;
  /** float[B, P]: 1 for each masked token, 0 for padding. */
  readonly maskedLmWeights: flow.Blob;
  /** int32[B, 1]: 0 where the second sentence follows the first, 1 where it comes from elsewhere. */
  readonly nextSentenceLabels: flow.Blob;
}

const weights = (config: BertConfig): flow.Initializer => flow.truncatedNormal(config.initializerRange ?? 0.02);

/** `x W + b`; BERT's matrices are [in, out], unlike those of `layers.dense`. */
function fullyConnected(x: flow.Blob, units: number, initializer: flow.Initializer, name: string): flow.Blob {
  return flow.scope.namespace(name, () => {
    const weight = flow.getVariable("weight", { shape: [x.shape.at(-1)!, units], initializer });
    const bias = flow.getVariable("bias", { shape: [units], initializer: flow.zerosInitializer() });
    return flow.nn.biasAdd(flow.matmul(x, weight), bias);
  });
}

const layerNorm = (x: flow.Blob): flow.Blob =>
  flow.layers.layerNorm(x, { name: "LayerNorm", beginNormAxis: -1, beginParamsAxis: -1 });

/** Word, segment and position embeddings summed and normalized: [B * S, H]. */
function embeddings(input: BertInput, config: BertConfig): { readonly output: flow.Blob; readonly words: flow.Blob } {
  const { vocabSize, seqLength, hiddenSize, maxPositionEmbeddings = 512, typeVocabSize = 2 } = config;
  const table = (name: string, shape: readonly number[]): flow.Blob =>
    flow.getVariable(name, { shape, initializer: weights(config) });
  return flow.scope.namespace("embeddings", () => {
    const words = table("word_embeddings", [vocabSize, hiddenSize]);
    const segments = table("token_type_embeddings", [typeVocabSize, hiddenSize]);
    const positions = table("position_embeddings", [1, maxPositionEmbeddings, hiddenSize]);
    const used =
      seqLength === maxPositionEmbeddings
        ? positions
        : flow.slice(positions, [null, 0, 0], [null, seqLength, hiddenSize]);
    const sum = flow.gather(words, input.inputIds).add(flow.gather(segments, input.segmentIds)).add(used);
    const output = flow.nn.dropout(layerNorm(sum), config.hiddenDropoutProb ?? 0.1);
    return { output: flow.reshape(output, [-1, hiddenSize]), words };
  });
}

/** Scaled dot-product attention of each head over the sequence: [B * S, H] to [B * S, H]. */
function selfAttention(x: flow.Blob, mask: flow.Blob, config: BertConfig): flow.Blob {
  const { seqLength, hiddenSize, numAttentionHeads: heads } = config;
  const width = hiddenSize / heads;
  const headsOf = (name: string): flow.Blob => {
    const projected = fullyConnected(x, hiddenSize, weights(config), name);
    return flow.transpose(flow.reshape(projected, [-1, seqLength, heads, width]), { perm: [0, 2, 1, 3] });
  };
  const [query, key, value] = [headsOf("query"), headsOf("key"), headsOf("value")];
  const scores = flow.matmul(query, key, { transposeB: true }).mul(1 / Math.sqrt(width));
  const probabilities = flow.nn.dropout(flow.nn.softmax(scores.add(mask)), config.attentionProbsDropoutProb ?? 0.1);
  const context = flow.transpose(flow.matmul(probabilities, value), { perm: [0, 2, 1, 3] });
  return flow.reshape(context, [-1, hiddenSize]);
}

/** One block: attention, then two dense layers, each added to its input and normalized. */
function encoderLayer(x: flow.Blob, mask: flow.Blob, config: BertConfig, index: number): flow.Blob {
  const { hiddenSize, intermediateSize = 4 * hiddenSize, hiddenDropoutProb = 0.1 } = config;
  const added = (input: flow.Blob, residual: flow.Blob): flow.Blob =>
    flow.scope.namespace("output", () => {
      const dense = fullyConnected(input, hiddenSize, weights(config), "dense");
      return layerNorm(flow.nn.dropout(dense, hiddenDropoutProb).add(residual));
    });
  return flow.scope.namespace(`layer_${index}`, () => {
    const attended = flow.scope.namespace("attention", () =>
      added(
        flow.scope.namespace("self", () => selfAttention(x, mask, config)),
        x,
      ),
    );
    const wide = flow.scope.namespace("intermediate", () =>
      flow.math.gelu(fullyConnected(attended, intermediateSize, weights(config), "dense")),
    );
    return added(wide, attended);
  });
}

/** The backbone: a vector for each token, float[B, S, H], and the word table, which pretraining uses again. */
export function bert(
  input: BertInput,
  config: BertConfig,
): { readonly sequence: flow.Blob; readonly words: flow.Blob } {
  const { seqLength, hiddenSize, numHiddenLayers } = config;
  return flow.scope.namespace("bert", () => {
    const { output, words } = embeddings(input, config);
    // 0 where a token is, -10000 where padding is, for every head and query.
    const mask = flow.reshape(flow.cast(input.inputMask, flow.float).sub(1).mul(10000), [-1, 1, 1, seqLength]);
    const encoded = flow.scope.namespace("encoder", () => {
      let x = output;
      for (let i = 0; i < numHiddenLayers; i++) x = encoderLayer(x, mask, config, i);
      return x;
    });
    return { sequence: flow.reshape(encoded, [-1, seqLength, hiddenSize]), words };
  });
}

/** `tanh(x W + b)` of each sequence's first token: [B, S, H] to [B, H]. */
function pooler(sequence: flow.Blob, config: BertConfig): flow.Blob {
  const { hiddenSize } = config;
  const first = flow.reshape(flow.slice(sequence, [null, 0, 0], [null, 1, hiddenSize]), [-1, hiddenSize]);
  return flow.scope.namespace("bert", () =>
    flow.scope.namespace("pooler", () => flow.math.tanh(fullyConnected(first, hiddenSize, weights(config), "dense"))),
  );
}

/** A linear layer with a [labels, H] matrix: the heads of next-sentence prediction and classification. */
function labelLogits(pooled: flow.Blob, labels: number, initializer: flow.Initializer): flow.Blob {
  const weight = flow.getVariable("output_weights", { shape: [labels, pooled.shape[1]!], initializer });
  const bias = flow.getVariable("output_bias", { shape: [labels], initializer: flow.zerosInitializer() });
  return flow.nn.biasAdd(flow.matmul(pooled, weight, { transposeB: true }), bias);
}

/** Scores of every word at the masked places: [B, S, H] to [B * P, V]. */
function maskedLmLogits(sequence: flow.Blob, words: flow.Blob, positions: flow.Blob, config: BertConfig): flow.Blob {
  const { vocabSize, hiddenSize } = config;
  const masked = flow.reshape(flow.gather(sequence, positions, { batchDims: 1 }), [-1, hiddenSize]);
  return flow.scope.namespace("predictions", () => {
    const transformed = flow.scope.namespace("transform", () =>
      layerNorm(flow.math.gelu(fullyConnected(masked, hiddenSize, weights(config), "dense"))),
    );
    const bias = flow.getVariable("output_bias", { shape: [vocabSize], initializer: flow.onesInitializer() });
    return flow.nn.biasAdd(flow.matmul(transformed, words, { transposeB: true }), bias);
  });
}

/** Losses of pretraining, each [1]: masked words (mean over the batch's masked tokens), next sentence, their sum. */
export function bertPretrain(
  input: BertInput,
  targets: PretrainTargets,
  config: BertConfig,
): { readonly totalLoss: flow.Blob; readonly mlmLoss: flow.Blob; readonly nspLoss: flow.Blob } {
  const { sequence, words } = bert(input, config);
  const pooled = pooler(sequence, config);
  return flow.scope.namespace("cls", () => {
    const logits = maskedLmLogits(sequence, words, targets.maskedLmPositions, config);
    const ids = flow.reshape(targets.maskedLmIds, [-1]);
    const perToken = flow.nn.sparseSoftmaxCrossEntropyWithLogits(ids, logits);
    const perSample = flow.math.reduceSum(
      flow.reshape(perToken, targets.maskedLmWeights.shape).mul(targets.maskedLmWeights),
      { axis: [-1] },
    );
    const masked = flow.math.reduceMean(flow.math.reduceSum(targets.maskedLmWeights, { axis: [-1] }));
    const mlmLoss = flow.math.reduceMean(perSample).div(masked.add(1e-5));
    const next = flow.scope.namespace("seq_relationship", () => labelLogits(pooled, 2, weights(config)));
    const nspLoss = flow.math.reduceMean(flow.nn.sparseSoftmaxCrossEntropyWithLogits(targets.nextSentenceLabels, next));
    return { totalLoss: mlmLoss.add(nspLoss), mlmLoss, nspLoss };
  });
}

/** Scores of each token as start and as end of the answer, each [B, S]. */
export function bertSquad(
  input: BertInput,
  config: BertConfig,
): { readonly startLogits: flow.Blob; readonly endLogits: flow.Blob } {
  const { seqLength, hiddenSize } = config;
  const { sequence } = bert(input, config);
  const logits = flow.scope.namespace("cls", () =>
    flow.scope.namespace("squad", () =>
      fullyConnected(flow.reshape(sequence, [-1, hiddenSize]), 2, weights(config), "output"),
    ),
  );
  const pairs = flow.reshape(logits, [-1, seqLength, 2]);
  const column = (index: number): flow.Blob =>
    flow.reshape(flow.slice(pairs, [null, 0, index], [null, seqLength, 1]), [-1, seqLength]);
  return { startLogits: column(0), endLogits: column(1) };
}

/** The mean loss of the answer's two ends, [B]; positions are int32[B, 1]. */
export function squadLoss(
  { startLogits, endLogits }: ReturnType<typeof bertSquad>,
  startPositions: flow.Blob,
  endPositions: flow.Blob,
): flow.Blob {
  const ends = [
    [startLogits, startPositions],
    [endLogits, endPositions],
  ] as const;
  const [start, end] = ends.map(([logits, positions]) =>
    flow.nn.sparseCrossEntropy(positions, flow.nn.softmax(logits)),
  );
  return start!.add(end!).mul(0.5);
}

/** Scores of each label for a sentence or a pair, [B, labels]: the classifier of the GLUE tasks. */
export function bertClassifier(input: BertInput, config: BertConfig, { labels = 2 } = {}): flow.Blob {
  const pooled = pooler(bert(input, config).sequence, config);
  return flow.scope.namespace("classification", () =>
    labelLogits(pooled, labels, flow.randomNormalInitializer(0, config.initializerRange ?? 0.02)),
  );
}

/** The documented optimizer of all three programs: the rate rises over a tenth of `steps` from 0, then falls to 0. */
export function bertOptimizer(learningRate: number, steps: number, { weightDecay = 0.01 } = {}): flow.optimizer.AdamW {
  const warmup = flow.optimizer.warmup.linear(Math.floor(steps / 10), 0);
  return new flow.optimizer.AdamW(
    new flow.optimizer.PolynomialSchduler(learningRate, steps, { endLearningRate: 0, warmup }),
    {
      epsilon: 1e-6,
      weightDecay,
      weightDecayExcludes: ["bias", "LayerNorm", "layer_norm"],
      gradClipping: flow.optimizer.gradClipping.byGlobalNorm(1),
    },
  );
}
