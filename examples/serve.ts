// Names digits over HTTP with a saved MLP.
//   npx tsx examples/serve.ts [--port 8080] [--host 127.0.0.1] [--model ./mlp_models_1] [--queue 256]
//   curl --data '{"images": [[0, 0.5, ...784 grays from 0 to 1, or 28 rows of 28]]}' http://127.0.0.1:8080/classify
//   {"digits":[7],"probabilities":[0.98]}
// The model is what mlp_mnist_origin has saved. `--queue` calls may wait; more are answered with 503 and Retry-After. A client
// that hangs up takes its call out of the queue. SIGTERM and Ctrl-C finish what has been asked for, a second one ends at once.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as flow from "onestep";
import { tp } from "onestep";
import { mlp } from "./support/mlp.js";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    host: { type: "string", default: "127.0.0.1" },
    model: { type: "string", default: "./mlp_models_1" },
    queue: { type: "string", default: "256" },
  },
});
const PIXELS = 28 * 28;
const MOST_IMAGES = 128;
const MOST_BYTES = 4 << 20;

flow.config.maxQueuedCalls(Number(options.queue));
const predictJob = flow.globalFunction(
  { type: "predict", name: "predict_job", returns: tp.Numpy },
  [tp.Numpy.Placeholder([null, 1, 28, 28])],
  (images) => flow.nn.softmax(mlp(images)),
);

/** An error with the HTTP status to answer it with. */
class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

let turns: Promise<unknown> = Promise.resolve();

/** Resolves once per turn of the event loop: hundreds of bodies that have come at once are read one by one. */
function nextTurn(): Promise<unknown> {
  turns = turns.then(() => setImmediate());
  return turns;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read on, or the connection would break before the answer is there.
    if (bytes <= MOST_BYTES) chunks.push(chunk);
  }
  if (bytes > MOST_BYTES) throw new HttpError(413, `the body has ${bytes} bytes, expected at most ${MOST_BYTES}`);
  await nextTurn();
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new HttpError(400, `the body is no JSON: ${(error as Error).message}`);
  }
}

/** The grays of all images, in one array; HttpError 400 for anything but 1 to 128 images of 784 numbers. */
function pixelsOf(body: unknown): { readonly count: number; readonly pixels: Float32Array<ArrayBuffer> } {
  const images = (body as { images?: unknown } | null)?.images;
  if (!Array.isArray(images)) throw new HttpError(400, 'expected {"images": [...]}');
  if (images.length < 1 || images.length > MOST_IMAGES)
    throw new HttpError(400, `got ${images.length} images, expected 1 to ${MOST_IMAGES}`);
  const pixels = new Float32Array(roundUp(images.length) * PIXELS);
  for (const [i, image] of images.entries()) {
    const grays: unknown[] = Array.isArray(image) ? image.flat(Number.POSITIVE_INFINITY) : [];
    if (grays.length !== PIXELS)
      throw new HttpError(400, `image ${i} has ${grays.length} numbers, expected ${PIXELS}: 28 rows of 28`);
    const wrong = grays.findIndex((gray) => !(typeof gray === "number" && gray >= 0 && gray <= 1));
    if (wrong >= 0)
      throw new HttpError(
        400,
        `image ${i}, pixel ${wrong} is ${JSON.stringify(grays[wrong])}, expected a number from 0 to 1`,
      );
    pixels.set(grays as number[], i * PIXELS);
  }
  return { count: images.length, pixels };
}

/** Batch sizes are powers of two: each has a native graph of its own, and the job keeps eight. */
function roundUp(images: number): number {
  return 2 ** Math.ceil(Math.log2(images));
}

async function classify(request: IncomingMessage, signal: AbortSignal): Promise<unknown> {
  const { count, pixels } = pixelsOf(await bodyOf(request));
  const probabilities = (await predictJob.with({ signal })(pixels)).slice(0, count);
  const digits = Array.from(probabilities.argmax(1).data);
  return { digits, probabilities: digits.map((digit, i) => probabilities.at(i).data[digit]) };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  if (!server.listening) response.setHeader("Connection", "close");
  response.writeHead(status, { "Content-Type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

function sendError(response: ServerResponse, error: unknown): void {
  if (error instanceof HttpError) {
    send(response, error.status, { error: error.message });
  } else if (error instanceof flow.FlowError && error.code === "E_BUSY") {
    response.setHeader("Retry-After", "1");
    send(response, 503, { error: "too many requests are waiting; try again" });
  } else {
    console.error(error);
    send(response, 500, { error: "the server failed; its log says why" });
  }
}

const server = createServer((request, response) => {
  const hungUp = new AbortController();
  response.once("close", () => hungUp.abort());
  const answer = async (): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname !== "/classify") throw new HttpError(404, "there is nothing here; POST to /classify");
    if (request.method !== "POST") {
      response.setHeader("Allow", "POST");
      throw new HttpError(405, `/classify answers POST, not ${request.method}`);
    }
    send(response, 200, await classify(request, hungUp.signal));
  };
  answer().catch((error: unknown) => {
    if (!hungUp.signal.aborted) sendError(response, error);
  });
});

await new flow.train.CheckPoint().load(options.model);
// The native graphs are made now rather than while somebody waits.
for (let images = 1; images <= MOST_IMAGES; images *= 2) await predictJob(new Float32Array(images * PIXELS));

server.listen(Number(options.port), options.host, () => {
  const { address, port } = server.address() as AddressInfo;
  console.log(`listening on http://${address.includes(":") ? `[${address}]` : address}:${port}`);
});
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});

let closing = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (closing) process.exit(1);
    closing = true;
    console.log(`${signal}: finishing`);
    server.close(() => console.log("closed"));
    server.closeIdleConnections();
  });
