import { readFileSync } from "node:fs";
import * as flow from "onestep";
import { tp } from "onestep";
import { describe, expect, test } from "vitest";
import { isReady } from "../engines/ready.js";
import "../jobs/support.js";

interface Curve {
  readonly name: string;
  readonly scheduler: string;
  readonly arguments: readonly unknown[];
  readonly options: object;
  readonly warmup: "constant" | "linear" | null;
  readonly warmupArguments: readonly [number, number];
  /** float32, base64. */
  readonly rates: string;
}
const golden = JSON.parse(readFileSync(new URL("./schedules.json", import.meta.url), "utf8")) as readonly Curve[];
const steps = 300;

function schedule({ scheduler, arguments: args, options, warmup, warmupArguments }: Curve): flow.optimizer.Schedule {
  type Class = new (...args: unknown[]) => flow.optimizer.Schedule;
  const Scheduler = (flow.optimizer as unknown as Record<string, Class>)[scheduler]!;
  const warm = warmup === null ? {} : { warmup: flow.optimizer.warmup[warmup](...warmupArguments) };
  return new Scheduler(...args, { ...options, ...warm });
}

/** Largest difference of two curves, in units of a golden value's last float32 bit. */
function distance(got: readonly number[], rates: string): number {
  const bytes = Buffer.from(rates, "base64");
  const expected = Array.from({ length: steps }, (_, t) => bytes.readFloatLE(4 * t));
  expect(got.length).toBe(steps);
  return Math.max(
    ...got.map((rate, t) => Math.abs(rate - expected[t]!) / Math.max(Math.abs(expected[t]!) * 2 ** -23, 1e-18)),
  );
}

// One job gives the rates of every schedule at the step it is fed.
for (const engine of ["onnx", "tensorflow", "reference"])
  describe.skipIf(!isReady(engine))(engine, () => {
    test(`${golden.length} curves of ${steps} steps`, { timeout: 60_000 }, async () => {
      flow.config.engine(engine);
      const job = flow.globalFunction(
        { name: "rates", returns: [tp.Numpy] },
        [tp.Numpy.Placeholder([1], { dtype: flow.int64 })],
        (step) => [flow.concat(golden.map((curve) => schedule(curve).learningRate(step)))],
      );
      const rows: Float32Array[] = [];
      for (let t = 0; t < steps; t++) rows.push((await job([t]))[0].data as Float32Array);
      for (const [i, { name, rates }] of golden.entries())
        expect(
          distance(
            rows.map((row) => row[i]!),
            rates,
          ),
          name,
        ).toBeLessThanOrEqual(1);
    });
  });

test("the golden curves hold every scheduler, each with both warm-ups", () => {
  const made = Object.keys(flow.optimizer).filter((name) => /Sch(e)?duler$/.test(name));
  const covered = new Set(golden.map(({ scheduler, warmup }) => `${scheduler} ${warmup}`));
  for (const name of made.filter((n) => !["CustomScheduler", "PolynomialScheduler"].includes(n)))
    for (const warmup of [null, "constant", "linear"]) expect(covered).toContain(`${name} ${warmup}`);
});
