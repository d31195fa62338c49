import { checkOptions, FlowError, nearest, plainText, textOfValue } from "../core/errors.js";
import { sameShape } from "../core/shape.js";
import { Blob, type BlobType } from "../graph/blob.js";
import type { Attrs } from "../graph/graph.js";
import { currentBuilder, emitAll, textOf } from "../graph/trace.js";
import { customOps } from "./custom-ops.js";
import { decomposable, type GradRule, type Named } from "./define.js";
import { findOp } from "./index.js";

/** One blob, or one of each output. */
type Outputs = Blob | readonly Blob[];
type TypesOf<O extends Outputs> = O extends Blob ? BlobType : readonly BlobType[];

/** The meaning of an op of one's own. */
export interface CustomOp<A extends Attrs, O extends Outputs> {
  /** dtype and shape of the output, or of each output, from those of the inputs. */
  readonly infer: (inputs: readonly Blob[], attrs: A) => TypesOf<O>;
  /** The op by ops that exist. */
  readonly lower: (inputs: readonly Blob[], attrs: A) => O;
  /**
   * One cotangent for each input, null where there is none; "stop" where nothing flows. Where it is left out, `lower` is
   * differentiated.
   */
  readonly grad?: GradRule<A> | "stop";
}

/** An op of one's own, as jobs call it. */
export type CustomFunction<A extends Attrs, O extends Outputs> = (
  inputs: readonly Blob[],
  attrs?: A,
  options?: Named,
) => O;

/**
 * Adds an op: a shape rule, the op by ops that exist, and its gradient. The result is the function that jobs call;
 * attributes are plain data (numbers, strings, booleans, arrays of them). E_DUPLICATE where the name is taken.
 * @example
 * ```ts
 * const cube = flow.registerOp("cube", {
 *   infer: ([x]) => ({ dtype: x!.dtype, shape: x!.shape }),
 *   lower: ([x]) => x!.mul(x!).mul(x!),
 *   grad: ({ inputs: [x], dy }) => [dy.mul(x!.mul(x!)).mul(3)],
 * });
 * const job = flow.globalFunction({ name: "cubes" }, [tp.Numpy.Placeholder([2])], (x) => {
 *   const y = cube([x]);
 *   return [y, flow.gradients(y, [x])[0]!];
 * });
 * await job([1, 2]); // -> [[1, 8], [3, 12]]
 * ```
 */
export function registerOp<A extends Attrs = Readonly<Record<never, never>>, O extends Outputs = Blob>(
  name: string,
  rules: CustomOp<A, O>,
): CustomFunction<A, O> {
  const where = `registerOp '${name}'`;
  if (typeof name !== "string" || !/^[A-Za-z]\w*$/.test(name))
    throw new FlowError(
      "E_NAME",
      `registerOp: the name ${plainText(name)} must be a letter, then letters, digits and _`,
    );
  if (findOp(name) !== undefined)
    throw new FlowError("E_DUPLICATE", `${where}: an op of this name exists; choose another`);
  checkOptions(where, rules, ["infer", "lower", "grad"]);
  for (const rule of ["infer", "lower"] as const)
    if (typeof rules[rule] !== "function")
      throw new FlowError("E_ARGUMENT", `${where}: ${rule} is ${textOfValue(rules[rule])}, expected a function`);
  const { infer, lower, grad } = rules;
  const op = decomposable(name, {
    infer: infer as (inputs: readonly Blob[], attrs: A) => BlobType | readonly BlobType[],
    ...(grad === undefined ? {} : { grad }),
    decompose: (inputs, attrs: A) => {
      const outputs = [lower(inputs, attrs)].flat() as readonly Blob[];
      const types = [infer(inputs, attrs)].flat() as readonly BlobType[];
      if (
        outputs.length !== types.length ||
        !outputs.every(
          (output, i) =>
            output instanceof Blob && output.dtype === types[i]!.dtype && sameShape(output.shape, types[i]!.shape),
        )
      )
        throw new FlowError(
          "E_SHAPE",
          `${where}: lower gave ${outputs.map((output) => (output instanceof Blob ? textOf(output) : typeof output)).join(", ")}, infer says ${types.map(textOf).join(", ")}; make them agree`,
        );
      return outputs;
    },
  });
  customOps.set(name, op as never);
  return (inputs, attrs, { name: opName } = {}) => {
    const given = attrs ?? ({} as A);
    checkAttrs(name, given);
    const types = infer(inputs, given);
    const outputs = emitAll(op, inputs, given, opName);
    return (Array.isArray(types) ? outputs : outputs[0]!) as O;
  };
}

function checkAttrs(op: string, attrs: Attrs): void {
  const plain = (value: unknown): boolean => ["number", "string", "boolean"].includes(typeof value);
  for (const [key, value] of Object.entries(attrs))
    if (!plain(value) && !(Array.isArray(value) && value.every(plain)))
      throw new FlowError(
        "E_ARGUMENT",
        `${op}: attribute ${key} is ${textOfValue(value)}, expected a number, a string, a boolean, or an array of them`,
      );
}

/** Builds a call of a registered op by the documented chain; method names are spelt as documented. */
export interface UserOpBuilder {
  /** The op's name, as `registerOp` has it. */
  Op(type: string): UserOpBuilder;
  /** Inputs; several calls add up in their order. */
  Input(key: string, blobs: readonly Blob[]): UserOpBuilder;
  /** Taken as documented; the op's `infer` says how many outputs there are. */
  Output(key: string, count?: number): UserOpBuilder;
  /** An attribute. */
  Attr(key: string, value: Attrs[string]): UserOpBuilder;
  /** Ends the description. */
  Build(): UserOpBuilder;
  /** Adds the op to the job. */
  InferAndTryRun(): UserOpCall;
}

/** A call of an op of one's own. */
export interface UserOpCall {
  /** All outputs. */
  RemoteBlobList(): readonly Blob[];
  /** The one output; an error where there are several. */
  SoleOutputBlob(): Blob;
}

/** Starts the documented chain that calls an op of one's own: `.Op("myrelu").Input("in", [x]).Output("out").Build()...`.  @flow user_op_builder */
export function userOpBuilder(name: string): UserOpBuilder {
  currentBuilder("userOpBuilder");
  let type: string | undefined;
  const inputs: Blob[] = [];
  const attrs: Record<string, Attrs[string]> = {};
  const builder: UserOpBuilder = {
    Op(value) {
      type = value;
      return builder;
    },
    Input(_, blobs) {
      inputs.push(...blobs);
      return builder;
    },
    Output: () => builder,
    Attr(key, value) {
      attrs[key] = value;
      return builder;
    },
    Build: () => builder,
    InferAndTryRun() {
      const op = type === undefined ? undefined : customOps.get(type);
      if (op === undefined) {
        const near = nearest(type ?? "", customOps.keys());
        throw new FlowError(
          "E_ARGUMENT",
          `userOpBuilder '${name}': ${type === undefined ? "Op was not called" : `no op '${type}' was registered`}; ${near === undefined ? "add it with flow.registerOp" : `did you mean '${near}'?`}`,
        );
      }
      checkAttrs(op.name, attrs);
      const outputs = emitAll(op, inputs, attrs, name);
      return {
        RemoteBlobList: () => outputs,
        SoleOutputBlob() {
          if (outputs.length !== 1)
            throw new FlowError(
              "E_ARGUMENT",
              `userOpBuilder '${name}': ${op.name} has ${outputs.length} outputs; use RemoteBlobList()`,
            );
          return outputs[0]!;
        },
      };
    },
  };
  return builder;
}
