import { parentPort } from "node:worker_threads";
import { streamOf } from "../core/rng.js";
import { findOp } from "../ops/index.js";
import type { HostAnswer, HostRequest } from "./host.js";

// Computes host ops without inputs (random masks) one step ahead, off the main thread.
const port = parentPort!;
port.on("message", ({ id, op, attrs, path, seed, call }: HostRequest) => {
  void (async () => {
    let answer: HostAnswer;
    try {
      answer = { id, tensors: await findOp(op)!.host!([], attrs, { stream: streamOf(seed, ...path), call }) };
    } catch (error) {
      answer = { id, error };
    }
    port.postMessage(
      answer,
      (answer.tensors ?? []).map((tensor) => tensor.data.buffer),
    );
  })();
});
