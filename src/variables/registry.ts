import { type DType, dtypeNames } from "../core/dtype.js";
import { callSite, checkOptions, FlowError, plainText, textOfValue } from "../core/errors.js";
import { type Shape, sameShape, typeText } from "../core/shape.js";
import type { Blob } from "../graph/blob.js";
import { currentBuilder, type GraphBuilder } from "../graph/trace.js";
import { checkInitializer, type Initializer } from "../initializers/initializer.js";
import { checkFileName, checkName, Folders } from "./names.js";
import type { Regularizer } from "./regularizers.js";

/** A variable as the whole session knows it. */
export interface VariableSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly initializer: Initializer;
  readonly regularizer: Regularizer | undefined;
  /** Makes the initial value independent of the session's seed and of the name. */
  readonly randomSeed: number | undefined;
  /** Name of the file that holds the elements, in the directory named as the variable. */
  readonly fileName: string;
  /** Where it was made first: `file:line:column`. */
  readonly site: string;
}

/** A variable in one job. */
export interface JobVariable {
  readonly spec: VariableSpec;
  readonly blob: Blob;
  readonly trainable: boolean;
}

/** Every variable of a session, by name. */
export class VariableRegistry {
  readonly #specs = new Map<string, VariableSpec>();

  get(name: string): VariableSpec | undefined {
    return this.#specs.get(name);
  }

