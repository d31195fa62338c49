// npm run bench:compile -- [--models resnet50,...] [--rounds 3]: how long a job takes before its first step, in its three parts:
// tracing its function; gradients, optimizer and passes; lowering to the engine's model and loading it there. Then how that grows with
// depth: the same for a network and one twice as deep.
import { cpus } from "node:os";
import { Command } from "commander";
import * as flow from "onestep";
import { tp } from "onestep";
import { compile } from "#src/job/compile.js";
import { engineFor } from "#src/job/config.js";
import { declarationOf, type Job } from "#src/job/global-function.js";
import { exampleShape } from "#src/job/placeholder.js";
import { traceJob } from "#src/job/trace-job.js";
import { VariableRegistry } from "#src/variables/registry.js";
import { resnet50 } from "../examples/models/resnet.js";
import { models } from "./models.js";

const options = new Command("compile")
  .option("--models <names>", "comma-separated", "resnet50,wdl")
  .option("--engine <name>", "onnx or tensorflow", "onnx")
  .option("--rounds <n>", "times each is compiled; the median is shown", "3")
  .option("--no-depths", "without the comparison of depths")
  .parse()
  .opts<{ models: string; engine: string; rounds: string; depths: boolean }>();

type AnyJob = Job<readonly never[], unknown>;

interface Times {
  readonly nodes: number;
  readonly traceMs: number;
  readonly passesMs: number;
  readonly openMs: number;
  readonly totalMs: number;
  /** Processor time of all of it: what other programs on the machine change least. */
  readonly cpuMs: number;
}

/** Compiles a job as the session does at its first call, once. */
async function once(declare: () => AnyJob): Promise<Times> {
  const { declaration } = declarationOf("compile", declare());
  const engine = await engineFor({ engine: options.engine });
  const session = await engine.open({ threads: 2 });
  const registry = new VariableRegistry();
  const cpu = process.cpuUsage();
  const started = performance.now();
  const traced = traceJob(declaration, declaration.placeholders.map(exampleShape), registry);
  const wasTraced = performance.now();
  const compiled = compile(traced, engine, { checkNumerics: false, variant: "" });
  const wasCompiled = performance.now();
  await session.extend({
    jobs: [compiled.whole.native],
    variables: new Map(compiled.variables.map((spec) => [spec.name, spec])),
  });
  const end = performance.now();
  const used = process.cpuUsage(cpu);
  await session.close();
  await flow.clearDefaultSession();
  return {
    nodes: compiled.whole.native.graph.nodes.length,
    traceMs: wasTraced - started,
    passesMs: wasCompiled - wasTraced,
    openMs: end - wasCompiled,
    totalMs: end - started,
    cpuMs: (used.user + used.system) / 1000,
  };
}

/** The round of median total time, after one that warms up. */
async function measure(declare: () => AnyJob): Promise<Times> {
  const rounds: Times[] = [];
  for (let i = 0; i < Number(options.rounds); i++) rounds.push(await once(declare));
  return rounds.sort((a, b) => a.totalMs - b.totalMs)[Math.floor(rounds.length / 2)]!;
}

const row = (name: string, { nodes, traceMs, passesMs, openMs, totalMs, cpuMs }: Times): string =>
  `| ${[name, nodes, ...[traceMs, passesMs, openMs, totalMs, cpuMs].map((ms) => Math.round(ms))].join(" | ")} |`;

console.log(`${cpus()[0]!.model.trim()}, Node ${process.version}, engine ${options.engine}\n`);
console.log(
  "| job | nodes | trace ms | gradients and passes ms | engine ms | total ms | CPU ms |\n|---|---|---|---|---|---|---|",
);
for (const name of options.models.split(",")) {
  const model = models[name];
  if (model === undefined) throw new Error(`model '${name}' is unknown, expected ${Object.keys(models).join(", ")}`);
  console.log(row(model.title, await measure(() => model.declare({}).job)));
}

/** An MLP of `depth` hidden layers of 64 units. */
const mlp = (depth: number) => () =>
  flow.globalFunction(
    { type: "train", name: "mlp" },
    [tp.Numpy.Placeholder([8, 64]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
    (x, labels) => {
      let y = x;
      for (let i = 0; i < depth; i++) y = flow.layers.dense(y, 64, { activation: flow.nn.relu, name: `dense${i}` });
      minimize(flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, y));
    },
  );

/** A narrow ResNet with `blocks` blocks in each stage. */
const resnet = (blocks: number) => () =>
  flow.globalFunction(
    { type: "train", name: "resnet" },
    [tp.Numpy.Placeholder([8, 3, 64, 64]), tp.Numpy.Placeholder([8], { dtype: flow.int32 })],
    (x, labels) => {
      const logits = resnet50(x, { width: 0.25, classes: 10, blocks: Array<number>(4).fill(blocks) });
      minimize(flow.nn.sparseSoftmaxCrossEntropyWithLogits(labels, logits));
    },
  );

const minimize = (loss: flow.Blob): void =>
  void new flow.optimizer.SGD(new flow.optimizer.PiecewiseConstantScheduler([], [0.1])).minimize(loss);

if (options.depths) {
  for (const [title, make, depths] of [
    ["MLP of hidden layers", mlp, [100, 200, 400]],
    ["ResNet of blocks a stage", resnet, [4, 8, 16]],
  ] as const) {
    const times: Times[] = [];
    for (const depth of depths) times.push(await measure(make(depth) as () => AnyJob));
    for (const [i, depth] of depths.entries()) console.log(row(`${title}: ${depth}`, times[i]!));
    const ratios = (of: (times: Times) => number): string =>
      times
        .slice(1)
        .map((deep, i) => (of(deep) / of(times[i]!)).toFixed(2))
        .join(" and ");
    const own = ratios(({ traceMs, passesMs }) => traceMs + passesMs);
    console.log(
      `\n${title}: twice the depth takes ${ratios(({ cpuMs }) => cpuMs)} times the CPU time, without the engine ${own}\n`,
    );
  }
}
