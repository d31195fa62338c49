// The documented programs of several devices: with one device their losses are those of the plain program, to the bit.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "onestep-strategies-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const seeded = `import { config } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)}; config.seed(7);`;

/** The losses that an example prints, with a seed that is set before it starts. */
async function losses(example: string, ...args: string[]): Promise<readonly number[]> {
  const file = fileURLToPath(new URL(`../../examples/${example}.ts`, import.meta.url));
  const loaders = ["--import", tsx, "--import", `data:text/javascript,${encodeURIComponent(seeded)}`];
  const child = spawn(process.execPath, [...loaders, file, ...args], {
    cwd: folder,
    env: { ...process.env, ONESTEP_ENGINE: "onnx" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${example} ended with ${code}: ${err}`);
  return out
    .trim()
    .split("\n")
    .map(Number)
    .filter((loss) => !Number.isNaN(loss));
}

test("mirrored_strategy, mixed_parallel_mlp and eager_mlp_mnist have the losses of the plain MLP program", async () => {
  const plain = await losses("mlp_mnist_origin");
  expect(plain).toHaveLength(30);
  expect(plain[0]).toBeGreaterThan(2);
  expect(plain.at(-1)).toBeLessThan(0.4);
  expect(await losses("mirrored_strategy", "201")).toEqual(plain.slice(0, 11));
  expect(await losses("mixed_parallel_mlp", "1", "201")).toEqual(plain.slice(0, 11));
  expect(await losses("eager_mlp_mnist", "81")).toEqual(plain.slice(0, 5));
}, 180_000);

test("mixed_parallel_lenet has the losses of consistent_strategy", async () => {
  const plain = await losses("consistent_strategy", "1", "21");
  expect(plain).toHaveLength(2);
  expect(plain[1]).toBeLessThan(plain[0]!);
  expect(await losses("mixed_parallel_lenet", "1", "21")).toEqual(plain);
}, 180_000);
