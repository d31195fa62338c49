/** Something that set-up gets from a package registry: exactly these bytes. */
export interface Source {
  readonly what: string;
  readonly file: string;
  readonly sha256: string;
  readonly megabytes: number;
}

/** tfjs-node's own sources, of which `binding/` is compiled. */
export const tfjsNode: Source & { readonly version: string } = {
  what: "@tensorflow/tfjs-node@4.22.0",
  version: "4.22.0",
  file: "tensorflow-tfjs-node-4.22.0.tgz",
  sha256: "d38a448a705efc6e655a080f896b3af646ae39dffbfe9c90b06cb9fc3a2b9358",
  megabytes: 1,
};

/** Node-API's headers: Node's own come with some ways of installing it only. */
export const nodeHeaders: Source = {
  what: "node-api-headers@1.5.0",
  file: "node-api-headers-1.5.0.tgz",
  sha256: "59d0c186cb2db56fb5219219fdbcfb0573c33ff772494a23940564b9cfff881c",
  megabytes: 1,
};

/** TensorFlow's Python wheel, of which the C library and its headers are taken. Any Python can download and unpack it. */
export const wheel: Source & { readonly version: string; readonly pip: readonly string[] } = {
  what: "tensorflow-cpu==2.21.0",
  version: "2.21.0",
  file: "tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl",
  sha256: "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
  megabytes: 274,
  pip: [
    "--no-deps",
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_27_x86_64",
  ],
};

/** The libraries in the wheel, and the names under which tfjs-node's binding looks for them. */
export const libraries: readonly { readonly path: string; readonly sha256: string; readonly linkedAs: string }[] = [
  {
    path: "tensorflow/libtensorflow_cc.so.2",
    sha256: "6505a4b9657e62100c6bdacb683957a395cb047725042945aaa50e40a71e429e",
    linkedAs: "libtensorflow.so",
  },
  {
    path: "tensorflow/libtensorflow_framework.so.2",
    sha256: "f060b323b26ef80add21b9df9428de3aeaf2843d772c5bb098745f7abff3709b",
    linkedAs: "libtensorflow_framework.so",
  },
];

/** The headers that tfjs-node's binding includes lie below these folders of the wheel. */
export const headerFolders: readonly string[] = [
  "tensorflow/include/tensorflow/c/",
  "tensorflow/include/tensorflow/core/platform/",
  "tensorflow/include/tsl/platform/",
  "tensorflow/include/xla/tsl/c/",
];

/** Room for the wheel and what is taken of it; 855 MB stay. */
export const megabytesNeeded = 1300;
