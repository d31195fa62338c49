/** Version floors of the models this engine makes: opset 21 is ONNX 1.16 (IR 10), older than any onnxruntime pinned here. */
export const irVersion = 10;
export const opsets: Readonly<Record<string, number>> = {
  "": 21,
  "com.microsoft": 1,
  "com.microsoft.nchwc": 1,
};