  /** All variables in the order of their names. */
  all(): readonly VariableSpec[] {
    return [...this.#specs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** A registry of the same variables, for a trace that may fail. */
  copy(): VariableRegistry {
    const copy = new VariableRegistry();
    copy.commit(this.all());
    return copy;
  }

  /** Adds what a traced job made; called once its trace has succeeded, so that a failed one leaves nothing behind. */
  commit(specs: Iterable<VariableSpec>): void {
    for (const spec of specs) this.#specs.set(spec.name, spec);
  }
}

/** What `getVariable` takes where a job's config says so and the call does not. */
export interface VariableDefaults {
  readonly dtype?: DType;
  readonly initializer?: Initializer;
}

/** The variables of a job while it is traced and compiled. */
export class JobVariables {
  readonly all = new Map<string, JobVariable>();
  readonly #folders = new Folders();
  constructor(
    readonly registry: VariableRegistry,
    readonly builder: GraphBuilder,
    readonly defaults: VariableDefaults = {},
  ) {
    for (const { name } of registry.all()) this.#folders.add(name);
  }

  /** The same variables for a builder that goes on from this one's graph. */
  fork(builder: GraphBuilder): JobVariables {
    const copy = new JobVariables(this.registry, builder, this.defaults);
    for (const [name, variable] of this.all) {
      copy.all.set(name, variable);
      copy.#folders.add(name);
    }
    return copy;
  }

  /** What the session is to know of them. */
  specs(): readonly VariableSpec[] {
    return [...this.all.values()].map(({ spec }) => spec);
  }

  /** Makes the variable or, where another job has made it with the same settings, lets this job share it. */
  create(spec: VariableSpec, trainable: boolean): Blob {
    const earlier = this.registry.get(spec.name);
    if (earlier !== undefined) checkSame(earlier, spec, this.builder.job);
    this.#folders.add(spec.name);
    this.builder.claim(spec.name, "getVariable");
    const blob = this.builder.input("variable", { name: spec.name, dtype: spec.dtype, shape: spec.shape });
    this.all.set(spec.name, { spec: earlier ?? spec, blob, trainable });
    return blob;
  }
}

function checkSame(earlier: VariableSpec, later: VariableSpec, job: string): void {
  for (const key of ["shape", "dtype", "initializer", "regularizer", "randomSeed", "fileName"] as const) {
    const [a, b] = [JSON.stringify(earlier[key] ?? null), JSON.stringify(later[key] ?? null)];
    if (a === b) continue;
    throw new FlowError(
      "E_VARIABLE",
      `getVariable: '${later.name}' has ${key} ${b} in job '${job}' (${later.site}), but ${a} where it was made first (${earlier.site}); jobs share variables by name, so make them equal or use another name`,
    );
  }
}

const active: { variables: JobVariables | undefined } = { variables: undefined };

/** Runs `fn` while getVariable makes its variables in `variables`. */
export function withVariables<T>(variables: JobVariables, fn: () => T): T {
  const outer = active.variables;
  active.variables = variables;
  try {
    return fn();
  } finally {
    active.variables = outer;
  }
}

/** Options of `getVariable`. */
export interface VariableOptions {
  /** Required where the name is new in this job. */
  readonly shape?: Shape;
  /** Default float32, or the function config's `defaultDataType`. */
  readonly dtype?: DType;
  /** Required where the name is new in this job and its function config has no `defaultInitializerConf`. */
  readonly initializer?: Initializer;
  /** A penalty that trains with the loss; default none. */
  readonly regularizer?: Regularizer;
  /** Whether optimizers of train jobs update it; default true. */
  readonly trainable?: boolean;
  /** Accepted as documented; without effect. */
  readonly modelName?: string;
  /** Seed of the initial value; by default it comes from the session's seed and the name. */
  readonly randomSeed?: number;
  /** Accepted as documented; on one device it changes nothing. */
  readonly distribute?: unknown;
  /** False demands that the name is new in this job; default true. */
  readonly reuse?: boolean;
  /** File that holds the elements in a checkpoint, in the directory of the variable's name; default `out`. */
  readonly fileName?: string;
}

const known = [
  "shape",
  "dtype",
  "initializer",
  "regularizer",
  "trainable",
  "modelName",
  "randomSeed",
  "distribute",
  "reuse",
  "fileName",
] as const;

/**
 * The variable of this name (inside the open namespaces), made where the job has none yet. Again in the same job it
 * returns the same blob: a given shape or dtype must agree, other settings are ignored, as documented. Another job
 * shares it by name and must give equal settings (`trainable` may differ).
 * @flow get_variable
 * @example
 * ```ts job
 * const w = flow.getVariable("w", { shape: [2], initializer: flow.constantInitializer(3) });
 * w.add(1); // -> [4, 4]
 * console.log(flow.getVariable("w") === w); // -> true
 * ```
 */
export function getVariable(name: string, options: VariableOptions = {}): Blob {
  const builder = currentBuilder("getVariable");
  const variables = active.variables;
  if (variables === undefined || variables.builder !== builder)
    throw new FlowError("E_OUTSIDE_JOB", "getVariable: called outside a job function");
  checkOptions("getVariable", options, known);
  const {
    shape,
    dtype,
    initializer = variables.defaults.initializer,
    regularizer,
    trainable = true,
    randomSeed,
    reuse = true,
    fileName = "out",
  } = options;
  if (typeof name !== "string")
    throw new FlowError("E_NAME", `getVariable: the name is ${textOfValue(name)}, expected a string`);
  const full = builder.qualify(name);
  const where = `getVariable('${full}')`;
  const existing = variables.all.get(full);
  if (existing !== undefined) {
    const { spec, blob } = existing;
    if (!reuse)
      throw new FlowError(
        "E_DUPLICATE",
        `${where}: this job already has the variable (made at ${spec.site}) and reuse is false; use another name, and give each layer its own { name }`,
      );
    if ((shape !== undefined && !sameShape(shape, spec.shape)) || (dtype !== undefined && dtype !== spec.dtype)) {
      throw new FlowError(
        "E_VARIABLE",
        `${where}: got ${typeText(dtype ?? spec.dtype, shape ?? spec.shape)}, but it is ${typeText(spec.dtype, spec.shape)} where it was made (${spec.site})`,
      );
    }
    return blob;
  }
  if (shape === undefined)
    throw new FlowError(
      "E_VARIABLE",
      `${where}: shape is missing; the job has no variable of that name yet, pass { shape }`,
    );
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every((d) => Number.isInteger(d) && d > 0)) {
    throw new FlowError(
      "E_SHAPE",
      `${where}: shape is ${plainText(shape)}, expected an array of at least one positive integer`,
    );
  }
  if (dtype !== undefined && !dtypeNames.includes(dtype))
    throw new FlowError("E_DTYPE", `${where}: dtype is ${plainText(dtype)}, expected one of ${dtypeNames.join(", ")}`);
  if (dtype === "bool") throw new FlowError("E_DTYPE", `${where}: variables cannot be bool; use int8 or uint8`);
  if (initializer === undefined)
    throw new FlowError("E_VARIABLE", `${where}: initializer is missing; pass one, such as flow.zerosInitializer()`);
  if (randomSeed !== undefined && !Number.isSafeInteger(randomSeed))
    throw new FlowError("E_ARGUMENT", `${where}: randomSeed is ${plainText(randomSeed)}, expected an integer`);
  if (typeof fileName !== "string")
    throw new FlowError("E_NAME", `${where}: fileName is ${textOfValue(fileName)}, expected a string`);
  checkName(full);
  checkFileName(fileName);
  const stored = dtype ?? variables.defaults.dtype ?? "float32";
  checkInitializer(where, initializer, stored, shape);
  return variables.create(
    {
      name: full,
      shape: Object.freeze([...shape]),
      dtype: stored,
      initializer,
      regularizer,
      randomSeed,
      fileName,
      site: callSite(),
    },
    trainable,
  );
}
