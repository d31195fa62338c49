import * as flow from "onestep";

/** Options of `wideAndDeep`; the defaults are the published recipe. */
export interface WideDeepOptions {
  /** Rows of the wide table; default 1,603,616. (The original's script defaults to 3,200,000.) */
  readonly wideVocabSize?: number;
  /** Rows of the deep table; default 1,603,616. */
  readonly deepVocabSize?: number;
  /** Width of the deep table; default 16. */
  readonly deepEmbeddingSize?: number;
  /** Units of the hidden layers; default 7 x 1024. */
  readonly hiddenUnits?: readonly number[];
  /** Default 0.5. */
  readonly dropoutRate?: number;
}

/** A batch of Criteo's rows: 13 numbers, 2 crossed ids, 26 ids. */
export interface WideDeepInputs {
  /** float [batch, 13]. */
  readonly denseFields: flow.Blob;
  /** int32 [batch, 2], rows of the wide table. */
  readonly wideSparseFields: flow.Blob;
  /** int32 [batch, 26], rows of the deep table. */
  readonly deepSparseFields: flow.Blob;
}

/**
 * Wide & Deep as OneFlow-Benchmark v0.2.0 has it (`ClickThroughRate/WideDeepLearning/wdl_train_eval.py`): a linear model of crossed
 * ids beside an MLP over embedded ids and numbers; logits [batch, 1] for `nn.sigmoidCrossEntropyWithLogits`. With the recipe's
 * tables it has 18 variables and 34,000,417 parameters. What the original says of distribution changes nothing on one device.
 */
export function wideAndDeep(inputs: WideDeepInputs, options: WideDeepOptions = {}): flow.Blob {
  const {
    wideVocabSize = 1_603_616,
    deepVocabSize = 1_603_616,
    deepEmbeddingSize = 16,
    hiddenUnits = Array<number>(7).fill(1024),
    dropoutRate = 0.5,
  } = options;
  const initializer = flow.randomUniformInitializer(-0.05, 0.05);
  const wideTable = flow.getVariable("wide_embedding", {
    shape: [wideVocabSize, 1],
    initializer,
    distribute: flow.distribute.split(0),
  });
  const wide = flow.gather(wideTable, inputs.wideSparseFields);
  const wideScores = flow.math.reduceSum(flow.reshape(wide, [wide.shape[0]!, -1]), { axis: [1], keepdims: true });

  const deepTable = flow.getVariable("deep_embedding", {
    shape: [deepVocabSize, deepEmbeddingSize],
    initializer,
    distribute: flow.distribute.split(1),
  });
  const deep = flow.gather(deepTable, inputs.deepSparseFields);
  let features = flow.concat([flow.reshape(deep, [deep.shape[0]!, -1]), inputs.denseFields], { axis: 1 });
  const kernelInitializer = flow.glorotUniformInitializer();
  for (const [i, units] of hiddenUnits.entries()) {
    const dense = flow.layers.dense(features, units, {
      activation: flow.math.relu,
      kernelInitializer,
      name: `fc${i + 1}`,
    });
    features = flow.nn.dropout(dense, dropoutRate);
  }
  const deepScores = flow.layers.dense(features, 1, { kernelInitializer, name: `fc${hiddenUnits.length + 1}` });
  return wideScores.add(deepScores);
}
