// npm run bench -- --profile: where onnxruntime spends the time of a step, by kind of op. The model is the one the job runs
// (ONESTEP_DEBUG=3 writes it), the inputs are arbitrary.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";

interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args: { readonly op_name?: string; readonly output_type_shape?: readonly unknown[] };
}

/** Milliseconds a step by op kind, largest first, of `steps` steps after a warm-up. */
export async function profile(
  model: Uint8Array,
  threads: number,
  steps = 20,
): Promise<readonly { readonly op: string; readonly ms: number; readonly calls: number; readonly largest: string }[]> {
  const folder = mkdtempSync(join(tmpdir(), "onestep-profile-"));
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    enableProfiling: true,
    profileFilePrefix: join(folder, "step"),
  });
  const feeds = Object.fromEntries(
    session.inputMetadata.map((input) => {
      if (!input.isTensor) throw new Error(`${input.name} is no tensor`);
      const shape = input.shape.map(Number);
      const size = shape.reduce((product, d) => product * d, 1);
      const data =
        input.type === "int64"
          ? new BigInt64Array(size)
          : input.type === "int32"
            ? new Int32Array(size)
            : input.type === "uint8"
              ? new Uint8Array(size)
              : Float32Array.from({ length: size }, (_, i) => Math.sin(i) / 10);
      return [input.name, new ort.Tensor(input.type as "float32", data as Float32Array, shape)];
    }),
  );
  for (let i = 0; i < steps; i++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  const file = readdirSync(folder).find((name) => name.endsWith(".json"))!;
  const events = JSON.parse(readFileSync(join(folder, file), "utf8")) as readonly Event[];
  rmSync(folder, { recursive: true });
  const kinds = new Map<string, { us: number; calls: number; by: Map<string, number> }>();
  for (const { cat, name, dur, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time")) continue;
    const kind = kinds.get(args.op_name!) ?? { us: 0, calls: 0, by: new Map<string, number>() };
    kind.us += dur;
    kind.calls++;
    const shape = JSON.stringify(args.output_type_shape).replaceAll('"', "");
    kind.by.set(shape, (kind.by.get(shape) ?? 0) + dur);
    kinds.set(args.op_name!, kind);
  }
  return [...kinds]
    .map(([op, { us, calls, by }]) => {
      const [shape, most] = [...by].sort((a, b) => b[1] - a[1])[0]!;
      return {
        op,
        ms: us / 1000 / steps,
        calls: calls / steps,
        largest: `${(most / 1000 / steps).toFixed(2)} ms ${shape}`,
      };
    })
    .sort((a, b) => b.ms - a.ms);
}
