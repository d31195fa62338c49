import type { DType } from "../core/dtype.js";
import { FlowError } from "../core/errors.js";
import { type Shape, typeText } from "../core/shape.js";
import type { Node } from "./graph.js";
import { currentBuilder } from "./trace.js";

/** What is known of a value before any job runs. */
export interface BlobType {
  /** Element type. */
  readonly dtype: DType;
  /** Length of each axis. */
  readonly shape: Shape;
}

/** A blob or a number that stands for a constant of the other operand's dtype. */
export type Operand = Blob | number;

/** The functions behind the methods of Blob; `ops/operators` supplies them to each trace. */
export interface Operators {
  add(x: Operand, y: Operand): Blob;
  subtract(x: Operand, y: Operand): Blob;
  multiply(x: Operand, y: Operand): Blob;
  divide(x: Operand, y: Operand): Blob;
  negative(x: Blob): Blob;
  equal(x: Operand, y: Operand): Blob;
  notEqual(x: Operand, y: Operand): Blob;
  less(x: Operand, y: Operand): Blob;
  lessEqual(x: Operand, y: Operand): Blob;
  greater(x: Operand, y: Operand): Blob;
  greaterEqual(x: Operand, y: Operand): Blob;
}

/** A value inside a job: dtype and shape are known, the data exists only when an engine runs the graph. */
export class Blob implements BlobType {
  /** Element type. */
  readonly dtype: DType;
  /** Length of each axis: numbers, never empty. */
  readonly shape: Shape;
  /** @internal */
  constructor(
    /** @internal */
    readonly node: Node,
    /**
     * Which output of the node.
     * @internal
     */
    readonly index: number,
    type: BlobType,
  ) {
    this.dtype = type.dtype;
    this.shape = Object.freeze([...type.shape]);
    Object.freeze(this);
  }

  /** Name of the op that makes it, or its op kind where gradients or passes made it. */
  get opName(): string {
    return this.node.name ?? this.node.op;
  }

  /** `<op name>/out`, the documented logical name. */
  get logicalBlobName(): string {
    return `${this.opName}/out${this.index === 0 ? "" : `_${this.index}`}`;
  }

  /** `x + y`; numpy broadcasting, equal dtypes. */
  add(y: Operand): Blob {
    return operators().add(this, y);
  }
  /** `x - y`. */
  sub(y: Operand): Blob {
    return operators().subtract(this, y);
  }
  /** `x * y`. */
  mul(y: Operand): Blob {
    return operators().multiply(this, y);
  }
  /** `x / y`. */
  div(y: Operand): Blob {
    return operators().divide(this, y);
  }
  /** `-x`. */
  neg(): Blob {
    return operators().negative(this);
  }
  /** `x == y`, int8 0 or 1. */
  equal(y: Operand): Blob {
    return operators().equal(this, y);
  }
  /** `x != y`, int8 0 or 1. */
  notEqual(y: Operand): Blob {
    return operators().notEqual(this, y);
  }
  /** `x < y`, int8 0 or 1. */
  less(y: Operand): Blob {
    return operators().less(this, y);
  }
  /** `x <= y`, int8 0 or 1. */
  lessEqual(y: Operand): Blob {
    return operators().lessEqual(this, y);
  }
  /** `x > y`, int8 0 or 1. */
  greater(y: Operand): Blob {
    return operators().greater(this, y);
  }
  /** `x >= y`, int8 0 or 1. */
  greaterEqual(y: Operand): Blob {
    return operators().greaterEqual(this, y);
  }

  /** A blob has no value while its job is traced, so `if (blob > 0)` and arithmetic with `+` are errors. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return `${this.opName}:${typeText(this.dtype, this.shape)}`;
    throw new FlowError(
      "E_ARGUMENT",
      `blob '${this.opName}': a ${typeText(this.dtype, this.shape)} has no value while the job is traced; use its methods (x.add(y), x.less(y)) or flow.math instead of operators`,
    );
  }
}

function operators(): Operators {
  return currentBuilder("a Blob method").operators;
}
