import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import * as flow from "onestep";
import { describe, expect, test } from "vitest";
import { anyArray, contents, failure, scratch } from "./support.js";

const golden = (name: string): string => fileURLToPath(new URL(`golden/${name}`, import.meta.url));

/** A file of this header text, padded as given, and these bytes of elements. */
function file(header: string | Uint8Array, elements = 0, length?: bigint): Buffer {
  const text = Buffer.from(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, Buffer.alloc(elements)]);
}
const tensor = (shape: string, from: number | string, to: number | string, dtype = "F32"): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${from},${to}]}`;

describe("safetensors", () => {
  test("writes exactly these bytes", async () => {
    const path = join(scratch(), "m.safetensors");
    const bias = new flow.NdArray(new Int8Array([1, -1]), [2]);
    await flow.formats.write(path, { bias, weight: new flow.NdArray(new Float32Array([1, -2]), [2, 1]) });
    const header =
      '{"weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"bias":{"dtype":"I8","shape":[2],"data_offsets":[8,10]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const length = Buffer.alloc(8);
    length.writeUInt32LE(padded.length);
    expect(readFileSync(path).toString("hex")).toBe(
      `${length.toString("hex")}${Buffer.from(padded).toString("hex")}0000803f000000c001ff`,
    );
    expect(readdirSync(join(path, ".."))).toEqual(["m.safetensors"]);
  });

  test("reads what Python's safetensors wrote, and writes its bytes", async () => {
    const arrays = await flow.formats.read(golden("every-dtype.safetensors"));
    expect(contents(arrays)).toMatchInlineSnapshot(`
      {
        "b": "bool[3] 010001",
        "empty": "float32[2,0] ",
        "f2": "float16[2,2] 003e00c0ff7b0100",
        "f4": "float32[2,3] 0000c03f000010c00000c07f0000807f000080ff01000000",
        "f8": "float64[3] 182d4454fb21094000000000000000800100000000000000",
        "i1": "int8[2] 807f",
        "i4": "int32[1,2] 00000080ffffff7f",
        "i8": "int64[3] 0000000000000080ffffffffffffff7f2a00000000000000",
        "layer.0/weight é": "float32[2,3] 000000000000803f0000004000004040000080400000a040",
        "scalar": "float32[1] 0000f040",
        "u1": "uint8[1,2,1] 00ff",
      }
    `);
    const path = join(scratch(), "again.safetensors");
    await flow.formats.write(path, arrays);
    const again = readFileSync(path);
    const theirs = readFileSync(golden("every-dtype.safetensors"));
    const elements = (bytes: Buffer): string => bytes.subarray(8 + Number(bytes.readBigUInt64LE())).toString("hex");
    expect(elements(again)).toBe(elements(theirs));
  });

  test("widens bfloat16", async () => {
    const arrays = await flow.formats.read(golden("bfloat16.safetensors"));
    expect(arrays.get("x")!.dtype).toBe("float32");
    expect(arrays.get("x")!.toArray()).toEqual([1, -2, 0.99609375]);
  });

  test("any names, dtypes, shapes and bytes come back", async () => {
    const folder = scratch();
    let n = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.string({ unit: "grapheme", maxLength: 20 }), anyArray()), {
          selector: ([name]) => name,
          minLength: 0,
          maxLength: 8,
        }),
        async (entries) => {
          const arrays = new Map(entries.filter(([name]) => name !== "__metadata__"));
          const path = join(folder, `${n++}.safetensors`);
          await flow.formats.write(path, arrays);
          expect(contents(await flow.formats.read(path))).toEqual(contents(arrays));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("more than a piece comes back", async () => {
    const path = join(scratch(), "m.safetensors");
    const data = Float64Array.from({ length: 300_001 }, (_, i) => Math.sin(i));
    await flow.formats.write(path, { x: new flow.NdArray(data, [300_001]) });
    expect((await flow.formats.read(path)).get("x")!.data).toEqual(data);
  });

  test("refuses to write over a file, and leaves nothing aside", async () => {
    const path = join(scratch(), "m.safetensors");
    writeFileSync(path, "mine");
    const x = new flow.NdArray(new Float32Array(1), [1]);
    const error = await failure(() => flow.formats.write(path, { x }));
    expect(error.code).toBe("E_CKPT_EXISTS");
    expect(readFileSync(path, "utf8")).toBe("mine");
    await flow.formats.write(path, { x }, { overwrite: true });
    expect((await flow.formats.read(path)).size).toBe(1);
    expect(readdirSync(join(path, ".."))).toEqual(["m.safetensors"]);
  });

  const one = `{"a":${tensor("[1]", 0, 4)}}`;
  const hostile: readonly (readonly [string, Buffer, RegExp])[] = [
    ["an empty file", Buffer.alloc(0), /has 0 bytes, a safetensors file at least 10/],
    ["seven bytes", Buffer.alloc(7), /has 7 bytes/],
    ["a header longer than the file", file(one, 4, 1n << 40n), /says its header has 1099511627776 bytes, only/],
    ["a header length of 2^64 - 1", file(one, 4, (1n << 64n) - 1n), /says its header has 18446744073709551615 bytes/],
    [
      "a header beyond the limit",
      file(Buffer.alloc((1 << 23) + 1, " ")),
      /has a header of 8388609 bytes, expected at most/,
    ],
    ["no header", file("", 2), /says its header has 0 bytes/],
    ["a header that is no UTF-8", file(Buffer.from([0x7b, 0xff, 0x7d])), /no UTF-8/],
    ["a byte order mark", file(`\ufeff${one}`, 4), /does not begin with '\{'/],
    ["space before the header", file(` ${one}`, 4), /does not begin with '\{'/],
    ["an array", file("[]"), /does not begin with '\{'/],
    ["JSON that ends early", file('{"a":{"dtype":"F32"', 4), /has its end where '\}' belongs/],
    ["a string without end", file('{"a'), /ends inside a string/],
    ["a bad escape", file('{"a\\q":1}'), /malformed string/],
    ["text behind the header", file(`${one}x`, 4), /goes on behind its end/],
    ["a zero behind the header", file(`${one}\0`, 4), /goes on behind its end/],
    ["nesting", file(`{"a":${"[".repeat(100_000)}`), /where '\{' belongs/],
    ["a name twice", file(`{"a":${tensor("[1]", 0, 4)},"a":${tensor("[1]", 4, 8)}}`, 8), /has "a" twice in the header/],
    ["a key twice", file('{"a":{"dtype":"F32","dtype":"F32"}}'), /has "dtype" twice in "a"/],
    ["an unknown key", file('{"a":{"dtype":"F32","x":1}}'), /unknown key "x" in "a"/],
    ["a missing key", file('{"a":{"dtype":"F32","shape":[1]}}'), /lacks dtype, shape or data_offsets in "a"/],
    ["one offset", file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}'), /lacks dtype, shape or data_offsets/],
    ["three offsets", file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}'), /of more than 2 numbers/],
    ["a negative dimension", file(`{"a":${tensor("[-1]", 0, 4)}}`, 4), /shape that is no plain integer/],
    ["a fraction", file(`{"a":${tensor("[1.5]", 0, 4)}}`, 4), /shape that is no plain integer/],
    ["an exponent", file(`{"a":${tensor("[1e1]", 0, 40)}}`, 40), /shape that is no plain integer/],
    ["a leading zero", file(`{"a":${tensor("[01]", 0, 4)}}`, 4), /shape that is no plain integer/],
    ["a dimension beyond 2^53", file(`{"a":${tensor("[9007199254740993]", 0, 4)}}`, 4), /beyond 2\^53/],
    ["33 dimensions", file(`{"a":${tensor(`[${Array(33).fill(1)}]`, 0, 4)}}`, 4), /shape of more than 32 numbers/],
    [
      "a product that overflows",
      file(`{"a":${tensor("[4294967296,4294967296]", 0, 4)}}`, 4),
      /more elements than any file holds/,
    ],
    [
      "a product that is zero at its end",
      file(`{"a":${tensor("[9007199254740991,9007199254740991,0]", 0, 4)}}`, 4),
      /needs 0/,
    ],
    ["metadata that is no string", file('{"__metadata__":{"a":1}}'), /where '"' belongs/],
    ["metadata that is no object", file('{"__metadata__":"a"}'), /where '\{' belongs/],
    ["a metadata key twice", file('{"__metadata__":{"a":"1","a":"2"}}'), /has "a" twice in __metadata__/],
    ["an unknown dtype", file(`{"a":${tensor("[1]", 0, 4, "F33")}}`, 4), /of dtype "F33", expected one of BOOL/],
    ["a dtype of another program", file(`{"a":${tensor("[1]", 0, 2, "U16")}}`, 2), /of dtype "U16"/],
    ["a dtype called constructor", file(`{"a":${tensor("[1]", 0, 4, "constructor")}}`, 4), /of dtype "constructor"/],
    ["an end before its begin", file(`{"a":${tensor("[1]", 4, 0)}}`, 4), /ending at 0, before its begin at 4/],
    ["a hole at the begin", file(`{"a":${tensor("[1]", 4, 8)}}`, 8), /beginning at 4, behind a hole/],
    [
      "a hole in the middle",
      file(`{"a":${tensor("[1]", 0, 4)},"b":${tensor("[1]", 8, 12)}}`, 12),
      /"b" beginning at 8, behind a hole/,
    ],
    [
      "an overlap",
      file(`{"a":${tensor("[2]", 0, 8)},"b":${tensor("[1]", 4, 8)}}`, 8),
      /"b" beginning at 4, inside the one/,
    ],
    ["bytes behind the last tensor", file(one, 5), /has 5 bytes of elements, its header describes 4/],
    ["elements cut off", file(one, 3), /ending at 4, beyond its 3 bytes/],
    [
      "a size that does not fit",
      file(`{"a":${tensor("[2]", 0, 4)}}`, 4),
      /has 4 bytes for tensor "a", F32\[2\] needs 8/,
    ],
    [
      "a state that is no JSON",
      file(`{"__metadata__":{"onestep.json":"x"},"a":${tensor("[1]", 0, 4)}}`, 4),
      /is damaged, expected JSON/,
    ],
  ];
  for (const [what, bytes, message] of hostile)
    test(`refuses ${what}`, async () => {
      const path = join(scratch(), "m.safetensors");
      writeFileSync(path, bytes);
      const error = await failure(() => flow.formats.read(path));
      expect(error.message).toMatch(message);
      expect(error.code).toBe(what.includes("state") ? "E_CKPT_META" : "E_FORMAT");
    });

  test("a mutated file is read or refused with a code, never anything else", async () => {
    const source = readFileSync(golden("every-dtype.safetensors"));
    const path = join(scratch(), "m.safetensors");
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(source.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat(source.length - 1)),
        async (edits, cut) => {
          const bytes = Buffer.from(source);
          for (const [at, value] of edits) bytes[at] = value;
          writeFileSync(path, cut === null ? bytes : bytes.subarray(0, cut));
          try {
            await flow.formats.read(path);
          } catch (error) {
            expect((error as flow.FlowError).code).toBe("E_FORMAT");
            refused++;
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  test("a FIFO, a directory, nothing: each is refused at once", async () => {
    const folder = scratch();
    expect((await failure(() => flow.formats.read(join(folder, "m.safetensors")))).code).toBe("E_CKPT_DIR");
    expect((await failure(() => flow.formats.read("a\0.safetensors"))).code).toBe("E_ARGUMENT");
    if (process.platform === "win32") return;
    const { execFileSync } = await import("node:child_process");
    execFileSync("mkfifo", [join(folder, "f.safetensors")]);
    expect((await failure(() => flow.formats.read(join(folder, "f.safetensors")))).code).toBe("E_CKPT_UNSAFE");
  });
});
