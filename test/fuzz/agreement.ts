import fc from "fast-check";
import type * as flow from "onestep";
import { mistakes } from "./model.js";
import { type JobPlan, type Outcome, type Program, type Run, run } from "./program.js";

const numbers = (length: number) => fc.array(fc.nat(10_079), { minLength: length, maxLength: length });
const rarely = <T>(value: fc.Arbitrary<T>, freq: number) => fc.option(value, { freq, nil: null });

const job = (wrongs: number): fc.Arbitrary<JobPlan> =>
  fc.record({
    batch: fc.integer({ min: 1, max: 4 }),
    choices: numbers(24),
    // Most jobs are right.
    mistake: fc
      .nat(9)
      .chain((n): fc.Arbitrary<number | null> => (n === 0 ? fc.nat(mistakes.length + wrongs - 1) : fc.constant(null))),
  });

/** Random programs, most of them right. */
export const programs: fc.Arbitrary<Program> = fc.record({
  seed: fc.nat(9999),
  float64: fc.nat(3).map((n) => n === 3),
  checkNumerics: fc.nat(7).map((n) => n === 7),
  dropout: fc.nat(7).map((n) => n === 7),
  shape: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
  plan: fc.array(numbers(14), { minLength: 1, maxLength: 8 }),
  train: rarely(job(12), 4),
  predict: fc.array(job(4), { minLength: 1, maxLength: 2 }),
  calls: fc.array(numbers(8), { minLength: 2, maxLength: 5 }),
  init: fc.nat(15).map((n) => n !== 15),
});

/** How far two arrays are apart, as a share of what they hold; infinite where they cannot be compared. */
function distance(a: flow.NdArray, b: flow.NdArray): number {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return Infinity;
  const [xs, ys] = [Array.from(a.data as Float64Array, Number), Array.from(b.data as Float64Array, Number)];
  const scale = Math.max(1, ...ys.filter(Number.isFinite).map(Math.abs));
  return Math.max(
    0,
    ...xs
      .map((x, i) =>
        Object.is(x, ys[i]) || x === ys[i] ? 0 : Number.isFinite(x) ? Math.abs(x - ys[i]!) / scale : Infinity,
      )
      .map((d) => (Number.isNaN(d) ? Infinity : d)),
  );
}

/** The largest distance, with the outcome it is found at. */
function compare(a: readonly Outcome[], b: readonly Outcome[]): readonly number[] {
  return a.map((left, i) => {
    const right = b[i];
    if (right === undefined || a.length !== b.length) return Infinity;
    if ("code" in left || "code" in right)
      return "code" in left && "code" in right && left.code === right.code ? 0 : Infinity;
    if (left.values.length !== right.values.length) return Infinity;
    return Math.max(0, ...left.values.map((value, j) => distance(value, right.values[j]!)));
  });
}

const shown = (outcome: Outcome | undefined): string =>
  outcome === undefined
    ? "nothing"
    : "code" in outcome
      ? `${outcome.message}`
      : outcome.values
          .map(
            (value) =>
              `${value.dtype}[${value.shape.join(",")}] ${Array.from(value.data as Float64Array)
                .slice(0, 8)
                .join(" ")}`,
          )
          .join("; ");

/** What the program came to on the reference engine, and how onnx disagrees, in words; undefined where it agrees. */
export async function judged(
  program: Program,
): Promise<{ readonly reference: Run; readonly complaint: string | undefined }> {
  const reference = await run(program, "reference");
  const onnx = await run(program, "onnx");
  const distances = compare(onnx.outcomes, reference.outcomes);
  const tolerance = program.float64 ? 1e-8 : 2e-5;
  if (distances.every((d) => d <= tolerance)) return { reference, complaint: undefined };
  // Where results are ill determined, they move as much when the feeds do by a rounding.
  const nudged = await run(program, "reference", program.float64 ? 1e-13 : 3e-7);
  const slack = compare(nudged.outcomes, reference.outcomes).map((d) => (d === Infinity ? 0 : d));
  const at = distances.findIndex((d, i) => !(d <= tolerance + 20 * slack[i]!));
  if (at === -1) return { reference, complaint: undefined };
  const complaint = `outcome ${at}, '${onnx.outcomes[at]?.what}', differs by ${distances[at]} (moves by ${slack[at]})\nonnx: ${shown(onnx.outcomes[at])}\nreference: ${shown(reference.outcomes[at])}\nof the program\n${onnx.text}`;
  return { reference, complaint };
}
