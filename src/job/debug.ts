import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check } from "../graph/check.js";
import type { Graph } from "../graph/graph.js";
import { print } from "../graph/print.js";
import { findOp } from "../ops/index.js";

/** `ONESTEP_DEBUG`: 1 checks graphs after each pass, 2 prints them to stderr, 3 writes the engine's model too. */
export function debugLevel(): number {
  return Number(process.env.ONESTEP_DEBUG ?? 0);
}

/** Shows and checks a graph at the debug level in force. */
export function inspect(graph: Graph, job: string, after: string): void {
  const level = debugLevel();
  if (level >= 1) check(graph, `${after} of job '${job}'`, findOp as never);
  if (level >= 2) process.stderr.write(`--- job '${job}' after ${after}\n${print(graph)}\n`);
}

/** Writes an engine's model into ./onestep-debug at level 3. */
export function writeModel(job: string, extension: string, bytes: Uint8Array | string): void {
  if (debugLevel() < 3) return;
  mkdirSync("onestep-debug", { recursive: true });
  const file = join("onestep-debug", `${job.replace(/[^A-Za-z0-9_.-]/g, "_")}.${extension}`);
  writeFileSync(file, bytes);
  process.stderr.write(`--- job '${job}': model written to ${file}\n`);
}
