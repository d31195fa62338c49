// Two steps of ResNet50 and MobileNetV2, narrow, from given weights: losses and updates as in PyTorch's float64.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { describe, expect, test } from "vitest";
import { formula } from "../../bench/cases.js";
import { trainNet } from "../../examples/models/cnns.js";
import { isReady } from "../engines/ready.js";
import { scratch } from "../jobs/support.js";

interface Change {
  readonly norm: number;
  /** Norm of the difference of PyTorch's float32 change from its float64 one, relative. */
  readonly spread: number;
  /** Elements at (7919 i + 13) mod length of the variable after a step less the variable before. */
  readonly elements: readonly number[];
}
const golden = JSON.parse(readFileSync(new URL("./models.json", import.meta.url), "utf8")) as {
  readonly batch: number;
  readonly size: number;
  readonly classes: number;
  readonly rate: number;
  readonly images: number;
  readonly models: Readonly<
    Record<
      "resnet50" | "mobilenetv2",
      {
        readonly losses: readonly number[];
        readonly spread: number;
        readonly variables: readonly string[];
        readonly changes: Readonly<Record<string, Change>>;
      }
    >
  >;
};
const widths = { resnet50: 1 / 8, mobilenetv2: 1 / 4 };

/** As models.py. */
function firstValue(index: number, name: string, shape: readonly number[]): Float32Array {
  const length = shape.reduce((a, b) => a * b);
  const part = name.split("-").at(-1)!;
  if (part === "gamma" || part === "moving_variance") {
    const centre = /branch2c|project/.test(name) ? 0.25 : 1;
    return formula(index, length, 0.125).map((x) => centre + x);
  }
  if (part === "beta" || part === "bias" || part === "moving_mean") return formula(index, length, 0.125);
  return formula(index, length, Math.sqrt(6 / shape.slice(1).reduce((a, b) => a * b)));
}

const relative = (got: number, expected: number): number => Math.abs(got - expected) / Math.abs(expected);

for (const engine of ["onnx", "tensorflow"])
  describe.skipIf(!isReady(engine))(engine, () => {
    for (const name of ["resnet50", "mobilenetv2"] as const)
      test(`${name}: two steps are PyTorch's`, async () => {
        const { losses, variables, changes } = golden.models[name];
        const { batch, size, classes, rate } = golden;
        flow.config.engine(engine);
        const constant = new flow.optimizer.PiecewiseConstantScheduler([], [rate]);
        const optimizer = new flow.optimizer.SGD(constant, { momentum: 0 });
        const job = trainNet(name, { batch, size, classes, width: widths[name], optimizer });
        const shapes = new Map((await flow.describe(job)).variables.map((variable) => [variable.name, variable.shape]));
        expect([...shapes.keys()].sort()).toEqual([...variables].sort());
        const folder = join(scratch(), "weights");
        const write = (variable: string, data: Float32Array | BigInt64Array): void => {
          mkdirSync(join(folder, variable), { recursive: true });
          writeFileSync(join(folder, variable, "out"), data);
        };
        const first = new Map(variables.map((v, index) => [v, firstValue(index, v, shapes.get(v)!)]));
        for (const [variable, value] of first) write(variable, value);
        write("System-Train-TrainStep-TrainNet", new BigInt64Array(1));
        mkdirSync(join(folder, "snapshot_done"));
        await new flow.train.CheckPoint().load(folder);

        const images = formula(golden.images, batch * 3 * size * size, 1);
        const labels = Int32Array.from({ length: batch }, (_, i) => i % classes);
        expect(relative((await job(images, labels)).loss.item(), losses[0]!)).toBeLessThan(1e-5);
        for (const [variable, { norm, spread, elements }] of Object.entries(changes)) {
          const after = (await flow.experimental.getInterfaceBlobValue(variable)).data as Float32Array;
          const change = after.map((x, i) => x - first.get(variable)![i]!);
          const limit = Math.max(1e-4, 10 * spread);
          expect(relative(Math.hypot(...change), norm), variable).toBeLessThan(limit);
          const picked = elements.map((_, i) => change[(7919 * i + 13) % change.length]!);
          const distance = Math.hypot(...picked.map((x, i) => x - elements[i]!));
          expect(distance / Math.hypot(...elements), variable).toBeLessThan(limit);
        }
        expect(relative((await job(images, labels)).loss.item(), losses[1]!)).toBeLessThan(1e-4);
      });
  });
