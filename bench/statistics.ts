/** The value at `fraction` of the sorted list, between neighbours by their distance, as numpy's default does. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(place)]!;
  return below + (sorted[Math.ceil(place)]! - below) * (place % 1);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** exp of the mean logarithm; NaN of nothing. */
export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Why losses of a peer are not onestep's, or nothing: the largest relative difference must stay below the tolerance. */
export function disagreement(
  losses: readonly number[],
  ours: readonly number[],
  tolerance: number,
): string | undefined {
  const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - ours[i]!) / Math.abs(ours[i]!)));
  return worst < tolerance ? undefined : `its losses ${losses.join(", ")} are not onestep's ${ours.join(", ")}`;
}
