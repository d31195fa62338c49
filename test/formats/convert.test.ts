import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import * as flow from "onestep";
import { describe, expect, test } from "vitest";
import { saveCheckpoint } from "#src/checkpoint/write.js";
import type { DType } from "#src/core/dtype.js";
import { anyArray, contents, failure, scratch, storable } from "./support.js";

const state = { seed: 7, calls: { train_job: 600 }, extras: { note: "mine" } };
async function checkpoint(
  dir: string,
  arrays: Readonly<Record<string, flow.NdArray>>,
  fileName = "out",
): Promise<void> {
  const variables = Object.entries(arrays).map(([name, { dtype, shape }]) => ({ name, dtype, shape, fileName }));
  await saveCheckpoint(dir, variables, async (name) => arrays[name]!, state);
}
const f32 = (values: readonly number[], shape = [values.length]): flow.NdArray =>
  new flow.NdArray(Float32Array.from(values), shape);
const tree = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(dir.length), readFileSync(path).toString("hex")]),
  );

describe("convert", () => {
  test("a directory goes to safetensors and back as the same bytes, state included", async () => {
    const root = scratch();
    await checkpoint(join(root, "m"), {
      "dense1-weight": f32([1, 2, 3, 4], [2, 2]),
      bias: f32([5]),
      h: new flow.NdArray(new Float32Array([0.5]), [1], "float16"),
    });
    await flow.formats.convert(join(root, "m"), join(root, "m.safetensors"));
    await flow.formats.convert(join(root, "m.safetensors"), join(root, "back"));
    expect(tree(join(root, "back"))).toEqual(tree(join(root, "m")));
    expect(existsSync(join(root, "back", "snapshot_done"))).toBe(true);
  });

  test("any variables survive the round directory, npz, safetensors, directory", async () => {
    const root = scratch();
    let n = 0;
    const name = fc
      .stringMatching(/^[a-z][a-z0-9_-]{0,12}$/)
      .filter((text) => !/^(?:con|prn|aux|nul|meta|com\d|lpt\d)$/.test(text));
    const array = anyArray(storable as readonly DType[]).filter(({ shape }) => shape.every((d) => d > 0));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, array), { selector: ([key]) => key, minLength: 1, maxLength: 5 }),
        async (entries) => {
          const arrays = Object.fromEntries(entries);
          const at = (end: string): string => join(root, `${n}${end}`);
          n++;
          await checkpoint(at(""), arrays);
          await flow.formats.convert(at(""), at(".npz"));
          await flow.formats.convert(at(".npz"), at(".safetensors"));
          await flow.formats.convert(at(".safetensors"), at("-back"));
          expect(contents(await flow.formats.read(at("-back")))).toEqual(contents(new Map(entries)));
          const { "/onestep.json": _, ...files } = tree(at(""));
          expect(tree(at("-back"))).toEqual(files);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("renames by rules, chooses, and says what went where", async () => {
    const root = scratch();
    await checkpoint(join(root, "m"), {
      "dense1-weight": f32([1]),
      "dense1-bias": f32([2]),
      "dense2-bias": f32([3]),
      step: f32([4]),
    });
    const report = await flow.formats.convert(join(root, "m"), join(root, "m.npz"), {
      rename: { "dense1-*": "hidden-*" },
      exclude: "step",
    });
    expect(report).toEqual({
      variables: [
        { from: "dense1-bias", to: "hidden-bias" },
        { from: "dense1-weight", to: "hidden-weight" },
        { from: "dense2-bias", to: "dense2-bias" },
      ],
      bytes: 12,
      lost: ["seed, call counts and extras: .npz files hold arrays only"],
    });
    expect([...(await flow.formats.read(join(root, "m.npz"))).keys()]).toEqual([
      "dense2-bias",
      "hidden-bias",
      "hidden-weight",
    ]);
    const again = await failure(() => flow.formats.convert(join(root, "m"), join(root, "x.npz"), { exclude: "setp" }));
    expect(again.message).toBe(
      `formats.convert('${join(root, "m")}', '${join(root, "x.npz")}'): exclude: 'setp' fits no variable; did you mean 'step'? [E_ARGUMENT]`,
    );
    const same = await failure(() =>
      flow.formats.convert(join(root, "m"), join(root, "x.npz"), { rename: { "dense1-*": "step" } }),
    );
    expect(same.code).toBe("E_ARGUMENT");
  });

  test("a damaged directory is not passed on", async () => {
    const root = scratch();
    await checkpoint(join(root, "m"), { w: f32([1, 2]), v: f32([3]) });
    writeFileSync(join(root, "m", "w", "out"), Buffer.alloc(8));
    for (const to of ["m.npz", "m.safetensors", "copy"]) {
      const error = await failure(() => flow.formats.convert(join(root, "m"), join(root, to)));
      expect(error.code).toBe("E_CKPT_HASH");
    }
    appendFileSync(join(root, "m", "w", "out"), "x");
    expect((await failure(() => flow.formats.convert(join(root, "m"), join(root, "m.npz")))).code).toBe("E_CKPT_SIZE");
    expect(readdirSync(root)).toEqual(["m"]);
  });

  test("what is in the way stays; a missing parent, an unfit name, a bool, a typeless variable are errors", async () => {
    const root = scratch();
    await checkpoint(join(root, "m"), { w: f32([1]) });
    mkdirSync(join(root, "full"));
    writeFileSync(join(root, "full", "x"), "");
    writeFileSync(join(root, "old.npz"), "old");
    const code = async (to: string, from = "m"): Promise<string> =>
      (await failure(() => flow.formats.convert(join(root, from), join(root, to)))).code;
    expect(await code("full")).toBe("E_CKPT_EXISTS");
    expect(await code("old.npz")).toBe("E_CKPT_EXISTS");
    expect(readFileSync(join(root, "old.npz"), "utf8")).toBe("old");
    expect(await code("none/x.npz")).toBe("E_CKPT_DIR");
    expect(await code("x.npz", "none")).toBe("E_CKPT_DIR");
    await flow.formats.write(join(root, "named.safetensors"), { "a/b": f32([1]) });
    expect(await code("x", "named.safetensors")).toBe("E_NAME");
    await flow.formats.write(join(root, "bool.safetensors"), { b: new flow.NdArray(new Uint8Array([1]), [1], "bool") });
    expect(await code("x", "bool.safetensors")).toBe("E_DTYPE");
    rmSync(join(root, "m", "w", "meta"));
    expect(await code("x.npz")).toBe("E_CKPT_META");
    expect(readdirSync(root).sort()).toEqual(["bool.safetensors", "full", "m", "named.safetensors", "old.npz"]);
  });

  test("Google's BERT names become OneFlow's, and go back", async () => {
    const { bertFromTensorflow: there, bertToTensorflow: back } = flow.formats;
    // Rows of the table that OneFlow's script makes.
    const table: Readonly<Record<string, string>> = {
      "bert/embeddings/word_embeddings": "bert-embeddings-word_embeddings",
      "bert/embeddings/position_embeddings": "bert-embeddings-position_embeddings",
      "bert/embeddings/LayerNorm/gamma": "bert-embeddings-LayerNorm-gamma",
      "bert/encoder/layer_11/attention/self/query/kernel": "bert-encoder-layer_11-attention-self-query-weight",
      "bert/encoder/layer_0/attention/output/dense/bias": "bert-encoder-layer_0-attention-output-dense-bias",
      "bert/encoder/layer_0/attention/output/LayerNorm/beta": "bert-encoder-layer_0-attention-output-LayerNorm-beta",
      "bert/encoder/layer_3/intermediate/dense/kernel": "bert-encoder-layer_3-intermediate-dense-weight",
      "bert/pooler/dense/kernel": "bert-pooler-dense-weight",
      "cls/predictions/transform/dense/kernel": "cls-predictions-transform-dense-weight",
      "cls/predictions/output_bias": "cls-predictions-output_bias",
      "cls/seq_relationship/output_weights": "cls-seq_relationship-output_weights",
    };
    for (const [google, oneflow] of Object.entries(table)) {
      expect(there.rename(google)).toBe(oneflow);
      expect(back.rename(oneflow)).toBe(google);
    }
    expect(there.rename("global_step")).toBe("global_step");
    expect(back.rename("bert-pooler-dense-weight-m")).toBe("bert-pooler-dense-weight-m");
    const root = scratch();
    const position = "bert/embeddings/position_embeddings";
    await flow.formats.write(join(root, "google.npz"), {
      [position]: f32([1, 2, 3, 4], [2, 2]),
      "bert/pooler/dense/kernel": f32([5]),
    });
    await flow.formats.convert(join(root, "google.npz"), join(root, "m"), { preset: "bert-tensorflow" });
    const arrays = await flow.formats.read(join(root, "m"));
    expect(arrays.get("bert-embeddings-position_embeddings")!.shape).toEqual([1, 2, 2]);
    expect([...arrays.keys()]).toEqual(["bert-embeddings-position_embeddings", "bert-pooler-dense-weight"]);
    await flow.formats.convert(join(root, "m"), join(root, "back.npz"), { preset: "bert-to-tensorflow" });
    expect(contents(await flow.formats.read(join(root, "back.npz")))).toEqual(
      contents(await flow.formats.read(join(root, "google.npz"))),
    );
    const error = await failure(() =>
      flow.formats.convert(join(root, "m"), join(root, "x.npz"), { preset: "bert-tensorflw" }),
    );
    expect(error.message).toContain("did you mean 'bert-tensorflow'?");
  });
});
