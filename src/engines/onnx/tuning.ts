import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { usableCores } from "../usable-cores.js";
import { runtimeVersion } from "./session/library.js";

/** What a choice was measured on, and counts for. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly onnxruntime: string;
  readonly onestep: string;
}

/** What `onestep tune` found to be fastest here, in place of the engine's own choice. */
export interface Tuning {
  /** Threads of one op, where a program does not say. */
  readonly threads: number;
  /** Channels that blocked convolutions keep together; 0: plain convolutions. */
  readonly blockSize: number;
}

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

export const thisMachine = (): Machine => ({
  processor: cpus()[0]?.model.trim() ?? "unknown",
  cores: usableCores(),
  onnxruntime: runtimeVersion(),
  onestep: version,
});

/** The file that `onestep tune` writes and the engine reads when a session opens. */
export const tuningFile = (): string => join(cacheFolder(), "tune.json");

const told = new Set<string>();

/** The choice for this machine. A file that is broken, or of another machine or version, is left aside with one line on standard error. */
export function readTuning(file = tuningFile()): Tuning | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : aside(file, (error as Error).message);
  }
  const found = parsed(text);
  if (found === undefined) return aside(file, "it is not what tune writes");
  const [was, is] = [found.machine, thisMachine()];
  const other = (Object.keys(is) as (keyof Machine)[]).find((key) => was[key] !== is[key]);
  if (other !== undefined) return aside(file, `it is for ${other} ${String(was[other])}, here is ${is[other]}`);
  return found.tuning;
}

function parsed(text: string): { readonly machine: Partial<Machine>; readonly tuning: Tuning } | undefined {
  try {
    const { machine, threads, blockSize } = JSON.parse(text) as Partial<Tuning & { readonly machine: Machine }>;
    const whole = [threads, blockSize].every((value) => Number.isSafeInteger(value));
    const known = whole && threads! >= 1 && threads! <= usableCores() && [0, 8, 16].includes(blockSize!);
    return known && typeof machine === "object" ? { machine, tuning: { threads, blockSize } as Tuning } : undefined;
  } catch {
    return undefined;
  }
}

function aside(file: string, why: string): undefined {
  if (!told.has(file))
    process.stderr.write(
      `onnx: ${file} is ignored: ${why}; 'npx onestep tune' writes it, 'npx onestep tune --clear' removes it\n`,
    );
  told.add(file);
  return undefined;
}

/** Writes the choice for this machine, all at once. */
export function writeTuning(tuning: Tuning, file = tuningFile()): void {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify({ machine: thisMachine(), ...tuning }, null, 2)}\n`);
  renameSync(fresh, file);
}

export const clearTuning = (file = tuningFile()): void => rmSync(file, { force: true });

/** A choice for people. */
export const describeTuning = ({ threads, blockSize }: Tuning): string =>
  `${threads} thread${threads === 1 ? "" : "s"}, ${blockSize === 0 ? "plain convolutions" : `convolutions in blocks of ${blockSize} channels`}`;
