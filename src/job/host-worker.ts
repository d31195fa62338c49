import { parentPort } from "node:worker_threads";
import { FlowError } from "../core/errors.js";
import { findOp } from "../ops/index.js";
import type { HostAnswer, HostRequest } from "./host.js";
import { hostContext } from "./host-context.js";

// Computes host ops without inputs (random masks, places of records) one step ahead, off the main thread.
const port = parentPort!;
port.on("message", ({ id, op, attrs, path, seed, call }: HostRequest) => {
  void (async () => {
    let answer: HostAnswer;
    try {
      answer = { id, tensors: await findOp(op)!.host!([], attrs, hostContext(seed, path, call)) };
    } catch (error) {
      answer =
        error instanceof FlowError
          ? { id, failure: { code: error.code, message: error.message.slice(0, -` [${error.code}]`.length) } }
          : { id, error };
    }
    port.postMessage(
      answer,
      (answer.tensors ?? []).map((tensor) => tensor.data.buffer),
    );
  })();
});
