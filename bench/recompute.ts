// npx tsx bench/recompute.ts [--layers 24] [--units 1024] [--batch 4096] [--each 4]: peak memory and step time of a deep network, with all
// activations kept, with `config.recompute` and with regions of `scope.recompute` of some layers each. Every variant runs in a process of
// its own; the loss after the last step must be the same to the bit.
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import * as flow from "onestep";
import { tp } from "onestep";

const options = new Command("recompute")
  .option("--layers <n>", "dense layers with relu", "24")
  .option("--units <n>", "units of each", "1024")
  .option("--batch <n>", "rows", "4096")
  .option("--each <list>", "layers of a region, comma-separated", "2,4,6")
  .option("--steps <n>", "steps, of which the fastest counts", "4")
  .option("--engine <name>", "onnx or tensorflow", "onnx")
  .option("--variant <n>", "inside a process: layers of a region, 0 for none, -1 for config.recompute")
  .parse()
  .opts<{
    layers: string;
    units: string;
    batch: string;
    each: string;
    steps: string;
    engine: string;
    variant?: string;
  }>();

interface Result {
  readonly peakMb: number;
  readonly stepMs: number;
  readonly loss: number;
}

const fromSetting = -1;

/** Trains in this process. */
async function run(each: number): Promise<Result> {
  const layers = Number(options.layers);
  const units = Number(options.units);
  const batch = Number(options.batch);
  flow.config.engine(options.engine);
  flow.config.seed(1);
  flow.config.recompute(each === fromSetting);
  const job = flow.globalFunction(
    { type: "train", name: "deep", returns: tp.Numpy },
    [tp.Numpy.Placeholder([batch, units])],
    (x) => {
      const kernelInitializer = flow.randomNormalInitializer(0, Math.sqrt(2 / units));
      const dense = (y: flow.Blob, i: number): flow.Blob =>
        flow.layers.dense(y, units, { activation: flow.nn.relu, kernelInitializer, name: `dense${i}` });
      const block = (y: flow.Blob, from: number, to: number): flow.Blob => {
        for (let i = from; i < to; i++) y = dense(y, i);
        return y;
      };
      let y = x;
      const size = each <= 0 ? layers : each;
      for (let i = 0; i < layers; i += size) {
        const to = Math.min(i + size, layers);
        y = each <= 0 ? block(y, i, to) : flow.scope.recompute(() => block(y, i, to));
      }
      const loss = flow.math.reduceMean(flow.math.square(y));
      const rate = new flow.optimizer.PiecewiseConstantScheduler([], [0.01]);
      new flow.optimizer.SGD(rate, { momentum: 0 }).minimize(loss);
      return loss;
    },
  );
  await new flow.train.CheckPoint().init();
  const x = Float32Array.from({ length: batch * units }, (_, i) => Math.sin(i));
  let stepMs = Infinity;
  let loss = Number.NaN;
  for (let step = 0; step < Number(options.steps); step++) {
    const started = performance.now();
    loss = (await job(x)).item();
    stepMs = Math.min(stepMs, performance.now() - started);
  }
  return { peakMb: process.resourceUsage().maxRSS / 1024, stepMs, loss };
}

function inProcess(each: number): Result {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2), "--variant", `${each}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`variant ${each}: ${stderr}`);
  return JSON.parse(stdout) as Result;
}

if (options.variant !== undefined) console.log(JSON.stringify(await run(Number(options.variant))));
else {
  const { layers, units, batch, engine } = options;
  console.log(`${cpus()[0]!.model.trim()}, Node ${process.version}, engine ${engine}`);
  console.log(`${layers} dense layers of ${units} units, batch ${batch}\n`);
  console.log("| regions | peak RSS MB | fastest step ms | time |\n|---|---|---|---|");
  const all = inProcess(0);
  const row = (name: string, { peakMb, stepMs }: Result): void =>
    console.log(`| ${name} | ${peakMb.toFixed(0)} | ${stepMs.toFixed(0)} | ${(stepMs / all.stepMs).toFixed(2)} |`);
  row("none", all);
  const variants: readonly (readonly [string, number])[] = [
    ["config.recompute", fromSetting],
    ...options.each.split(",").map((each) => [`of ${each} layers`, Number(each)] as const),
  ];
  for (const [name, each] of variants) {
    const result = inProcess(each);
    row(name, result);
    if (result.loss !== all.loss) throw new Error(`the loss is ${result.loss}, without regions ${all.loss}`);
  }
}
