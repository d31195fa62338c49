import { PIECE } from "../checkpoint/files.js";
import { parseState, type RunState, stateBytes } from "../checkpoint/meta.js";
import { byteSize, type DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { sizeOf, typeText } from "../core/shape.js";
import { filePieces, openFile, refusal, writeFileAside } from "./file.js";
import type { ModelFile, ModelVariable, TypedVariable } from "./model.js";
import { type HeaderEntry, parseHeader } from "./safetensors-header.js";

const dtypes: Readonly<Record<string, DType>> = {
  BOOL: "bool",
  U8: "uint8",
  I8: "int8",
  F16: "float16",
  I32: "int32",
  F32: "float32",
  F64: "float64",
  I64: "int64",
};
// bfloat16 is the upper half of a float32, so widening it is exact.
const BF16 = "BF16";

// Room for about 80,000 tensors; the reference implementation stops at 100 MB, whose parsed form takes a gigabyte.
const HEADER_LIMIT = 1 << 23;
const STATE = "onestep.json";

/**
 * Opens a safetensors file, its header checked as the format demands: tensors without holes or overlaps, together exactly the rest of the
 * file. bfloat16 is given as float32, rank 0 as `[1]`. `wanted` leaves tensors out before their dtype is looked at.
 */
export async function openSafetensors(
  where: string,
  path: string,
  wanted: (name: string) => boolean = () => true,
): Promise<ModelFile> {
  const { file, size } = await openFile(where, path);
  const fail = (what: string): FlowError => new FlowError("E_FORMAT", `${where}: '${path}' ${what}`);
  try {
    if (size < 8) throw fail(`has ${size} bytes, a safetensors file at least 10; it is cut off or another file`);
    const head = Buffer.alloc(8);
    await file.read(head, 0, 8, 0);
    const length = head.readBigUInt64LE();
    if (length > BigInt(size - 8))
      throw fail(`says its header has ${length} bytes, only ${size - 8} follow; it is cut off or another file`);
    if (length > BigInt(HEADER_LIMIT))
      throw fail(`has a header of ${length} bytes, expected at most ${HEADER_LIMIT}; split the file`);
    if (length < 2n) throw fail(`says its header has ${length} bytes, expected at least 2`);
    const bytes = Buffer.alloc(Number(length));
    for (let got = 0; got < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, got, bytes.length - got, 8 + got);
      if (bytesRead === 0) throw fail("was cut off while it was read");
      got += bytesRead;
    }
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw fail("has a header that is no UTF-8");
    }
    const { entries, metadata } = parseHeader(`${where}: '${path}'`, text);
    const start = 8 + bytes.length;
    checkLayout(entries, size - start, fail);
    const variables = entries
      .filter(({ name }) => wanted(name))
      .map((entry) => {
        const dtype = entry.dtype === BF16 ? "float32" : dtypes[entry.dtype];
        if (dtype === undefined || !Object.hasOwn({ ...dtypes, BF16 }, entry.dtype)) {
          const known = [...Object.keys(dtypes), BF16].join(", ");
          throw fail(
            `has tensor ${JSON.stringify(entry.name)} of dtype ${JSON.stringify(entry.dtype.slice(0, 40))}, expected one of ${known}; exclude it or cast it first`,
          );
        }
        return variableOf(entry, dtype, () => {
          const from = start + entry.offsets[0];
          const cut = () => fail("was cut off while it was read");
          const bytes = entry.offsets[1] - entry.offsets[0];
          return entry.dtype === BF16
            ? widened(filePieces(file, from, bytes, cut, PIECE / 2))
            : filePieces(file, from, bytes, cut);
        });
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const stateText = metadata.get(STATE);
    const state = stateText === undefined ? undefined : parseState(where, `${path}, __metadata__, ${STATE}`, stateText);
    return { path, format: "safetensors", variables, state, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw refusal(where, path, error);
  }
}

function checkLayout(entries: readonly HeaderEntry[], size: number, fail: (what: string) => FlowError): void {
  let end = 0;
  for (const { name, dtype, shape, offsets } of [...entries].sort(
    (a, b) => a.offsets[0] - b.offsets[0] || a.offsets[1] - b.offsets[1],
  )) {
    const label = `tensor ${JSON.stringify(name)}`;
    const [from, to] = offsets;
    if (to < from) throw fail(`has ${label} ending at ${to}, before its begin at ${from}`);
    if (from !== end)
      throw fail(
        `has ${label} beginning at ${from}, ${from < end ? "inside" : "behind a hole after"} the one that ends at ${end}`,
      );
    if (to > size) throw fail(`has ${label} ending at ${to}, beyond its ${size} bytes of elements; it is cut off`);
    const width = dtype === BF16 ? 2 : Object.hasOwn(dtypes, dtype) ? byteSize(dtypes[dtype]!) : undefined;
    const need = width === undefined ? to - from : sizeOf(shape) * width;
    if (!Number.isSafeInteger(sizeOf(shape)) || !Number.isSafeInteger(need))
      throw fail(`has ${label} of shape [${shape.join(",")}], more elements than any file holds`);
    if (need !== to - from) throw fail(`has ${to - from} bytes for ${label}, ${typeText(dtype, shape)} needs ${need}`);
    end = to;
  }
  if (end !== size) throw fail(`has ${size} bytes of elements, its header describes ${end}`);
}

function variableOf(
  { name, shape, offsets, dtype: stored }: HeaderEntry,
  dtype: DType,
  pieces: () => AsyncIterable<Uint8Array>,
): ModelVariable {
  const bytes = (offsets[1] - offsets[0]) * (stored === BF16 ? 2 : 1);
  return { name, type: { dtype, shape: shape.length === 0 ? [1] : shape }, bytes, fileName: "out", pieces };
}

async function* widened(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    const wide = new Uint8Array(2 * piece.length);
    for (let i = 0; i < piece.length; i += 2) {
      wide[2 * i + 2] = piece[i]!;
      wide[2 * i + 3] = piece[i + 1]!;
    }
    yield wide;
  }
}

/** Writes a safetensors file, the bytes that Python's `safetensors` writes of the same tensors; a run's state goes into `__metadata__`. */
export async function writeSafetensors(
  where: string,
  path: string,
  variables: readonly TypedVariable[],
  state: RunState | undefined,
  options: { readonly overwrite?: boolean } = {},
): Promise<void> {
  const codes = Object.keys(dtypes);
  const codeOf = ({ type }: TypedVariable): string => codes.find((code) => dtypes[code] === type.dtype)!;
  // Wide elements first keeps all of them aligned.
  const sorted = [...variables].sort(
    (a, b) =>
      codes.indexOf(codeOf(b)) - codes.indexOf(codeOf(a)) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  const reserved = variables.find(({ name }) => name === "__metadata__");
  if (reserved !== undefined)
    throw new FlowError("E_NAME", `${where}: '__metadata__' cannot name a variable in safetensors files; rename it`);
  let end = 0;
  const parts =
    state === undefined
      ? []
      : [`"__metadata__":${JSON.stringify({ [STATE]: Buffer.from(stateBytes(state)).toString() })}`];
  for (const variable of sorted) {
    const info = { dtype: codeOf(variable), shape: variable.type.shape, data_offsets: [end, end + variable.bytes] };
    parts.push(`${JSON.stringify(variable.name)}:${JSON.stringify(info)}`);
    end += variable.bytes;
  }
  const json = Buffer.from(`{${parts.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > HEADER_LIMIT)
    throw new FlowError(
      "E_FORMAT",
      `${where}: the header of '${path}' would have ${length} bytes, expected at most ${HEADER_LIMIT}; write fewer variables`,
    );
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield header;
    for (const variable of sorted) yield* variable.pieces({ verify: true });
  }
  await writeFileAside(where, path, bytes(), options);
}
