import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as flow from "onestep";
import { tp } from "onestep";
import { afterEach, describe, expect, test, vi } from "vitest";
import { contents, failure, scratch } from "./support.js";

afterEach(async () => {
  vi.restoreAllMocks();
  await flow.clearDefaultSession();
});

const job = () =>
  flow.globalFunction({ name: "job", returns: [tp.Numpy, tp.Numpy] }, [tp.Numpy.Placeholder([1])], (x) => {
    const w = flow.getVariable("w", { shape: [2, 3], initializer: flow.constantInitializer(1) });
    const n = flow.getVariable("n", {
      shape: [2],
      dtype: flow.int64,
      initializer: flow.constantInitializer(2),
    });
    return [w.add(x), n];
  });
const w = new flow.NdArray(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
const n = new flow.NdArray(BigInt64Array.of(7n, 2n ** 60n), [2]);

describe("checkPoint.load of files", () => {
  for (const file of ["m.safetensors", "m.npz"])
    test(`${file}: loads what is there, initialises and tells of what is not`, async () => {
      const path = join(scratch(), file);
      const lines = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
      await flow.formats.write(path, { w, other: n });
      const run = job();
      const report = await new flow.train.CheckPoint().load(path);
      expect(report).toMatchObject({ loaded: ["w"], initialized: ["n"], unused: ["other"], warnings: [] });
      expect(lines.mock.calls.map(([text]) => text)).toEqual([
        `WARNING! CANNOT find variable path in : ${path}/n/out. It will be initialized. \n`,
      ]);
      const [gotW, gotN] = await run([0]);
      expect(contents(new Map([["w", gotW]]))).toEqual(contents(new Map([["w", w]])));
      expect(gotN.toArray()).toEqual([2, 2]);
      const renamed = await new flow.train.CheckPoint().load(path, { rename: { other: "n" }, strict: true });
      expect(renamed).toMatchObject({ loaded: ["n", "w"], initialized: [], unused: [] });
      expect((await run([0]))[1].data).toEqual(n.data);
    });

  test("a state in safetensors is taken over", async () => {
    const folder = scratch();
    const run = job();
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    await run([0]);
    await checkPoint.save(join(folder, "m"), { extras: { epoch: 3 } });
    await flow.formats.convert(join(folder, "m"), join(folder, "m.safetensors"));
    await flow.clearDefaultSession();
    job();
    const report = await new flow.train.CheckPoint().load(join(folder, "m.safetensors"));
    expect(report.extras).toEqual({ epoch: 3 });
    await new flow.train.CheckPoint().save(join(folder, "again"), { extras: { epoch: 3 } });
    expect(readFileSync(join(folder, "again", "onestep.json"), "utf8")).toBe(
      readFileSync(join(folder, "m", "onestep.json"), "utf8"),
    );
  });

  test("what does not fit changes nothing", async () => {
    const folder = scratch();
    const run = job();
    const checkPoint = new flow.train.CheckPoint();
    await checkPoint.init();
    const before = (await run([0]))[0].toArray();
    const path = join(folder, "m.npz");
    const code = async (options: flow.train.LoadOptions = {}): Promise<string> =>
      (await failure(() => checkPoint.load(path, options))).code;
    expect(await code()).toBe("E_CKPT_DIR");
    await flow.formats.write(path, { w: new flow.NdArray(w.data, [3, 2]), n });
    expect(await code()).toBe("E_CKPT_META");
    await flow.formats.write(path, { w, n: new flow.NdArray(Float64Array.of(1, 2), [2]) }, { overwrite: true });
    expect(await code()).toBe("E_CKPT_META");
    await flow.formats.write(path, { other: w }, { overwrite: true });
    expect(await code()).toBe("E_CKPT_DIR");
    await flow.formats.write(path, { w }, { overwrite: true });
    expect(await code({ strict: true })).toBe("E_CKPT_STRICT");
    expect(await code({ exclude: "x" })).toBe("E_ARGUMENT");
    const bytes = readFileSync(path);
    bytes[bytes.indexOf(Buffer.from(w.data.buffer)) + 4]! ^= 1;
    writeFileSync(path, bytes);
    expect(await code()).toBe("E_FORMAT");
    writeFileSync(path, "x");
    expect(await code()).toBe("E_FORMAT");
    expect((await run([0]))[0].toArray()).toEqual(before);
    bytes[bytes.indexOf(Buffer.from(w.data.buffer, 8)) - 4]! ^= 1;
    writeFileSync(path, bytes);
    expect(await checkPoint.load(path, { dryRun: true })).toMatchObject({ loaded: ["w"], initialized: ["n"] });
    expect((await run([0]))[0].toArray()).toEqual(before);
  });
});
