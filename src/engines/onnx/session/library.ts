import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FlowError } from "../../../core/errors.js";

const require = createRequire(import.meta.url);

/** onnxruntime-node's shared library for this machine. */
export function libraryPath(): string {
  const root = join(
    dirname(require.resolve("onnxruntime-node/package.json")),
    "bin",
    "napi-v6",
    process.platform,
    process.arch,
  );
  const pattern =
    { win32: /^onnxruntime\.dll$/, darwin: /^libonnxruntime\.[\d.]*dylib$/ }[process.platform as string] ??
    /^libonnxruntime\.so/;
  let files: string[];
  try {
    files = readdirSync(root);
  } catch (cause) {
    throw new FlowError(
      "E_ENGINE",
      `onnx: onnxruntime-node has no library for ${process.platform} ${process.arch}; use flow.config.engine("reference"), or a machine it supports (Linux glibc x64/arm64, Windows, macOS arm64)`,
      { cause },
    );
  }
  const file = files.find((name) => pattern.test(name));
  if (file === undefined)
    throw new FlowError(
      "E_ENGINE",
      `onnx: ${root} holds no onnxruntime library, only ${files.join(", ")}; reinstall onnxruntime-node`,
    );
  return join(root, file);
}

/** The version of onnxruntime-node that is installed. */
export const runtimeVersion = (): string =>
  (require("onnxruntime-node/package.json") as { readonly version: string }).version;
