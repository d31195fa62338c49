"""Golden values of the integer dtypes by numpy, in the form of ops.json: python test/golden/dtypes.py > test/golden/dtypes.json

Every op that takes integers, in int8, uint8, int32 and int64: signs, wrapping round at the ends of the small ones, places and
casts between all dtypes. numpy 2 keeps the dtype of two equal ones and wraps as C does; its quotient of integers goes down, ours
to 0, hence `trunc`.
"""
import warnings

import numpy as np

from cases import add_numpy as add, write

warnings.simplefilter("ignore")
DTYPES = ["int8", "uint8", "int32", "int64"]


def values(dtype, *numbers):
    """The numbers as dtype has them: -1 is 255 in uint8."""
    return np.array(numbers, dtype=np.int64).astype(dtype)


def trunc(a, b):
    return (np.sign(a.astype(np.int64)) * np.sign(b.astype(np.int64)) * (np.abs(a.astype(np.int64)) // np.abs(b.astype(np.int64)))).astype(a.dtype)


for dtype in DTYPES:
    signed = dtype != "uint8"
    small = dtype in ("int8", "uint8")
    x = values(dtype, 7, -7 if signed else 9, 100, 0, 3, 5).reshape(2, 3)
    y = values(dtype, 2, 2, 90 if small else 1 << 20, 5, -3 if signed else 3, 1).reshape(2, 3)
    row = values(dtype, 1, 2, 4)
    # Two operands; 100 + 90 and 100 * 90 wrap in one byte.
    for op, call in {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "divide": trunc, "mod": np.mod, "floordiv": np.floor_divide}.items():  # fmt: skip
        add(op, [x, y], call(x, y))
        add(op, [x, row], call(x, row))
    add("pow", [values(dtype, 2, 3, 1, 5), values(dtype, 3, 2, 5, 0)], values(dtype, 8, 9, 1, 1))
    add("squaredDifference", [x, row], np.square(x - row))
    for op, call in {"equal": np.equal, "notEqual": np.not_equal, "less": np.less, "lessEqual": np.less_equal, "greater": np.greater, "greaterEqual": np.greater_equal, "logicalAnd": np.logical_and}.items():  # fmt: skip
        tied = np.where(x == 100, y, x)
        add(op, [tied, y], call(tied, y).astype(np.int8))
    add("addN", [x, y, x], x + y + x)
    # One operand.
    for op, call in {"abs": np.abs, "negative": np.negative, "square": np.square, "identity": np.array, "zerosLike": np.zeros_like, "onesLike": np.ones_like}.items():  # fmt: skip
        add(op, [x], call(x))
    add("sign", [x], np.sign(x))
    add("constantLike", [x], np.full_like(x, 3), value=3)
    add("constant", [], np.full((2,), 100, dtype=dtype), value=100, dtype=dtype, shape=[2])
    add("clipByValue", [x], np.clip(x, 2, 7), minValue=2, maxValue=7)
    add("where", [values("int8", 1, 0, 2), x, y], np.where(values("int8", 1, 0, 2) != 0, x, y))
    add("where", [x, y.astype("float32"), np.float32([0.5])], np.where(x != 0, y.astype("float32"), np.float32(0.5)))
    add("maskedFill", [x, values(dtype, 1, 0, 5)], np.where(np.array([True, False, True]), values(dtype, 9), x), value=9)
    # Reductions.
    for axes, keepdims in (([0], False), ([1], True), ([0, 1], False)):
        for op, call in {"reduceSum": np.sum, "reduceProd": np.prod, "reduceMax": np.max, "reduceMin": np.min}.items():
            some = x if op != "reduceProd" else values(dtype, 2, 3, 1, 4, 5, 2).reshape(2, 3)
            wrapped = call(some, axis=tuple(axes), keepdims=keepdims, **({"dtype": dtype} if op in ("reduceSum", "reduceProd") else {}))
            add(op, [some], wrapped.reshape(1) if wrapped.ndim == 0 else wrapped, axis=axes, keepdims=keepdims)
    for op, call in {"reduceAny": np.any, "reduceAll": np.all}.items():
        add(op, [x], call(x != 0, axis=1).astype(np.int8), axis=1)
    # Order; of equals the first.
    tied = values(dtype, 3, 9, 9, 1, 0, 1).reshape(2, 3)
    add("argmax", [tied], np.argmax(tied, axis=-1).astype(np.int32))
    add("topK", [tied], np.argsort(-tied.astype(np.int64), axis=-1, kind="stable")[:, :2].astype(np.int32), k=2)
    # Shapes and parts.
    add("reshape", [x], x.reshape(3, 2), shape=[3, 2])
    add("transpose", [x], x.T, perm=[1, 0])
    add("expandDims", [x], x[:, None], axis=1)
    add("squeeze", [x[:, None]], x)
    add("broadcastTo", [row], np.broadcast_to(row, (2, 3)), shape=[2, 3])
    add("broadcastLike", [row, x], np.broadcast_to(row, (2, 3)))
    add("tile", [row], np.tile(row, 2), reps=[2])
    add("concat", [x, y], np.concatenate([x, y], 1), axis=1)
    add("stack", [x, y], np.stack([x, y], 1), at=1)
    add("slice", [x], x[1:, 1:], begin=[1, 1], size=[-1, 2])
    add("sliceV2", [x], x[::-1, ::2], ranges=[[None, None, -1], [None, None, 2]])
    add("reverse", [x], x[:, ::-1], at=[1])
    add("pad", [x], np.pad(x, [[1, 0], [0, 2]], constant_values=7), paddings=[[1, 0], [0, 2]], constantValue=7)
    add("padGrad", [x], x[:, 1:2], paddings=[[0, 0], [1, 1]])
    add("tril", [x], np.tril(x))
    add("biasAdd", [x, row], x + row)
    # Places: data of this dtype by int32 and int64, and this dtype as indices.
    for index in ("int32", "int64"):
        ids = values(index, 1, 0)
        add("gather", [x, ids], x[ids])
        add("unsortedSegmentSum", [x, ids], np.stack([x[1], x[0], 0 * x[0]]), numSegments=3)
        add("unsortedSegmentSumLike", [x, ids, x], np.stack([x[1], x[0]]))
        add("unsortedBatchSegmentSum", [x, values(index, 0, 0, 1, 1, 1, 1).reshape(2, 3)], np.stack([[x[0, 0] + x[0, 1], x[0, 2]], [0 * x[1, 0], x[1].sum(dtype=dtype)]]).astype(dtype), numSegments=2)
    if dtype != "uint8":
        places = values(dtype, 2, 0)
        add("gather", [np.float32([0.5, 1.5, 2.5]), places], np.float32([2.5, 0.5]))
        add("oneHot", [places], np.eye(3, dtype=np.float32)[[2, 0]], depth=3)
    add("oneHot", [values("int32", 1)], values(dtype, 5, 9).reshape(1, 2), depth=2, onValue=9, offValue=5, dtype=dtype)
    # Losses whose labels are integers.
    logits = np.float32([[0.5, -1.0, 2.0]])
    add("sigmoidCrossEntropyWithLogits", [values(dtype, 1, 0, 1).reshape(1, 3), logits], np.float32(np.log1p(np.exp(-np.abs(logits.astype(float)))) + np.maximum(logits, 0) - logits * [[1, 0, 1]]))
    # Casts: numbers that every dtype involved holds, numbers beyond one byte, fractions, and truth.
    for target in [*DTYPES, "float32", "float64"]:
        add("cast", [values(dtype, 0, 1, 100, -3 if signed else 200)], values(dtype, 0, 1, 100, -3 if signed else 200).astype(target), dtype=target)
    if not small:
        for target in ("int8", "uint8"):
            add("cast", [values(dtype, 300, -129, 255)], values(dtype, 300, -129, 255).astype(target), dtype=target)
    for source in ("float32", "float64"):
        fractions = np.array([2.75, 0.25, 100.5, -2.75 if signed else 3.5], dtype=source)
        add("cast", [fractions], np.trunc(fractions).astype(dtype), dtype=dtype)

write()
