// A program driven line by line: one line in, one line of JSON out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export class Program {
  #lines;
  constructor(name, args = [], env = {}) {
    this.process = spawn(process.execPath, [fileURLToPath(new URL(name, import.meta.url)), ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.errors = "";
    this.process.stderr.on("data", (data) => {
      this.errors += data;
    });
    this.process.stdin.on("error", () => {});
    this.ended = once(this.process, "exit").then(([code, signal]) => ({ ended: true, code, signal }));
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  get pid() {
    return this.process.pid;
  }

  /** The next line of JSON; `{ ended }` where the program is gone, `{ hung }` after `seconds`. */
  async next(seconds = 20) {
    let timer;
    const hung = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ hung: true }), seconds * 1000);
    });
    const line = async () => {
      for (;;) {
        const { value, done } = await this.#lines.next();
        if (done) return this.ended;
        if (value.startsWith("{")) return JSON.parse(value);
      }
    };
    const answer = await Promise.race([line(), hung]);
    clearTimeout(timer);
    return answer;
  }

  ask(line, seconds) {
    this.process.stdin.write(`${line}\n`);
    return this.next(seconds);
  }

  async stop() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}
