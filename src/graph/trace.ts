import { bug, FlowError } from "../core/errors.js";
import { typeText } from "../core/shape.js";
import { Blob, type BlobType, type Operators } from "./blob.js";
import type { Attrs, Check, Graph, InputAttrs, Node } from "./graph.js";

/** What `emit` needs of an op: its name and its shape rule. */
export interface Shaped<A extends Attrs> {
  readonly name: string;
  readonly infer: (inputs: readonly Blob[], attrs: A) => BlobType | readonly BlobType[];
}

/** What is known of the job being traced. */
export interface TraceContext {
  readonly job: string;
  /** True in train jobs: what dropout and batch normalization ask. */
  readonly training: boolean;
  readonly operators: Operators;
}

/** A graph under construction: `emit` appends to the current one. */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly outputs: Blob[] = [];
  readonly updates = new Map<string, Blob>();
  readonly checks: Check[] = [];
  readonly #names = new Set<string>();
  readonly #counts = new Map<string, number>();
  /** Namespaces that are open, outermost first; names made inside are prefixed `a-b-`. */
  readonly namespaces: string[] = [];
  /** Whether new nodes get automatic names: in the user's function, not in gradients and passes. */
  naming = false;

  constructor(readonly context: TraceContext) {}

  get job(): string {
    return this.context.job;
  }
  get training(): boolean {
    return this.context.training;
  }
  get operators(): Operators {
    return this.context.operators;
  }

  /** `name` inside the open namespaces. */
  qualify(name: string): string {
    return [...this.namespaces, name].join("-");
  }

  /** Reserves `name` among the ops of this job. */
  claim(name: string, where: string): void {
    if (this.#names.has(name)) {
      throw new FlowError(
        "E_DUPLICATE",
        `${where}: an op named '${name}' already exists in job '${this.job}'; give each op its own name`,
      );
    }
    this.#names.add(name);
  }

  /** The next automatic name of a kind, counted per job: `relu_0`, `relu_1`. */
  autoName(kind: string): string {
    for (;;) {
      const n = this.#counts.get(kind) ?? 0;
      this.#counts.set(kind, n + 1);
      const name = this.qualify(`${kind}_${n}`);
      if (!this.#names.has(name)) return name;
    }
  }

  /** Appends a node and returns its outputs. */
  append(
    op: string,
    inputs: readonly Blob[],
    attrs: Attrs,
    types: readonly BlobType[],
    name: string | undefined,
  ): readonly Blob[] {
    for (const type of types) {
      if (type.shape.length === 0) throw bug(`${op} inferred a rank-0 shape`);
      if (type.dtype === "float16") {
        throw new FlowError("E_UNSUPPORTED", `${name ?? op}: float16 is not supported in jobs yet; use float32`);
      }
    }
    const outputs: Blob[] = [];
    const node: Node = { op, inputs: Object.freeze([...inputs]), attrs: Object.freeze({ ...attrs }), outputs, name };
    for (const [index, type] of types.entries()) outputs.push(new Blob(node, index, type));
    Object.freeze(outputs);
    this.nodes.push(Object.freeze(node));
    return outputs;
  }

  /** A graph input. */
  input(op: "placeholder" | "variable", attrs: InputAttrs): Blob {
    return this.append(op, [], attrs, [{ dtype: attrs.dtype, shape: attrs.shape }], attrs.name)[0]!;
  }

  /** Sets the next value of a variable. */
  update(variable: string, value: Blob): void {
    this.updates.set(variable, value);
  }

  /** Takes over a rewritten form of this graph. */
  adopt({ nodes, outputs, updates, checks }: Graph): void {
    this.nodes.splice(0, this.nodes.length, ...nodes);
    this.outputs.splice(0, this.outputs.length, ...outputs);
    this.checks.splice(0, this.checks.length, ...checks);
    for (const [variable, value] of updates) this.updates.set(variable, value);
  }

  finish(): Graph {
    return { nodes: this.nodes, outputs: this.outputs, updates: this.updates, checks: this.checks };
  }
}

let current: GraphBuilder | undefined;

/** Runs `fn` while `builder` receives what is emitted; restored after exceptions. */
export function building<T>(builder: GraphBuilder, fn: () => T): T {
  const outer = current;
  current = builder;
  try {
    return fn();
  } finally {
    current = outer;
  }
}

/** The builder in use, or undefined outside jobs. */
export function activeBuilder(): GraphBuilder | undefined {
  return current;
}

/** The builder in use; E_OUTSIDE_JOB outside a job. `what` begins the message. */
export function currentBuilder(what: string): GraphBuilder {
  if (current === undefined) {
    throw new FlowError(
      "E_OUTSIDE_JOB",
      `${what}: called outside a job function; models are built inside the function given to flow.globalFunction, which runs once, at the first job or CheckPoint call`,
    );
  }
  return current;
}

/** Appends a multi-output op to the current graph. */
export function emitAll<A extends Attrs>(
  op: Shaped<A>,
  inputs: readonly Blob[],
  attrs: A,
  name?: string,
): readonly Blob[] {
  const builder = currentBuilder(op.name);
  for (const [i, input] of inputs.entries()) {
    if (!(input instanceof Blob)) {
      throw new FlowError(
        "E_ARGUMENT",
        `${op.name}: input ${i} is ${input === null ? "null" : typeof input}, expected a Blob`,
      );
    }
  }
  const inferred = op.infer(inputs, attrs);
  let full: string | undefined;
  if (name !== undefined) builder.claim((full = builder.qualify(name)), op.name);
  else if (builder.naming) builder.claim((full = builder.autoName(op.name)), op.name);
  return builder.append(op.name, inputs, attrs, isTypes(inferred) ? inferred : [inferred], full);
}

/** Appends a one-output op to the current graph. */
export function emit<A extends Attrs>(op: Shaped<A>, inputs: readonly Blob[], attrs: A, name?: string): Blob {
  return emitAll(op, inputs, attrs, name)[0]!;
}

function isTypes(types: BlobType | readonly BlobType[]): types is readonly BlobType[] {
  return Array.isArray(types);
}

/** Adds a hidden check to the current graph. */
export function emitCheck(check: Check): void {
  currentBuilder("a check").checks.push(check);
}

/**
 * Runs `fn` with the names of ops and variables made in it prefixed by `name-`; nested ones add up.
 * @flow scope.namespace
 * @example
 * ```ts job
 * const initializer = flow.zerosInitializer();
 * const v = flow.scope.namespace("block", () => flow.getVariable("v", { shape: [2], initializer }));
 * v.opName; // -> "block-v"
 * v.add(1); // -> [1, 1]
 * ```
 */
export function namespace<T>(name: string, fn: () => T): T {
  const builder = currentBuilder("scope.namespace");
  builder.namespaces.push(name);
  try {
    return synchronous("scope.namespace", fn());
  } finally {
    builder.namespaces.pop();
  }
}

/** Returns `value`; an error where it is a promise, since tracing is synchronous. */
export function synchronous<T>(where: string, value: T): T {
  if (typeof (value as { then?: unknown } | null | undefined)?.then === "function") {
    (value as Promise<unknown>).then(undefined, () => undefined);
    throw new FlowError(
      "E_ASYNC_JOB",
      `${where}: the function returned a promise; tracing is synchronous, so it must not be async`,
    );
  }
  return value;
}

/** `float32[2,3]` of a blob. */
export function textOf(blob: BlobType): string {
  return typeText(blob.dtype, blob.shape);
}
