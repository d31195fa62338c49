import type { Command } from "commander";
import { setupTensorflow } from "../engines/tensorflow/setup/setup.js";

/** Adds `onestep setup tensorflow`. */
export function addSetup(program: Command): void {
  program
    .command("setup")
    .description("get an engine working that npm alone cannot install")
    .command("tensorflow")
    .description(
      "build tfjs-node's binding against the C library of TensorFlow's Python wheel, in your cache folder (ONESTEP_CACHE moves it)",
    )
    .option("--dry-run", "say what would be done and what is missing, and do nothing")
    .option("--force", "build again even where a copy works")
    .action(async (options: { readonly dryRun?: boolean; readonly force?: boolean }) => {
      await setupTensorflow({ ...options, say: (line) => process.stdout.write(`${line}\n`) });
    });
}
