import { arch, cpus, release, type as systemName, totalmem } from "node:os";
import type { Command } from "commander";
import type { EngineReport } from "../engines/engine.js";
import { describeTuning, readTuning, type Tuning, tuningFile } from "../engines/onnx/tuning.js";
import { usableCores } from "../engines/usable-cores.js";
import { engineFor, engineNames } from "../job/config.js";

type Finding = { readonly engine: string } & (
  | ({ readonly works: true } & EngineReport)
  | { readonly works: false; readonly problem: string }
);

export interface Examination {
  readonly onestep: string;
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  /** Those that this process may keep busy: what its container, if any, leaves it. */
  readonly usableCores: number;
  readonly memoryGiB: number;
  /** The engine that a program gets that names none. */
  readonly chosen: string;
  readonly engines: readonly Finding[];
  /** What `onestep tune` has kept for the onnx engine here. */
  readonly tuned: (Tuning & { readonly file: string }) | null;
}

/** Loads every engine and tells what it found, or what is wrong and how to mend it. */
export async function examine(onestep: string): Promise<Examination> {
  const engines: Finding[] = [];
  for (const engine of engineNames) {
    try {
      engines.push({ engine, works: true, ...(await (await engineFor({ engine })).report()) });
    } catch (error) {
      engines.push({ engine, works: false, problem: (error as Error).message });
    }
  }
  const processors = cpus();
  const tuning = readTuning();
  return {
    onestep,
    node: `${process.version} (${process.execPath})`,
    system: `${systemName()} ${release()} ${arch()}`,
    processor: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    usableCores: usableCores(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    chosen: process.env.ONESTEP_ENGINE ?? "onnx",
    engines,
    tuned: tuning === undefined ? null : { ...tuning, file: tuningFile() },
  };
}

/** An examination for people. */
export function describe({
  onestep,
  node,
  system,
  processor,
  cores,
  usableCores: usable,
  memoryGiB,
  chosen,
  engines,
  tuned,
}: Examination): string {
  const lines = [
    `onestep    ${onestep}`,
    `Node       ${node}`,
    `system     ${system}`,
    `processor  ${processor}, ${cores} cores${usable < cores ? ` (${usable} usable here)` : ""}, ${memoryGiB} GiB`,
  ];
  for (const finding of engines) {
    const title = `engine ${finding.engine}${finding.engine === chosen ? " (chosen)" : ""}`;
    if (finding.works) {
      const { library, where, threads, gpu, notes } = finding;
      lines.push("", `${title}: works`, `  ${library}`, `  found at ${where}`);
      lines.push(`  ${threads} thread${threads === 1 ? "" : "s"}, ${gpu ? "GPU" : "no GPU"}`);
      for (const note of notes) lines.push(`  note: ${note}`);
    } else lines.push("", `${title}: does not work`, `  ${finding.problem}`);
  }
  if (tuned === null) lines.push("", "onnx is not tuned for this machine: npx onestep tune");
  else lines.push("", `onnx is tuned: ${describeTuning(tuned)}`, `  by ${tuned.file}`);
  if (!engineNames.includes(chosen))
    lines.push("", `ONESTEP_ENGINE is '${chosen}', which is no engine; known are ${engineNames.join(", ")}`);
  return `${lines.join("\n")}\n`;
}

/** Whether a program that names no engine would run: the chosen engine works. The reference engine always does. */
export const healthy = ({ chosen, engines }: Examination): boolean =>
  engines.some(({ engine, works }) => engine === chosen && works);

/** Adds `onestep doctor`. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("tell which engines work here, where they were found, and how to mend those that do not")
    .option("--json", "as JSON")
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const examination = await examine(program.version()!);
      process.stdout.write(json ? `${JSON.stringify(examination, null, 2)}\n` : describe(examination));
      process.exitCode = healthy(examination) ? 0 : 1;
    });
}
