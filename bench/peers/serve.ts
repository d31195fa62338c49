// node bench/peers/entry.mjs onestep | tfjs tensorflow|wasm|cpu | jax-js: a peer of the benchmark, which answers JSON lines on stdin.
//
// {"cmd": "open", "case", "threads"[, "weights", "feeds"]} -> {"ok", "version", "importMs", "openMs"}
// {"cmd": "steps", "n"} -> {"ms": [...], "losses": [...], "rss"}, the peak of resident bytes
// Of onestep alone: {"cmd": "export", "case", "threads", "weights", "feeds"} -> {"flop"}; {"cmd": "peak", "threads"} -> {"peak"}
import { createInterface } from "node:readline";
import type { Case, ModelCase } from "../cases.js";
import type { ModelFiles, Peer, Step } from "./peer.js";

const { peer } = (await import(`./${process.argv[2]}.js`)) as { readonly peer: Peer };

interface Question extends ModelFiles {
  readonly cmd: "open" | "export" | "peak" | "steps" | "close";
  readonly case: Case | ModelCase;
  readonly threads: number;
  readonly n: number;
}

let step: Step | undefined;

async function answer(question: Question): Promise<object> {
  const { cmd, case: benchCase, threads, n } = question;
  if (cmd === "steps") {
    const ms: number[] = [];
    const losses: number[] = [];
    for (let i = 0; i < n; i++) {
      const started = performance.now();
      losses.push(await step!());
      ms.push(performance.now() - started);
    }
    return { ms, losses, rss: process.resourceUsage().maxRSS * 1024 };
  }
  if (cmd === "peak") return { peak: await peer.peak!(threads) };
  if (cmd === "export") return peer.exportModel!(benchCase as ModelCase, threads, question);
  const opening = performance.now();
  if ("layers" in benchCase) step = await peer.open(benchCase, threads);
  else if (peer.openModel === undefined) throw new Error("has no version of the full-size models");
  else step = await peer.openModel(benchCase, threads, question);
  const openMs = performance.now() - opening;
  const importMs = performance.getEntriesByName("import", "measure").reduce((sum, { duration }) => sum + duration, 0);
  return { ok: true, version: peer.version, importMs, openMs };
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as Question;
  if (question.cmd === "close") process.exit(0);
  // The benchmark names a peer that fails as left out, with this reason.
  const reply = await answer(question).catch((error: Error) => ({ error: error.message.split("\n")[0] }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
