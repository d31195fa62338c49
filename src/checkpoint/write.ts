import { createHash, randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, realpath, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { byteSize, type DType } from "../core/dtype.js";
import { bug, FlowError } from "../core/errors.js";
import { type Shape, sameShape, sizeOf, typeText } from "../core/shape.js";
import { bytesOf, type Tensor } from "../core/tensor.js";
import { absent, errnoOf, fsExtra, mapBounded, PIECE, type Pieces, syncDirectory, writeSynced } from "./files.js";
import { withHashing } from "./hash.js";
import { checkStored, DONE, META, parseTemporaryName, STATE, stemOf, temporaryName } from "./layout.js";
import { metaBytes, type RunState, stateBytes } from "./meta.js";

export type { RunState } from "./meta.js";

/** A variable as a checkpoint knows it. */
export interface StoredVariable {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly fileName: string;
}

/**
 * Writes a checkpoint to `dir`, which must be absent or an empty directory in an existing parent. Until this resolves nothing at
 * `dir` changes: the tree is written and flushed beside it, marked, and renamed. `read` is called for a few variables at a time.
 */
export async function saveCheckpoint(
  dir: string,
  variables: readonly StoredVariable[],
  read: (name: string) => Promise<Tensor>,
  state: RunState,
): Promise<void> {
  const elements = async ({ name, dtype, shape }: StoredVariable): Promise<Pieces> => {
    const tensor = await read(name);
    if (tensor.dtype !== dtype || !sameShape(tensor.shape, shape)) {
      throw bug(`variable '${name}' is ${typeText(dtype, shape)}, its value ${typeText(tensor.dtype, tensor.shape)}`);
    }
    return piecesOf(tensor);
  };
  await saveElements(`checkpoint.save('${dir}')`, dir, variables, elements, state);
}

/** As `saveCheckpoint`, from the bytes of the elements; without a state no `onestep.json` is written. */
export async function saveElements<V extends StoredVariable>(
  where: string,
  dir: string,
  variables: readonly V[],
  elements: (variable: V) => Pieces | Promise<Pieces>,
  state: RunState | undefined,
): Promise<void> {
  checkStored(variables);
  await placeDirectory(where, dir, (aside) => writeTree(aside, variables, elements, state));
}

/**
 * Lets `fill` write into a fresh directory beside `dir`, which must be absent or an empty directory in an existing parent, and
 * renames it to `dir`.
 */
export async function placeDirectory(
  where: string,
  dir: string,
  fill: (aside: string) => Promise<void>,
): Promise<void> {
  if (dir === "" || dir.includes("\0")) {
    const what = dir === "" ? "is empty" : "has a NUL in it";
    throw new FlowError("E_CKPT_DIR", `${where}: the path ${what}, expected the path of a new directory`);
  }
  const target = await guarded(where, dir, () => freeTarget(where, dir));
  await placeAside(where, dir, target, async (aside) => {
    await mkdir(aside);
    await fill(aside);
    await place(where, dir, aside, target);
  });
}

/**
 * Runs `write` on a fresh path beside `target`, which it fills and renames, then flushes the parent. What a failure leaves aside is
 * removed, and so is what earlier crashed saves to this target left.
 */
export async function placeAside(
  where: string,
  shown: string,
  target: string,
  write: (aside: string) => Promise<void>,
): Promise<void> {
  const parent = dirname(target);
  await sweep(parent, basename(target));
  const random = `${instance}${randomBytes(3).toString("hex")}`;
  const aside = join(parent, temporaryName(basename(target), host, process.pid, random));
  underWay.add(random);
  try {
    await guarded(where, shown, () => write(aside));
  } catch (error) {
    // Where even this fails, the next save to this target tries again.
    await fsExtra()
      .then(({ remove }) => remove(aside))
      .catch(() => {});
    throw error;
  } finally {
    underWay.delete(random);
  }
  try {
    await syncDirectory(parent);
  } catch (error) {
    const what = `'${shown}' is complete, but its parent could not be flushed (${(error as Error).message})`;
    throw new FlowError("E_CKPT_IO", `${where}: ${what}; a power cut may undo the save`, { cause: error });
  }
}

/** Throws what a save to `dir` would throw before it writes anything. */
export async function checkTarget(dir: string): Promise<void> {
  const where = `checkpoint.save('${dir}')`;
  await guarded(where, dir, () => freeTarget(where, dir));
}

/** Runs `work`; the system's refusals become E_CKPT_IO, which says that what `shown` names is unchanged. */
export async function guarded<T>(where: string, shown: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    const fix = "see that its parent directory is writable and has room, or save elsewhere";
    const message = `${where}: ${(error as Error).message}; '${shown}' is unchanged, ${fix}`;
    throw new FlowError("E_CKPT_IO", message, { cause: error });
  }
}

