#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { FlowError } from "../core/errors.js";
import { addDoctor } from "./doctor.js";
import { inspect } from "./inspect.js";
import { addSetup } from "./setup.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("onestep")
  .description(
    'Train neural networks in Node.js. The library is imported (import * as flow from "onestep"); this command looks at its files.',
  )
  .version(version);

program
  .command("inspect")
  .description("list the variables of a checkpoint directory")
  .argument("<directory>", "what checkPoint.save wrote")
  .action(async (directory: string) => {
    process.stdout.write(await inspect(directory));
  });

addSetup(program);
addDoctor(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof FlowError ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exitCode = 1;
}
