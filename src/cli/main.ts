#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { FlowError } from "../core/errors.js";
import type { Answer } from "./answer.js";
import { addDoctor } from "./doctor.js";
import { addSetup } from "./setup.js";

// Exit codes: 0 done, and the answer is yes; 1 the answer is no (diff, verify); 2 the command could not be carried out.
const TROUBLE = 2;

// `onestep inspect m | head -1` closes the pipe early: no error, nobody is listening.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const print = (answer: Answer): void => {
  for (const note of answer.notes ?? []) process.stderr.write(`${note}\n`);
  process.exitCode = answer.code ?? 0;
  process.stdout.write(answer.text);
};

const count = (text: string): number => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("Expected a whole number of at least 1.");
  return value;
};

const tolerance = (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("Expected a number of at least 0.");
  return value;
};

const model = "checkpoint directory, .safetensors or .npz file";
const program = new Command("onestep")
  .description(
    'Train neural networks in Node.js. The library is imported (import * as flow from "onestep"); this command looks after its files.',
  )
  .version(version)
  .exitOverride()
  .configureHelp({ helpWidth: 80 })
  .addHelpText(
    "after",
    "\nExit code 0: done. 1: diff found differences, verify found damage. 2: the\ncommand could not be carried out.",
  );

program
  .command("inspect")
  .description("list the variables of a model: type, bytes, range, mean, deviation, NaN")
  .argument("<model>", model)
  .argument("[names...]", "only these variables; * stands for any characters")
  .option("--no-values", "do not read the elements")
  .option("--json", "print JSON")
  .action(async (path: string, names: string[], options: { json?: boolean; values: boolean }) =>
    print(await (await import("./inspect.js")).inspect(path, names, options)),
  );

program
  .command("verify")
  .description("read every byte and say whether it is what was saved")
  .argument("<model>", model)
  .option("--accept", "take an edited checkpoint as it is: write the new hashes")
  .option("--json", "print JSON")
  .action(async (path: string, options: { accept?: boolean; json?: boolean }) =>
    print(await (await import("./verify.js")).verify(path, options)),
  );

program
  .command("diff")
  .description("compare two models variable by variable")
  .argument("<first>", model)
  .argument("<second>", model)
  .option("--atol <number>", "elements this far apart are equal", tolerance, 0)
  .option("--rtol <number>", "so are elements apart by this share of the second", tolerance, 0)
  .option("--only <names...>", "only these variables; * stands for any characters")
  .option("--json", "print JSON")
  .action(
    async (first: string, second: string, options: { json?: boolean; atol: number; rtol: number; only?: string[] }) =>
      print(await (await import("./diff.js")).diff(first, second, options)),
  );

program
  .command("rename")
  .description("write a copy whose variables have other names")
  .argument("<model>", model)
  .argument("[pairs...]", "FROM TO ...: a * in TO stands for what the * in FROM fitted")
  .option("--out <path>", "where the copy goes, format by extension; must be new")
  .option("--preset <name>", "names of another program: bert-tensorflow, bert-to-tensorflow")
  .action(async (path: string, pairs: string[], options: { out?: string; preset?: string }) =>
    print(await (await import("./rename.js")).rename(path, pairs, options)),
  );

program
  .command("prune")
  .description("remove old checkpoints; only finished ones, after verifying those that stay")
  .argument("<root>", "directory that holds checkpoints")
  .option("--keep-last <count>", "this many of the newest whole ones stay", count)
  .option("--dry-run", "only say what would be removed")
  .option("--json", "print JSON")
  .action(async (root: string, options: { keepLast?: number; dryRun?: boolean; json?: boolean }) =>
    print(await (await import("./prune.js")).prune(root, options)),
  );

program
  .command("convert")
  .description("copy a model into another format: .safetensors, .npz, else a directory")
  .argument("<in>", model)
  .argument("<out>", "format by extension; must be new")
  .option("--include <names...>", "only variables of these names; * stands for any characters")
  .option("--exclude <names...>", "without variables of these names")
  .option("--rename <from=to...>", "other names: 'dense1-*=hidden-*'")
  .option("--preset <name>", "names of another program: bert-tensorflow, bert-to-tensorflow")
  .option("--force", "replace an existing file")
  .action(
    async (
      from: string,
      to: string,
      options: { include?: string[]; exclude?: string[]; rename?: string[]; preset?: string; force?: boolean },
    ) => print(await (await import("./convert.js")).convert(from, to, options)),
  );

addSetup(program);
addDoctor(program);
program
  .command("tune")
  .description("measure engines, threads and convolutions here; keep what is fastest and right for the onnx engine")
  .option("--dry-run", "measure and show, write nothing")
  .option("--clear", "remove the kept choice, measure nothing")
  .action(async (options: { dryRun?: boolean; clear?: boolean }) => (await import("./tune.js")).tuneCommand(options));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : TROUBLE;
  else {
    process.stderr.write(`${error instanceof FlowError ? error.message : String((error as Error).stack ?? error)}\n`);
    process.exitCode = TROUBLE;
  }
}