/** The absolute path to save to, links resolved; throws unless it is free and has a parent. */
async function freeTarget(where: string, dir: string): Promise<string> {
  const path = resolve(dir);
  const parent = dirname(path);
  const kind = await stat(parent).catch(absent);
  if (kind?.isDirectory() !== true) {
    const what = kind === undefined ? "does not exist" : "is not a directory";
    throw new FlowError("E_CKPT_DIR", `${where}: its parent '${parent}' ${what}; create that directory first`);
  }
  await refuseOccupied(where, dir, path);
  return (await realpath(path).catch(absent)) ?? path;
}

async function refuseOccupied(where: string, dir: string, path: string): Promise<void> {
  const link = await lstat(path).catch(absent);
  if (link === undefined) return;
  const kind = await stat(path).catch(absent);
  const entries = kind?.isDirectory() === true ? await readdir(path) : undefined;
  if (entries?.length === 0) return;
  const got =
    entries !== undefined ? "is not empty" : kind === undefined ? "is a link to nothing" : "is not a directory";
  const message = `${where}: '${dir}' exists and ${got}, expected a new path or an empty directory; a save never overwrites`;
  throw new FlowError("E_CKPT_EXISTS", `${message}, save to another path or remove it first`);
}

async function writeTree<V extends StoredVariable>(
  root: string,
  variables: readonly V[],
  elements: (variable: V) => Pieces | Promise<Pieces>,
  state: RunState | undefined,
): Promise<void> {
  await withHashing((hashing) =>
    mapBounded(variables, async (variable) => {
      const { name, dtype, shape, fileName } = variable;
      const pieces = await elements(variable);
      const folder = join(root, name);
      await mkdir(folder);
      const hash = await hashing(sizeOf(shape) * byteSize(dtype));
      const sha256 = await writeSynced(join(folder, fileName), pieces, hash);
      await writeSynced(join(folder, META), [metaBytes({ dtype, shape, sha256 })]);
      await syncDirectory(folder);
    }),
  );
  if (state !== undefined) await writeSynced(join(root, STATE), [stateBytes(state)]);
  await syncDirectory(root);
  await mkdir(join(root, DONE));
  await syncDirectory(root);
}

/** The little-endian bytes of a tensor; only float16 takes memory of its own, a piece at a time. */
function* piecesOf({ dtype, shape, data }: Tensor): Iterable<Uint8Array> {
  const step = PIECE / (dtype === "float16" ? 2 : data.BYTES_PER_ELEMENT);
  for (let start = 0; start < data.length; start += step) {
    const part = data.subarray(start, start + step) as typeof data;
    yield bytesOf({ dtype, shape, data: part });
  }
}

/** Renames over the target: of several savers one succeeds, because a directory is never renamed over one with entries. */
async function place(where: string, dir: string, aside: string, target: string): Promise<void> {
  try {
    if (process.platform === "win32") await rmdir(target).catch(absent);
    // fs-extra's rename waits where a Windows virus scanner has a file open.
    await (await fsExtra()).rename(aside, target);
  } catch (error) {
    await refuseOccupied(where, dir, target);
    throw error;
  }
}

// --- what crashed saves leave --------------------------------------------------------------------------------------

// A process number means something on one machine (or container) only.
const host = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
// Which saves of this process run: what a failed one could not remove goes with the next. Each thread has its own list.
const instance = randomBytes(3).toString("hex");
const underWay = new Set<string>();
const DAY = 24 * 60 * 60 * 1000;

/**
 * Removes temporary directories of earlier saves in `parent` whose process is gone; those to this target also where nobody touched
 * them for a day.
 */
async function sweep(parent: string, targetName: string): Promise<void> {
  for (const entry of await readdir(parent).catch(() => [])) {
    const made = parseTemporaryName(entry);
    if (made === undefined) continue;
    const path = join(parent, entry);
    try {
      const own = made.host === host && made.pid === process.pid && made.random.startsWith(instance);
      const ended = own ? !underWay.has(made.random) : made.host === host && !runs(made.pid);
      const sameTarget = made.stem === stemOf(targetName);
      const abandoned = ended || (!own && sameTarget && Date.now() - (await stat(path)).mtimeMs > DAY);
      if (abandoned) await (await fsExtra()).remove(path);
    } catch {
      // Another save swept it first, or it cannot be removed: either way it is no reason to fail this save.
    }
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}
