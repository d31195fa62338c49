import { createHash, type Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";
import type { HashAnswer, HashRequest } from "./hash.js";

// Hashes several files in turn; answers come in the order of the requests, the first one when this thread is ready.
const port = parentPort!;
const answer = (text: HashAnswer): void => port.postMessage(text);
const hashes = new Map<number, Hash>();
port.on("message", ({ file, bytes }: HashRequest) => {
  const hash = hashes.get(file) ?? createHash("sha256");
  if (bytes === undefined) {
    hashes.delete(file);
    answer(hash.digest("hex"));
  } else {
    hashes.set(file, hash.update(bytes));
    answer("");
  }
});
answer("");
