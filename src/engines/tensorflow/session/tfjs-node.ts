import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FlowError } from "../../../core/errors.js";
import { cacheFolder } from "../../cache-folder.js";

/** The command that gets tfjs-node working. */
export const setupCommand = "npx onestep setup tensorflow";

const packages = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"] as const;
/** Where a tfjs-node has its binding. */
export const bindingFile = join("lib", "napi-v8", "tfjs_binding.node");
/** Where it has TensorFlow's C library, which the binding is linked to. */
export const libraryFile =
  process.platform === "win32"
    ? join("lib", "napi-v8", "tensorflow.dll")
    : join("deps", "lib", `libtensorflow.${process.platform === "darwin" ? "dylib" : "so"}`);

/** The folder that `onestep setup tensorflow` fills. */
export const setupFolder = (): string => join(cacheFolder(), "tensorflow");

/** A copy of tfjs-node that could be used, and whether its binding and TensorFlow's C library are there. */
export interface Candidate {
  readonly folder: string;
  readonly binding: string;
  readonly library: string;
  readonly built: boolean;
}

/** The copies of tfjs-node in sight, best first: the program's, that beside onestep, the one that set-up made. */
export function candidates(): readonly Candidate[] {
  const from = [join(process.cwd(), "package.json"), import.meta.url, join(setupFolder(), "package.json")];
  const folders = from.flatMap((place) =>
    packages.flatMap((name) => {
      try {
        return [dirname(createRequire(place).resolve(`${name}/package.json`))];
      } catch {
        return [];
      }
    }),
  );
  return [...new Set(folders)].map((folder) => {
    const [binding, library] = [join(folder, bindingFile), join(folder, libraryFile)];
    return { folder, binding, library, built: existsSync(binding) && existsSync(library) };
  });
}

/** The paths of TensorFlow's C library to try, best first; E_ENGINE says whether tfjs-node is missing or broken, and what mends it. */
export function librariesToTry(): readonly string[] {
  const seen = candidates();
  const built = seen.filter((candidate) => candidate.built);
  if (built.length > 0) return built.map(({ library }) => library);
  const [broken] = seen;
  throw new FlowError(
    "E_ENGINE",
    broken === undefined
      ? `tensorflow: @tensorflow/tfjs-node is missing; get it with '${setupCommand}'`
      : `tensorflow: @tensorflow/tfjs-node is broken: ${broken.folder} has no ${existsSync(broken.binding) ? libraryFile : bindingFile}, since its install script did not run or failed; mend it with '${setupCommand}'`,
  );
}

/** The error of a library that is there and does not load. */
export const doesNotLoad = (library: string, why: string): FlowError =>
  new FlowError(
    "E_ENGINE",
    `tensorflow: @tensorflow/tfjs-node is broken: ${library} does not load: ${why}; mend it with '${setupCommand}'`,
  );
