import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { FlowError } from "../core/errors.js";

const silence = 60_000;

/**
 * Downloads `url` to `file`: beside it first, checked against `sha256` (null: unchecked), then renamed, so that `file` is
 * whole or absent. Progress goes to stderr.
 */
export async function download(url: string, file: string, sha256: string | null, advice: string): Promise<void> {
  const partial = `${file}.${process.pid}.part`;
  const fail = (what: string, cause?: unknown): FlowError =>
    new FlowError("E_DATA", `cannot download ${url}: ${what}; ${advice}`, { cause });
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), silence);
  try {
    const response = await fetch(url, { signal: abort.signal }).catch((cause: unknown) => {
      throw fail(abort.signal.aborted ? "no answer for 60 s" : reason(cause), cause);
    });
    if (!response.ok || response.body === null)
      throw fail(`the server answers ${response.status} ${response.statusText}`);
    const total = Number(response.headers.get("content-length") ?? 0);
    const hash = createHash("sha256");
    const output = await open(partial, "w");
    const progress = progressLine(file, total);
    let received = 0;
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), silence);
        hash.update(chunk);
        await output.writeFile(chunk);
        progress((received += chunk.byteLength));
      }
    } catch (cause) {
      throw fail(
        abort.signal.aborted ? "nothing came for 60 s" : `it broke off after ${received} bytes (${reason(cause)})`,
        cause,
      );
    } finally {
      await output.close();
      progress(received, true);
    }
    const got = hash.digest("hex");
    if (sha256 !== null && got !== sha256) throw fail(`the file has sha256 ${got}, expected ${sha256}`);
    await rename(partial, file);
  } finally {
    clearTimeout(timer);
    await rm(partial, { force: true });
  }
}

function reason(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error };
  return cause === undefined ? message : `${message}: ${cause.message}`;
}

function progressLine(file: string, total: number): (received: number, done?: boolean) => void {
  const terminal = process.stderr.isTTY === true;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  let shown = performance.now();
  return (received, done = false) => {
    const now = performance.now();
    if (!done && now - shown < (terminal ? 100 : 5000)) return;
    shown = now;
    const text = `${file}: ${megabytes(received)}${total > 0 ? ` of ${megabytes(total)}` : ""} MB`;
    process.stderr.write(terminal ? `\r\u001b[2K${text}${done ? "\n" : ""}` : `${text}\n`);
  };
}
