import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, statfs, symlink, writeFile } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import { FlowError } from "../../../core/errors.js";
import { bindingFile, candidates, setupFolder } from "../session/tfjs-node.js";
import { headerFolders, libraries, megabytesNeeded, nodeHeaders, type Source, tfjsNode, wheel } from "./sources.js";

export interface SetupOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean;
  /** Builds again even where a copy works. */
  readonly force?: boolean;
  /** Receives the lines of progress. */
  readonly say: (line: string) => void;
}

/**
 * Gets tfjs-node's binding working without its install script: builds it from the npm package's sources against the C library
 * in TensorFlow's Python wheel, in the user's cache folder. Does nothing where a copy works. What is missing is E_ENGINE.
 */
export async function setupTensorflow({ dryRun = false, force = false, say }: SetupOptions): Promise<void> {
  if (!force) {
    for (const { binding } of candidates().filter(({ built }) => built)) {
      const version = await versionOf(binding).catch(() => undefined);
      if (version === undefined) continue;
      say(`TensorFlow ${version} works: ${binding}; --force builds it again`);
      return;
    }
  }
  const target = setupFolder();
  const missing = await missingParts(dirname(target));
  say(`set-up of tfjs-node ${tfjsNode.version} on TensorFlow ${wheel.version}, in ${target}`);
  if (dryRun) {
    for (const { what, megabytes, sha256 } of [tfjsNode, nodeHeaders, wheel])
      say(`  would download ${what} (${megabytes} MB), sha256 ${sha256}`);
    for (const { path, sha256 } of libraries) say(`  would take ${path} of it, sha256 ${sha256}`);
    say(`  would compile tfjs-node's binding with ${compiler()}, and remove all but the libraries and the binding`);
  }
  if (missing.length > 0)
    throw new FlowError("E_ENGINE", `setup tensorflow: cannot be done here:\n  ${missing.join("\n  ")}`);
  if (dryRun) {
    say("nothing is missing; nothing was done");
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(join(dirname(target), `${basename(target)}.setup-`));
  try {
    await build(work, say);
    await rm(target, { recursive: true, force: true });
    await rename(join(work, "done"), target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  say(`done: ${join(target, "node_modules", "@tensorflow", "tfjs-node", bindingFile)}`);
}

/** TensorFlow's version behind a binding, loaded in a process of its own: a library that does not fit may end it. */
export async function versionOf(binding: string): Promise<string> {
  const program = `process.stdout.write("version " + require(${JSON.stringify(binding)}).TF_Version)`;
  const output = await run(process.execPath, ["--eval", program], { env: { TF_CPP_MIN_LOG_LEVEL: "3" } });
  return output.slice(output.indexOf("version ") + "version ".length);
}

/** What set-up needs and does not find, each with what to do. */
async function missingParts(folder: string): Promise<readonly string[]> {
  const missing: string[] = [];
  if (process.platform !== "linux" || process.arch !== "x64")
    missing.push(
      `this is ${process.platform} ${process.arch}: set-up builds on Linux x64 only; elsewhere npm install @tensorflow/tfjs-node, whose install script (npm rebuild @tensorflow/tfjs-node) downloads a library`,
    );
  else if (
    (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime ===
    undefined
  )
    missing.push("this Linux has no glibc (musl?): TensorFlow has no library for it");
  if (!(await works(python(), ["-m", "pip", "--version"])))
    missing.push(
      `'${python()} -m pip' does not run: install Python 3 with pip (apt install python3-pip), or set PYTHON`,
    );
  if (!(await works(compiler(), ["--version"])))
    missing.push(`'${compiler()}' does not run: install a C++ compiler (apt install g++), or set CXX`);
  if (!(await works("tar", ["--version"]))) missing.push("'tar' does not run: install it (apt install tar)");
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < megabytesNeeded)
    missing.push(
      `${existing} has ${free} MB free, ${megabytesNeeded} are needed: make room, or set ONESTEP_CACHE to another folder`,
    );
  return missing;
}

const python = (): string => process.env.PYTHON ?? "python3";
const compiler = (): string => process.env.CXX ?? "c++";

async function build(work: string, say: (line: string) => void): Promise<void> {
  const done = join(work, "done");
  const module = join(done, "node_modules", "@tensorflow", "tfjs-node");
  await mkdir(join(module, "deps", "lib"), { recursive: true });
  await mkdir(dirname(join(module, bindingFile)), { recursive: true });

  for (const [source, folder] of [
    [tfjsNode, module],
    [nodeHeaders, join(work, "headers")],
  ] as const) {
    say(`downloading ${source.what}`);
    await run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", work, source.what], { cwd: work });
    await verify(join(work, source.file), source.sha256, source.what);
    await mkdir(folder, { recursive: true });
    await run("tar", ["-xzf", join(work, source.file), "-C", folder, "--strip-components=1"]);
  }

  say(`downloading ${wheel.what} (${wheel.megabytes} MB)`);
  await run(python(), ["-m", "pip", "download", "--progress-bar=off", ...wheel.pip, "--dest", work, wheel.what]);
  await verify(join(work, wheel.file), wheel.sha256, wheel.what);
  say("unpacking the C library and its headers");
  await run(python(), [
    "-c",
    unpack,
    join(work, wheel.file),
    work,
    ...libraries.map(({ path }) => path),
    ...headerFolders,
  ]);
  await rm(join(work, wheel.file));
  const lib = join(module, "deps", "lib");
  for (const { path, sha256, linkedAs } of libraries) {
    await verify(join(work, path), sha256, path);
    await rename(join(work, path), join(lib, basename(path)));
    await symlink(basename(path), join(lib, linkedAs));
  }

  say(`compiling tfjs-node's binding with ${compiler()} (about half a minute)`);
  const binding = join(module, bindingFile);
  await run(compiler(), [
    ...["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION"],
    `-I${join(work, "headers", "include")}`,
    `-I${join(work, "tensorflow", "include")}`,
    ...["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => join(module, "binding", file)),
    ...[`-L${lib}`, "-ltensorflow", "-ltensorflow_framework", "-Wl,-rpath,$ORIGIN/../../deps/lib"],
    ...["-o", binding],
  ]);
  const version = await versionOf(binding);
  const manifest = {
    tfjsNode: tfjsNode.version,
    tensorflow: version,
    sources: [tfjsNode, nodeHeaders, wheel].map(({ what, sha256 }: Source) => ({ what, sha256 })),
    libraries: libraries.map(({ path, sha256 }) => ({ path, sha256 })),
    binding: await sha256Of(binding),
  };
  await writeFile(join(done, "onestep-setup.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(join(done, "package.json"), `${JSON.stringify({ name: "onestep-tensorflow", private: true })}\n`);
  say(`TensorFlow ${version} answers`);
}

/** Python's zipfile, for the wanted members only: the wheel holds 1.2 GB. */
const unpack = `
import sys, zipfile
wheel, target, *wanted = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if any(name == path or (path.endswith("/") and name.startswith(path)) for path in wanted):
            archive.extract(name, target)
`;

async function verify(file: string, expected: string, what: string): Promise<void> {
  const got = await sha256Of(file);
  if (got !== expected)
    throw new FlowError(
      "E_ENGINE",
      `setup tensorflow: ${what} is not what this version of onestep knows: sha256 ${got}, expected ${expected}; try again, and report it where it stays so`,
    );
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

const works = (command: string, args: readonly string[]): Promise<boolean> =>
  run(command, args).then(
    () => true,
    () => false,
  );

/** Runs a command; its standard output, or an error with the end of what it said. */
function run(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // npm's own folder of programs would put a project's tools before the system's.
      env: { ...process.env, ...env, PATH: withoutModules(process.env.PATH ?? "") },
    });
    let stdout = "";
    let all = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      all += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      all += chunk.toString();
    });
    const fail = (how: string, cause?: unknown): void =>
      reject(
        new FlowError(
          "E_ENGINE",
          `setup tensorflow: '${[command, ...args].join(" ").slice(0, 200)}' ${how}: ${all.trim().slice(-2000)}`,
          {
            cause,
          },
        ),
      );
    child.on("error", (cause) => fail("does not run", cause));
    child.on("close", (code, signal) =>
      code === 0 ? resolve(stdout) : fail(`ended with ${signal ?? `code ${code}`}`),
    );
  });
}

const withoutModules = (path: string): string =>
  path
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(delimiter);
