/** `batch` images [3, size, size] of labels 0, 1, ...: colours and stripes that follow from the label, and some noise. */
export function syntheticImages(
  batch: number,
  size: number,
  classes: number,
): { readonly images: Float32Array<ArrayBuffer>; readonly labels: Int32Array<ArrayBuffer> } {
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes);
  const images = Float32Array.from({ length: batch * 3 * size * size }, (_, i) => {
    const label = labels[Math.floor(i / (3 * size * size))]!;
    const channel = Math.floor(i / (size * size)) % 3;
    const column = i % size;
    return Math.sin(label * (channel + 1) + (column * (label + 1)) / 3) + 0.3 * Math.sin(i * 12.9898);
  });
  return { images, labels };
}

/** `batch` rows as Criteo's: labels, numbers, and ids below `wideVocabSize` and `deepVocabSize`; the label follows from a wide id. */
export function syntheticClicks(batch: number, wideVocabSize: number, deepVocabSize: number) {
  const mix = (i: number): number => (Math.imul(i + 1, 2654435761) >>> 8) & 0xffffff;
  const wideSparseFields = Int32Array.from({ length: batch * 2 }, (_, i) => mix(i) % wideVocabSize);
  return {
    labels: Int32Array.from({ length: batch }, (_, i) => wideSparseFields[2 * i]! % 2),
    denseFields: Float32Array.from({ length: batch * 13 }, (_, i) => Math.sin(i * 12.9898)),
    wideSparseFields,
    deepSparseFields: Int32Array.from({ length: batch * 26 }, (_, i) => mix(i + 7919) % deepVocabSize),
  };
}
