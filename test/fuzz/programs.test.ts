import fc from "fast-check";
import { expect, test } from "vitest";
import { judged, programs } from "./agreement.js";

const full = process.env.ONESTEP_FULL === "1";
const seed = Number(process.env.ONESTEP_FUZZ_SEED ?? 20_261);
const count = Number(process.env.ONESTEP_FUZZ_RUNS ?? (full ? 1000 : 100));

test(`${count} random programs agree on both engines, or fail with one code (seed ${seed})`, {
  timeout: 1_200_000,
}, async () => {
  const codes = new Map<string, number>();
  let right = 0;
  let trained = 0;
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      const { reference, complaint } = await judged(program);
      if (complaint !== undefined) throw new Error(complaint);
      const found = new Set(reference.outcomes.flatMap((outcome) => ("code" in outcome ? [outcome.code] : [])));
      for (const code of found) codes.set(code, (codes.get(code) ?? 0) + 1);
      if (found.size === 0) right++;
      if (found.size === 0 && program.train !== null) trained++;
    }),
    { numRuns: count, seed },
  );
  if (process.env.ONESTEP_FUZZ_SHOW === "1") console.log({ right, trained, codes: Object.fromEntries(codes) });
  // The random programs must be worth running: most right ones train, and wrong ones go wrong in many ways.
  expect(right).toBeGreaterThan(0.4 * count);
  expect(trained).toBeGreaterThan(0.2 * count);
  expect(codes.size).toBeGreaterThanOrEqual(full ? 12 : 6);
});
