import type { DType } from "../core/dtype.js";
import {
  type Form,
  makePlaceholder,
  type OpenShape,
  type Placeholder,
  type PlaceholderOptions,
} from "./placeholder.js";

interface Def<F extends Form> {
  new <const D extends DType = "float32">(shape: OpenShape, options?: PlaceholderOptions<D>): Placeholder<D, F>;
}

/** A class whose objects are placeholders. */
const definition = <F extends Form>(name: string, form: F): Def<F> =>
  class {
    constructor(shape: readonly (number | null)[], options: PlaceholderOptions = {}) {
      Object.assign(this, makePlaceholder(name, form, shape, options));
      Object.freeze(this);
    }
  } as unknown as Def<F>;

/** The older form of `tp.Numpy.Placeholder`: `new flow.FixedTensorDef([100], { dtype: flow.int32 })`.  @flow FixedTensorDef */
export const FixedTensorDef = definition("FixedTensorDef", "Numpy");

/** The older form of `tp.ListNumpy.Placeholder`.  @flow MirroredTensorDef */
export const MirroredTensorDef = definition("MirroredTensorDef", "ListNumpy");

/** The older form of `tp.ListListNumpy.Placeholder`.  @flow MirroredTensorListDef */
export const MirroredTensorListDef = definition("MirroredTensorListDef", "ListListNumpy");
