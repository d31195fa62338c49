import { bug, FlowError, textOfValue } from "../core/errors.js";
import { typeText } from "../core/shape.js";
import { Blob, type BlobType, type Operators } from "./blob.js";
import { type AxisRule, carryExtent } from "./extent.js";
import type { Attrs, Check, Graph, InputAttrs, Node } from "./graph.js";

/** What `emit` needs of an op: its name and its shape rule. */
export interface Shaped<A extends Attrs> {
  readonly name: string;
  readonly infer: (inputs: readonly Blob[], attrs: A) => BlobType | readonly BlobType[];
  readonly axisOf?: AxisRule<A>;
}

/** What is known of the job being traced. */
export interface TraceContext {
  readonly job: string;
  /** True in train jobs: what dropout and batch normalization ask. */
  readonly training: boolean;
  /** Whether gradients compute again what they need of the forward pass, besides the regions that say so. */
  readonly recompute?: boolean;
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
  /** What makes the nodes that are added now, where that is not the user's function: `the gradient of 'dense1-matmul'`. */
  origin: string | undefined;
  /** Tells where the nodes that are added now are placed: `cpu` or `gpu:0`, undefined where nothing was said. */
  device: () => string | undefined = () => undefined;
  /** Tells the region of recomputation that the nodes that are added now are in. */
  region: () => number | undefined = () => undefined;

  constructor(readonly context: TraceContext) {}

  /** A builder that goes on from `graph`, with this one's names taken. */
  fork(graph: Graph): GraphBuilder {
    const copy = new GraphBuilder(this.context);
    copy.adopt(graph);
    for (const name of this.#names) copy.#names.add(name);
    for (const [kind, count] of this.#counts) copy.#counts.set(kind, count);
    return copy;
  }

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
    device = this.device(),
  ): readonly Blob[] {
    for (const type of types) {
      if (type.shape.length === 0) throw bug(`${op} inferred a rank-0 shape`);
    }
    const region = this.region();
    const outputs: Blob[] = [];
    const node: Node = {
      op,
      inputs: Object.freeze([...inputs]),
      attrs: Object.isFrozen(attrs) ? attrs : Object.freeze({ ...attrs }),
      outputs,
      name,
      ...(device === undefined ? {} : { device }),
      ...(region === undefined ? {} : { region }),
    };
    for (const [index, type] of types.entries()) outputs.push(new Blob(node, index, type));
    Object.freeze(outputs);
    if (this.origin !== undefined) origins.set(node, this.origin);
    this.nodes.push(Object.freeze(node));
    return outputs;
  }

  /** A graph input. */
  input(op: "placeholder" | "variable", attrs: InputAttrs): Blob {
    return this.append(op, [], attrs, [{ dtype: attrs.dtype, shape: attrs.shape }], attrs.name)[0]!;
  }

  /**
   * Sets the next value of a variable. A second update continues from the first: where `value` reads the variable, it gets
   * the first update's value.
   */
  update(variable: string, value: Blob): void {
    const earlier = this.updates.get(variable);
    // Only for the second update: to look for each variable would take time that grows with the square of their number.
    const read =
      earlier && this.nodes.find((node) => node.op === "variable" && node.attrs.name === variable)?.outputs[0];
    this.updates.set(variable, earlier === undefined || read === undefined ? value : this.#with(value, read, earlier));
  }

  /** `value` computed again with `replacement` in place of `blob`. */
  #with(value: Blob, blob: Blob, replacement: Blob): Blob {
    const moved = new Map([[blob, replacement]]);
    for (const node of [...this.nodes]) {
      if (!node.inputs.some((input) => moved.has(input))) continue;
      const inputs = node.inputs.map((input) => moved.get(input) ?? input);
      const outputs = this.append(node.op, inputs, node.attrs, node.outputs, undefined, node.device);
      for (const [i, output] of node.outputs.entries()) moved.set(output, outputs[i]!);
    }
    return moved.get(value) ?? value;
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

const origins = new WeakMap<Node, string>();

/** What made a node that the user's function did not name, in words; undefined for the user's own. */
export function originOf(node: Node): string | undefined {
  return origins.get(node);
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
      throw new FlowError("E_ARGUMENT", `${op.name}: input ${i} is ${textOfValue(input)}, expected a Blob`);
    }
  }
  const inferred = op.infer(inputs, attrs);
  let full: string | undefined;
  if (name !== undefined) builder.claim((full = builder.qualify(name)), op.name);
  else if (builder.naming) builder.claim((full = builder.autoName(op.name)), op.name);
  const outputs = builder.append(op.name, inputs, attrs, isTypes(inferred) ? inferred : [inferred], full);
  if (op.axisOf !== undefined) carryExtent(inputs, attrs, outputs[0]!, op.axisOf);
  return outputs;
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
 * Runs `fn` with the names of ops and variables prefixed by `name-`; nested ones add up, and the same name gives the same
 * prefix again. Without `fn` the prefix holds until the result is disposed: `using _ = flow.scope.namespace("tower")`.
 * @flow scope.namespace @flow name_scope @flow experimental.name_scope @flow deprecated.variable_scope
 * @example
 * ```ts job
 * const initializer = flow.zerosInitializer();
 * const v = flow.scope.namespace("block", () => flow.getVariable("v", { shape: [2], initializer }));
 * v.opName; // -> "block-v"
 * v.add(1); // -> [1, 1]
 * ```
 */
export function namespace(name: string): Disposable;
export function namespace<T>(name: string, fn: () => T): T;
export function namespace<T>(name: string, fn?: () => T): T | Disposable {
  const builder = currentBuilder("scope.namespace");
  if (typeof name !== "string" || name === "")
    throw new FlowError(
      "E_NAME",
      `scope.namespace: the name is ${name === "" ? "empty" : textOfValue(name)}, expected a string such as "tower"`,
    );
  return scoped("scope.namespace", builder.namespaces, name, fn);
}

/**
 * Runs `fn` with `entry` on top of `stack`, and takes it off after, also after an exception; without `fn` it is taken off
 * when the result is disposed.
 */
export function scoped<E, T>(where: string, stack: E[], entry: E, fn: (() => T) | undefined): T | Disposable {
  if (fn !== undefined && typeof fn !== "function")
    throw new FlowError(
      "E_ARGUMENT",
      `${where}: the last argument is ${textOfValue(fn)}, expected a function, or nothing and a using declaration`,
    );
  stack.push(entry);
  const depth = stack.length;
  let open = true;
  const leave = (): void => {
    if (!open) return;
    open = false;
    if (stack.length !== depth)
      throw new FlowError("E_ARGUMENT", `${where}: scopes must be left in the reverse order of entering them`);
    stack.pop();
  };
  if (fn === undefined) return { [Symbol.dispose]: leave };
  try {
    return synchronous(where, fn());
  } finally {
    stack.length = depth;
    leave();
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
