/** Version floors of the models this engine makes: opset 21 is ONNX 1.16 (IR 10), older than any onnxruntime pinned here. */
export const irVersion = 10;
export const opsets: Readonly<Record<string, number>> = {
  "": 21,
  "com.microsoft": 1,
  "com.microsoft.nchwc": 1,
};

/** The opset of models with `BitCast`, the first that has it. */
export const bitCastOpset = 26;

/** Opsets that exported models can have, each with the oldest IR version that goes with it. */
export const exportable: Readonly<Record<number, number>> = { 17: 8, 18: 8, 19: 9, 20: 9, 21: 10 };

/** Opset of exported models unless another is asked for: onnxruntime 1.12 of 2022 reads it. */
export const exportOpset = 17;
