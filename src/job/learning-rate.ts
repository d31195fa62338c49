import { zeros } from "../core/tensor.js";
import { building, GraphBuilder } from "../graph/trace.js";
import { operators } from "../ops/operators.js";
import type { Schedule } from "../optim/schedule.js";
import { decompose } from "../passes/decompose.js";

/** The rate a schedule gives at update `step`, as float32. It is computed on the reference engine: nothing else runs it apart from its step. */
export async function learningRateAt(schedule: Schedule, step: number): Promise<number> {
  const { reference } = await import("../engines/reference/engine.js");
  const builder = new GraphBuilder({ job: "learning rate", training: false, operators });
  building(builder, () => {
    const at = builder.input("placeholder", { name: "step", dtype: "int64", shape: [1] });
    builder.outputs.push(schedule.learningRate(at));
  });
  const { graph } = decompose(builder.finish(), builder.context, (_, node) => !reference.lowers(node));
  const engine = await reference.open({});
  await engine.extend({
    jobs: [{ name: "rate", graph, context: builder.context }],
    variables: new Map(),
  });
  const at = zeros("int64", [1]);
  at.data[0] = BigInt(step);
  const [rate] = await engine.run("rate", [at]);
  return Number(rate!.data[0]);
}
