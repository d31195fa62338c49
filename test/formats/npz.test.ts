import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import * as flow from "onestep";
import { describe, expect, test } from "vitest";
import { ZipFile } from "yazl";
import { npyHeader, parseNpy } from "#src/formats/npy.js";
import { anyArray, contents, failure, scratch } from "./support.js";

const golden = (name: string): string => fileURLToPath(new URL(`golden/${name}`, import.meta.url));

/** An npy array of this header text and these bytes of elements. */
function npy(dict: string, elements = 0, { version = 1, length = dict.length } = {}): Buffer {
  const start = Buffer.from("\u0093NUMPY", "latin1");
  const size = Buffer.alloc(version === 1 ? 2 : 4);
  size.writeUIntLE(length, 0, size.length);
  return Buffer.concat([start, Buffer.from([version, 0]), size, Buffer.from(dict, "latin1"), Buffer.alloc(elements)]);
}

/** A zip file of these entries. */
async function zip(entries: Readonly<Record<string, Buffer>>, compress = false): Promise<Buffer> {
  const file = new ZipFile();
  for (const [name, bytes] of Object.entries(entries)) file.addBuffer(bytes, name, { compress });
  file.end();
  const chunks: Buffer[] = [];
  for await (const chunk of file.outputStream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const dict = (descr: string, shape: string, order = "False"): string =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

describe("npz", () => {
  test("reads what numpy wrote: every dtype, stored and deflated", async () => {
    const stored = contents(await flow.formats.read(golden("every-dtype.npz")));
    expect(contents(await flow.formats.read(golden("deflated.npz")))).toEqual(stored);
    const theirs = contents(await flow.formats.read(golden("every-dtype.safetensors")));
    expect(Object.values(stored).sort()).toEqual(Object.values(theirs).sort());
  });

  test("turns Fortran order to C order", async () => {
    const arrays = await flow.formats.read(golden("fortran.npz"));
    for (const [name, shape] of Object.entries({ matrix: [3, 4], cube: [2, 3, 4], row: [1, 4] })) {
      const array = arrays.get(name)!;
      expect(array.shape).toEqual(shape);
      expect(Array.from(array.data as Float32Array, Number)).toEqual(Array.from({ length: array.size }, (_, i) => i));
    }
  });

  test("writes the npy bytes that numpy writes, in a file that is the same each time", async () => {
    const folder = scratch();
    const arrays = await flow.formats.read(golden("every-dtype.npz"));
    await flow.formats.write(join(folder, "a.npz"), arrays);
    await flow.formats.write(join(folder, "b.npz"), new Map([...arrays].reverse()));
    const [a, b, theirs] = [join(folder, "a.npz"), join(folder, "b.npz"), golden("every-dtype.npz")].map((path) =>
      readFileSync(path),
    ) as [Buffer, Buffer, Buffer];
    expect(a.equals(b)).toBe(true);
    for (const [name, { dtype, shape }] of arrays) {
      if (name === "scalar") continue;
      const header = Buffer.from(npyHeader(dtype, shape));
      expect(theirs.includes(header), name).toBe(true);
      expect(a.includes(header), name).toBe(true);
      expect(parseNpy("test", header)).toEqual({ dtype, shape, fortranOrder: false, length: header.length });
    }
    expect(readdirSync(folder).sort()).toEqual(["a.npz", "b.npz"]);
  });

  test("any names, dtypes, shapes and bytes come back", async () => {
    const folder = scratch();
    let n = 0;
    const name = fc.stringMatching(/^[A-Za-z0-9_.+-]{1,20}$/).filter((text) => !/^\.*$/.test(text));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, anyArray()), { selector: ([key]) => key, maxLength: 8 }),
        async (entries) => {
          const arrays = new Map(entries);
          const path = join(folder, `${n++}.npz`);
          await flow.formats.write(path, arrays);
          expect(contents(await flow.formats.read(path))).toEqual(contents(arrays));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("zip64", async () => {
    const path = join(scratch(), "m.npz");
    const file = new ZipFile();
    file.addBuffer(npy(dict("'<f4'", "(1,)"), 4), "x.npy", { forceZip64Format: true });
    file.end({ forceZip64Format: true, comment: "" });
    const chunks: Buffer[] = [];
    for await (const chunk of file.outputStream) chunks.push(chunk as Buffer);
    writeFileSync(path, Buffer.concat(chunks));
    expect((await flow.formats.read(path)).get("x")!.shape).toEqual([1]);
  });

  test("versions 2 and 3, keys in any order, blanks", async () => {
    for (const version of [2, 3]) {
      const path = join(scratch(), "m.npz");
      const odd = "{ 'shape':(2 , 1) ,'fortran_order':False,   'descr' : '<f4'}";
      writeFileSync(path, await zip({ "x.npy": npy(odd, 8, { version }) }, true));
      expect((await flow.formats.read(path)).get("x")!.shape).toEqual([2, 1]);
    }
  });

  test("more than a piece comes back, deflated too, and in Fortran order", async () => {
    const path = join(scratch(), "m.npz");
    const data = Float64Array.from({ length: 600_000 }, (_, i) => Math.sin(i));
    await flow.formats.write(path, { x: new flow.NdArray(data, [600, 1000]) });
    expect((await flow.formats.read(path)).get("x")!.data).toEqual(data);
    const array = Buffer.concat([npy(dict("'<f8'", "(1000, 600)", "True")), Buffer.from(data.buffer)]);
    writeFileSync(path, await zip({ "x.npy": array }, true));
    const turned = (await flow.formats.read(path)).get("x")!.data as Float64Array;
    for (const [row, column] of [
      [0, 0],
      [999, 599],
      [3, 500],
      [731, 2],
    ] as const)
      expect(turned[row * 600 + column]).toBe(data[column * 1000 + row]);
  });

  const good = npy(dict("'<f4'", "(1,)"), 4);
  const hostile: readonly (readonly [string, () => Promise<Buffer>, RegExp])[] = [
    ["an empty file", async () => Buffer.alloc(0), /is no zip file, or is damaged/],
    ["another file", async () => Buffer.alloc(1000, "x"), /is no zip file, or is damaged/],
    [
      "a cut zip",
      async () => (await zip({ "x.npy": good })).subarray(0, -30),
      /is no zip file, or is damaged|damaged directory/,
    ],
    [
      "an entry that is no array",
      async () => zip({ "x.txt": good }),
      /has the entry "x.txt", expected .npy arrays only/,
    ],
    [
      "a name twice",
      async () => {
        const bytes = await zip({ "x.npy": good, "y.npy": good });
        return Buffer.from(bytes.toString("latin1").replaceAll("y.npy", "x.npy"), "latin1");
      },
      /has "x" twice/,
    ],
    [
      "a name that climbs",
      async () => {
        const bytes = await zip({ "aa/x.npy": good });
        return Buffer.from(bytes.toString("latin1").replaceAll("aa/x", "../x"), "latin1");
      },
      /damaged directory \(invalid relative path/,
    ],
    [
      "an absolute name",
      async () => {
        const bytes = await zip({ "aax.npy": good });
        return Buffer.from(bytes.toString("latin1").replaceAll("aax", "/ax"), "latin1");
      },
      /damaged directory \(absolute path/,
    ],
    ["no npy magic", async () => zip({ "x.npy": Buffer.alloc(100) }), /array "x", is no npy array/],
    ["an empty entry", async () => zip({ "x.npy": Buffer.alloc(0) }), /is no npy array/],
    [
      "version 4",
      async () => zip({ "x.npy": npy(dict("'<f4'", "(1,)"), 4, { version: 4 }) }),
      /version 4, expected 1, 2 or 3/,
    ],
    [
      "a header cut off",
      async () => zip({ "x.npy": npy("{'descr'", 0, { length: 500 }) }),
      /cut off inside its header/,
    ],
    [
      "a huge header",
      async () => zip({ "x.npy": npy("{", 0, { version: 2, length: 0xffffffff }) }),
      /header of 4294967295 bytes, expected at most/,
    ],
    ["no dict", async () => zip({ "x.npy": npy("hello") }), /has the npy header "hello", expected/],
    [
      "a missing key",
      async () => zip({ "x.npy": npy("{'descr': '<f4', 'shape': (1,)}", 4) }),
      /expected exactly 'descr', 'fortran_order' and 'shape'/,
    ],
    [
      "a key twice",
      async () => zip({ "x.npy": npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", 4) }),
      /'descr' twice/,
    ],
    [
      "an unknown key",
      async () => zip({ "x.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 'y'}", 4) }),
      /expected exactly/,
    ],
    [
      "code",
      async () => zip({ "x.npy": npy("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}", 4) }),
      /malformed/,
    ],
    ["Python objects", async () => zip({ "x.npy": npy(dict("'|O'", "(1,)"), 8) }), /numpy type '\|O', expected one of/],
    ["big-endian elements", async () => zip({ "x.npy": npy(dict("'>f4'", "(1,)"), 4) }), /numpy type '>f4'/],
    ["complex elements", async () => zip({ "x.npy": npy(dict("'<c8'", "(1,)"), 8) }), /numpy type '<c8'/],
    ["records", async () => zip({ "x.npy": npy(dict("[('a', '<f4')]", "(1,)"), 4) }), /numpy type \[\('a', '<f4'\)\]/],
    [
      "a type called constructor",
      async () => zip({ "x.npy": npy(dict("'constructor'", "(1,)"), 4) }),
      /numpy type 'constructor'/,
    ],
    ["a negative dimension", async () => zip({ "x.npy": npy(dict("'<f4'", "(-1,)"), 4) }), /malformed/],
    [
      "a shape without comma",
      async () => zip({ "x.npy": npy(dict("'<f4'", "(1)"), 4) }),
      /npy shape \(1\), which is malformed/,
    ],
    [
      "a huge shape",
      async () => zip({ "x.npy": npy(dict("'<f4'", "(4294967296, 4294967296)"), 4) }),
      /more elements than any file holds/,
    ],
    [
      "33 dimensions",
      async () => zip({ "x.npy": npy(dict("'<f4'", `(${Array(33).fill(1).join(", ")})`), 4) }),
      /more elements than any file holds/,
    ],
    [
      "too few elements",
      async () => zip({ "x.npy": npy(dict("'<f4'", "(1000000000,)"), 4) }),
      /has 4 bytes for "x", float32\[1000000000\] needs 4000000000/,
    ],
    ["too many elements", async () => zip({ "x.npy": npy(dict("'<f4'", "(1,)"), 8) }), /has 8 bytes for "x"/],
    [
      "a flipped bit",
      async () => {
        const bytes = await zip({ "x.npy": npy(dict("'<f4'", "(100,)"), 400) });
        bytes[300]! ^= 1;
        return bytes;
      },
      /has "x" damaged: its CRC-32 is/,
    ],
    [
      "a flipped bit in deflated elements",
      async () => {
        const bytes = await zip(
          {
            "x.npy": Buffer.concat([
              npy(dict("'|u1'", "(5000,)")),
              Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i) % 251)),
            ]),
          },
          true,
        );
        bytes[bytes.length >> 1]! ^= 4;
        return bytes;
      },
      /has "x" damaged/,
    ],
    [
      "a bomb that says it is small",
      async () => {
        const bytes = await zip(
          { "x.npy": Buffer.concat([npy(dict("'|u1'", "(50000000,)")), Buffer.alloc(50_000_000)]) },
          true,
        );
        // The uncompressed size in the central directory.
        const at = bytes.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1"));
        bytes.writeUInt32LE(200, at + 24);
        return bytes;
      },
      /bytes for "x"|damaged/,
    ],
    [
      "an unknown method",
      async () => {
        const bytes = await zip({ "x.npy": good });
        bytes.writeUInt16LE(12, bytes.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1")) + 10);
        return bytes;
      },
      /in zip method 12, expected stored or deflated/,
    ],
    [
      "an encrypted entry",
      async () => {
        const bytes = await zip({ "x.npy": good }, true);
        const at = bytes.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1")) + 8;
        bytes.writeUInt16LE(bytes.readUInt16LE(at) | 1, at);
        return bytes;
      },
      /encrypted entry "x"/,
    ],
  ];
  for (const [what, make, message] of hostile)
    test(`refuses ${what}`, async () => {
      const path = join(scratch(), "m.npz");
      writeFileSync(path, await make());
      const error = await failure(() => flow.formats.read(path));
      expect(error.message).toMatch(message);
      expect(error.code).toBe("E_FORMAT");
    });

  test("a mutated file is read or refused with a code, never anything else", async () => {
    const path = join(scratch(), "m.npz");
    let refused = 0;
    for (const name of ["every-dtype.npz", "deflated.npz"]) {
      const source = readFileSync(golden(name));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(source.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
          fc.option(fc.nat(source.length - 1), { freq: 4 }),
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
        { numRuns: 150 },
      );
    }
    expect(refused).toBeGreaterThan(100);
  });

  test("a name that no zip file can hold is refused before anything is written", async () => {
    const folder = scratch();
    const x = new flow.NdArray(new Float32Array(1), [1]);
    for (const name of ["../x", "/x", "C:x", "a/../../x"]) {
      const error = await failure(() => flow.formats.write(join(folder, "m.npz"), { [name]: x }));
      expect(error.code).toBe("E_NAME");
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});
