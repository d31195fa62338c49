"""Golden values of single ops: python test/golden/ops.py > test/golden/ops.json

PyTorch in float64, except argmax, whose ties PyTorch leaves open (numpy takes the lowest index), assignments that meet (numpy keeps the
last) and unique values (numpy). Inputs and cotangents
are exact in float32 (but for the float64 input of one cast), so the numbers hold for float32 engines within their
rounding. Ops have the library's names; a full reduction has the shape [1]; `grads` is null where there is no gradient.
"""
import json
import math
import sys

import numpy as np
import torch

torch.set_num_threads(2)
TYPES = {"float32": torch.float32, "float64": torch.float64, "int32": torch.int32, "int8": torch.int8, "int64": torch.int64, "uint8": torch.uint8}
rng = np.random.default_rng(20200214)
cases = []


def floats(*shape, low=-2.0, high=2.0):
    """Distinct multiples of 1/64, none of them 0."""
    pool = np.arange(int(low * 64), int(high * 64) + 1)
    return torch.tensor(rng.choice(pool[pool != 0], size=shape, replace=False) / 64)


def ints(values):
    return torch.tensor(values, dtype=torch.int32)


def record(t):
    dtype = next(name for name, type in TYPES.items() if t.dtype == type)
    data = [v + 0 if math.isfinite(v) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(v)] for v in t.detach().reshape(-1).tolist()]
    return {"dtype": dtype, "shape": list(t.shape) or [1], "data": data}


def add(op, inputs, call, gradients=True, **attrs):
    inputs = [v.clone().requires_grad_(v.is_floating_point() and gradients) for v in inputs]
    assert all(v.numel() < 40 for v in inputs), op
    y = call(*inputs)
    case = {"op": op, "inputs": [record(v) for v in inputs], "attrs": attrs, "output": record(y), "cotangent": None, "grads": [None] * len(inputs)}
    if y.requires_grad:
        cotangent = torch.tensor(rng.integers(1, 17, size=tuple(y.shape)) * rng.choice([-1, 1], size=tuple(y.shape)) / 8, dtype=y.dtype)
        y.backward(cotangent)
        case["cotangent"] = record(cotangent)
        case["grads"] = [None if v.grad is None else record(v.grad) for v in inputs]
    cases.append(case)


# Two operands; shapes broadcast both ways.
SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), (1,)), ((1,), (2, 3)), ((2, 1), (1, 3))]
for op, call in {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div, "maximum": torch.maximum, "minimum": torch.minimum}.items():
    for a, b in SHAPES:
        while True:  # without ties: PyTorch splits the gradient there
            x, y = floats(*a), floats(*b)
            if not (x == y).any():
                break
        add(op, [x, y], call)
    if op in ("maximum", "minimum"):
        add(op, [torch.tensor([1.0, -2.0, 0.0, 3.0]).double(), torch.tensor([1.0, -2.0, 0.5, 3.0]).double()], call, gradients=False)

# One operand; the kinks of abs and relu have slope 0.
with_zero = torch.tensor([[-1.5, 0.0, 0.25], [2.0, -0.015625, 1.0]]).double()
for op, call, x in [
    ("exp", torch.exp, floats(2, 3)),
    ("exp", torch.exp, torch.tensor([-80.0, -10.0, 0.0, 10.0, 80.0]).double()),
    ("log", torch.log, floats(2, 3, low=0.0, high=8.0)),
    ("log", torch.log, torch.tensor([2.0**-100, 2.0**-20, 1.0, 2.0**100]).double()),
    ("sqrt", torch.sqrt, floats(2, 3, low=0.0, high=8.0)),
    ("negative", torch.neg, floats(2, 3)),
    ("abs", torch.abs, with_zero),
    ("relu", torch.relu, with_zero),
    ("square", torch.square, floats(2, 3)),
]:
    add(op, [x], call)

# Matrix products.
for batch in ((), (2,)):
    for ta in (False, True):
        for tb in (False, True):
            a, b = floats(*batch, *((3, 2) if ta else (2, 3))), floats(*batch, *((4, 3) if tb else (3, 4)))
            add("matmul", [a, b], lambda a, b: (a.mT if ta else a) @ (b.mT if tb else b), transposeA=ta, transposeB=tb)
add("biasAdd", [floats(2, 3), floats(3)], lambda x, b: x + b)
add("biasAdd", [floats(2, 3, 2, 2), floats(3)], lambda x, b: x + b[:, None, None])

# Softmax and its losses; labels come first.
extreme = torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0], [1000.0, 999.0, 1000.0]]).double()
for op, call in {"softmax": torch.softmax, "logSoftmax": torch.log_softmax}.items():
    add(op, [floats(2, 4)], lambda x: call(x, -1), axis=-1)
    add(op, [floats(2, 3, 2)], lambda x: call(x, 1), axis=1)
    add(op, [extreme], lambda x: call(x, -1), axis=-1)
for labels, logits in [([2, 0, 1], floats(3, 4)), ([0, 1, 2], extreme), ([2, 0, 1], extreme), ([[1, 0], [3, 2]], floats(2, 2, 4))]:
    labels = ints(labels)
    add("sparseSoftmaxCrossEntropyWithLogits", [labels, logits], lambda y, x: torch.nn.functional.cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1).long(), reduction="none").reshape(y.shape))

# Reductions; equal maxima share the gradient equally.
REDUCE = {"reduceSum": torch.sum, "reduceMean": torch.mean, "reduceMax": torch.amax, "reduceMin": torch.amin}
for op, call in REDUCE.items():
    for axes, keepdims in [([0, 1, 2], False), ([0, 1, 2], True), ([1], False), ([0, 2], True)]:
        add(op, [floats(2, 3, 2)], lambda x: call(x, dim=axes, keepdim=keepdims).reshape([1] if len(axes) == 3 and not keepdims else call(x, dim=axes, keepdim=keepdims).shape), axis=axes, keepdims=keepdims)
    if op in ("reduceMax", "reduceMin"):
        add(op, [torch.tensor([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0]]).double()], lambda x: call(x, dim=[1], keepdim=False), axis=[1], keepdims=False)
for values in ([[1.0, 3.0, 3.0], [-2.0, -2.0, -5.0], [0.0, -1.0, 4.0]], [2.0, 2.0, 1.0]):
    add("argmax", [torch.tensor(values).double()], lambda x: torch.tensor(np.atleast_1d(np.argmax(x.numpy(), -1)).astype(np.int32)), gradients=False)

# Structure.
for shape, perm in [((2, 3), [1, 0]), ((2, 3, 2), [2, 0, 1]), ((2, 1, 3, 2), [0, 2, 3, 1])]:
    add("transpose", [floats(*shape)], lambda x: x.permute(perm), perm=perm)
for shape, target in [((2, 3), [3, 2]), ((2, 2, 3), [2, -1]), ((6,), [1, 2, 3])]:
    add("reshape", [floats(*shape)], lambda x: x.reshape(target), shape=target)
for condition, x, y in [([[1, 0, 1], [0, 0, 1]], floats(2, 3), floats(2, 3)), ([[1], [0]], floats(2, 3), floats(3)), ([1, 0, 2], floats(1), floats(2, 3))]:
    add("where", [ints(condition), x, y], lambda c, x, y: torch.where(c != 0, x, y))
fractions = torch.tensor([-2.75, -0.5, 0.0, 0.999, 1.5, 100.25], dtype=torch.float32)
wide = torch.tensor([0.1, -1 / 3, 2.0**-30, 16777217.0], dtype=torch.float64)
for x, dtype in [(fractions, "int32"), (fractions, "int8"), (fractions, "int64"), (fractions, "float64"), (wide, "float32"), (ints([-7, 0, 16777217]), "float32"), (ints([-7, 0, 16777217]), "float64")]:
    add("cast", [x], lambda x: x.to(TYPES[dtype]), dtype=dtype)

# Unary functions: inside their domain with gradients, then zeros, extremes and what is not a number. Inputs are rounded to
# float32, so that both precisions see the same.
F = torch.nn.functional
inf, nan = math.inf, math.nan
odd = torch.tensor([0.0, 1.0, -1.0, 1e-6, -1e-3, 30.0, -30.0, 1e4, inf, -inf, nan], dtype=torch.float32).double()
UNARY = {
    "acos": (torch.acos, -0.95, 0.95), "acosh": (torch.acosh, 1.05, 9), "asin": (torch.asin, -0.95, 0.95), "asinh": (torch.asinh, -9, 9),
    "atan": (torch.atan, -9, 9), "atanh": (torch.atanh, -0.95, 0.95), "ceil": (torch.ceil, -3, 3), "cos": (torch.cos, -4, 4),
    "cosh": (torch.cosh, -4, 4), "erf": (torch.erf, -3, 3), "erfc": (torch.erfc, -3, 9), "exp": (torch.exp, -4, 4), "expm1": (torch.expm1, -3, 3),
    "floor": (torch.floor, -3, 3), "gelu": (F.gelu, -5, 5), "lgamma": (torch.lgamma, -4.9, 30), "log": (torch.log, 0.05, 9), "log1p": (torch.log1p, -0.95, 9),
    "logSigmoid": (F.logsigmoid, -40, 40), "negative": (torch.neg, -2, 2), "reciprocal": (torch.reciprocal, 0.25, 9), "round": (torch.round, -3, 3),
    "rsqrt": (torch.rsqrt, 0.1, 9), "sigmoid": (torch.sigmoid, -9, 9), "sign": (torch.sign, -2, 2), "sin": (torch.sin, -4, 4), "sinh": (torch.sinh, -4, 4),
    "softplus": (lambda x: F.softplus(x, threshold=1000), -40, 40), "sqrt": (torch.sqrt, 0.1, 9), "tan": (torch.tan, -1.4, 1.4), "tanh": (torch.tanh, -4, 4),
}
for op, (call, low, high) in UNARY.items():
    flat = op in ("ceil", "floor", "round", "sign")
    add(op, [torch.tensor(rng.uniform(low, high, size=(3, 4)).astype(np.float32)).double()], call, gradients=not flat)
    domain = odd[odd.abs() < 100] if op in ("cosh", "sinh", "exp", "expm1") else odd
    # Cosine and its like of large numbers, and gelu of minus infinity, are the hardware's choice in float32.
    domain = domain[(domain.abs() < 100) | ~domain.isfinite()] if op in ("sin", "cos", "tan") else domain
    domain = domain[domain != -inf] if op == "gelu" else domain
    # numpy and TensorFlow keep what is not a number.
    domain = domain[~domain.isnan()] if op == "sign" else domain
    add(op, [domain], call, gradients=False)
add("leakyRelu", [floats(3, 4)], lambda x: F.leaky_relu(x, 0.25), alpha=0.25)

# More of two operands.
for op, call, x, y in [
    ("pow", torch.pow, floats(2, 3, low=0, high=4), floats(3)),
    ("pow", torch.pow, torch.tensor([-2.0, -2.0, 0.0, 3.0]).double(), torch.tensor([3.0, -2.0, 2.0, 0.0]).double()),
    ("mod", torch.remainder, floats(2, 3), floats(2, 1)),
    ("atan2", torch.atan2, floats(2, 3), floats(3)),
    ("atan2", torch.atan2, floats(2, 1), floats(2, 3)),
    ("xlogy", torch.special.xlogy, torch.tensor([0.0, 1.5, -2.0]).double(), floats(2, 3, low=0, high=4)),
    ("squaredDifference", lambda a, b: (a - b) ** 2, floats(2, 3), floats(3)),
]:
    add(op, [x, y], call, gradients=not (op == "pow" and x.min() < 0))
points = torch.tensor([0.0, 1.0, -1.0, inf, -inf]).double()
add("atan2", [points.repeat_interleave(5), points.repeat(5)], torch.atan2, gradients=False)
add("floordiv", [torch.tensor([7.0, -7.0, 7.0, -7.0]).double(), torch.tensor([2.0, 2.0, -2.0, -2.0]).double()], lambda a, b: torch.floor_divide(a, b), gradients=False)

# Losses without reduction.
probabilities = torch.softmax(floats(3, 4), -1).float().double()
add("softmaxCrossEntropyWithLogits", [probabilities, floats(3, 4)], lambda y, x: F.cross_entropy(x, y, reduction="none"))
add("softmaxCrossEntropyWithLogits", [F.one_hot(torch.tensor([0, 1, 2]), 3).double(), torch.tensor([[900.0, 0, -900], [-900, -900, -899], [5, 5, 5]]).double()], lambda y, x: F.cross_entropy(x, y, reduction="none"))
add("sparseCrossEntropy", [ints([2, 0, 1]), probabilities], lambda y, p: F.nll_loss(p.log(), y.long(), reduction="none"))
add("sigmoidCrossEntropyWithLogits", [torch.tensor([[0.0, 1.0, 0.25], [1.0, 0.0, 0.5]]).double(), torch.tensor([[-100.0, 100.0, 0.5], [-90.0, 90.0, 0.0]]).double()], lambda z, x: F.binary_cross_entropy_with_logits(x, z, reduction="none"))
for beta in (1.0, 0.25):
    add("smoothL1Loss", [floats(3, 4), floats(3, 4)], lambda p, t: F.smooth_l1_loss(p, t, reduction="none", beta=beta), beta=beta)

# More reductions.
for axes, keepdims in [([0, 1, 2], False), ([1], True), ([0, 2], False)]:
    full = len(axes) == 3 and not keepdims
    shaped = lambda y: y.reshape([1]) if full else y
    x = floats(2, 3, 2)
    more = {
        "reduceVariance": lambda x: x.var(dim=axes, correction=0, keepdim=keepdims),
        "reduceStd": lambda x: x.std(dim=axes, correction=0, keepdim=keepdims),
        "reduceEuclideanNorm": lambda x: torch.linalg.vector_norm(x, dim=axes, keepdim=keepdims),
        "reduceLogsumexp": lambda x: torch.logsumexp(x, dim=axes, keepdim=keepdims),
    }
    for op, call in more.items():
        add(op, [x], lambda x: shaped(call(x)), axis=axes, keepdims=keepdims)
for x in (floats(3, 2), torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 5.0]]).double()):
    add("reduceProd", [x], lambda x: x.prod(dim=0), axis=0)
add("reduceProd", [floats(5)], lambda x: x.prod().reshape(1))
for op, call in (("reduceAny", torch.any), ("reduceAll", torch.all)):
    add(op, [ints([[1, 0], [2, 3], [0, 0]])], lambda x: call(x != 0, dim=1).to(torch.int8), axis=1)

# Parts and places.
add("concat", [floats(2, 1), floats(2, 3), floats(2, 2)], lambda *x: torch.cat(x, 1), axis=1)
add("concat", [floats(1, 3), floats(2, 3)], lambda *x: torch.cat(x, 0))
add("stack", [floats(2, 3), floats(2, 3)], lambda *x: torch.stack(x, 1), at=1)
add("slice", [floats(3, 4)], lambda x: x[1:, 1:3], begin=[1, -3], size=[-1, 2])
for ranges in ([[None, None, 2], [1, None, None]], [[-1, None, None], [0, 4, 3]], [[0, 2, 1]]):
    add("sliceV2", [floats(3, 4)], lambda x: x[tuple(slice(*r) for r in ranges)], ranges=ranges)
add("sliceV2", [floats(3, 4)], lambda x: x.flip(0)[:, [3, 1]], ranges=[[None, None, -1], [3, None, -2]])
add("reverse", [floats(2, 2, 3)], lambda x: x.flip(0, 2), at=[0, 2])
add("pad", [floats(2, 3)], lambda x: F.pad(x, (2, 0, 0, 1), value=1.5), paddings=[[0, 1], [2, 0]], constantValue=1.5)
add("pad", [floats(1, 1, 2)], lambda x: F.pad(x, (1, 1, 3, 0)), paddings=[[0, 0], [3, 0], [1, 1]])
add("tile", [floats(2, 1, 3)], lambda x: x.repeat(2, 3, 1), reps=[2, 3, 1])
for indices, axis in ([[2, 0, 2]], 0), ([[1, 0], [1, 1]], 1), ([0], 2):
    i = torch.tensor(indices)
    add("gather", [floats(3, 2, 2), i.int()], lambda x, i: torch.movedim(torch.movedim(x, axis, 0)[i.long()], tuple(range(i.dim())), tuple(range(axis, axis + i.dim()))), axis=axis)
add("gather", [floats(2, 3, 2), ints([[2, 2, 0, 1], [1, 0, 0, 1]])], lambda x, i: torch.stack([x[b][i[b].long()] for b in range(2)]), batchDims=1)
add("unsortedSegmentSum", [floats(5, 2), ints([1, 0, 1, 3, 7])], lambda x, i: torch.stack([x[i == n].sum(0) for n in range(4)]), numSegments=4)
add("unsortedSegmentSum", [floats(2, 3, 2), ints([1, 0, 1])], lambda x, i: torch.stack([x[:, i == n].sum(1) for n in range(2)], 1), numSegments=2, axis=1)
add("oneHot", [ints([[2, 0], [1, 1]])], lambda i: F.one_hot(i.long(), 3).float(), depth=3)
add("topK", [torch.tensor([[1.0, 5.0, -2.0, 4.0], [0.5, 0.25, 8.0, 9.0]]).double()], lambda x: torch.topk(x, 3).indices.int(), gradients=False, k=3)
for diagonal in (0, 1, -1):
    add("tril", [floats(3, 4)], lambda x: torch.tril(x, diagonal), diagonal=diagonal)
add("maskedFill", [floats(2, 3), ints([[0], [1]])], lambda x, m: torch.masked_fill(x, m != 0, -3.0), value=-3)
add("clipByValue", [torch.tensor([-2.0, -0.375, 0.25, 0.375, 3.0]).double()], lambda x: torch.clamp(x, -0.5, 0.5), minValue=-0.5, maxValue=0.5)

# Order, coordinates and what depends on values; what is behind the count of a result is 0. Drawn apart from the rest.
rest, rng = rng, np.random.default_rng(20200215)
INTEGERS = [torch.int8, torch.uint8, torch.int32, torch.int64]


def integers(*shape, below=9, dtype=torch.int32):
    return torch.tensor(rng.integers(0, below, size=shape)).to(dtype)


def padded(values, size, dim=0):
    """`values` with zeros up to `size` along `dim`."""
    shape = list(values.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([values, torch.zeros(shape, dtype=values.dtype)], dim)


for direction in ("ASCENDING", "DESCENDING"):
    down = direction == "DESCENDING"
    for x in [floats(7), floats(2, 3, 4), torch.tensor([[2.0, 1.0, 2.0, 1.0], [0.0, -3.0, 0.0, 0.0]]).double()] + [integers(2, 6, below=5, dtype=d) for d in INTEGERS]:
        add("sort", [x], lambda x: torch.sort(x, dim=-1, descending=down, stable=True).values, direction=direction)
        add("argsort", [x], lambda x: torch.argsort(x, dim=-1, descending=down, stable=True).int(), gradients=False, direction=direction)

at = lambda i: tuple(i.long().unbind(-1))
for shape, lead, depth, wide in [((3, 2, 2), (4,), 1, False), ((3, 2, 2), (2, 3), 2, True), ((3, 2, 2), (5,), 3, False), ((4,), (6, 1), 1, True)]:
    indices = torch.stack([integers(*lead, below=d) for d in shape[:depth]], -1).to(torch.int64 if wide else torch.int32)
    tail = shape[depth:]
    add("gatherNd", [floats(*shape), indices], lambda x, i: x[at(i)])
    add("scatterNd", [indices, floats(*lead, *tail)], lambda i, u: torch.zeros(shape, dtype=u.dtype).index_put(at(i), u, accumulate=True), shape=list(shape))
    add("tensorScatterNdAdd", [floats(*shape), indices, floats(*lead, *tail)], lambda x, i, u: x.index_put(at(i), u, accumulate=True))
    # numpy keeps the last of values assigned to one place.
    def assigned(x, i, u):
        x = x.numpy().copy()
        x[tuple(v.numpy() for v in at(i))] = u.numpy()
        return torch.tensor(x)
    add("tensorScatterNdUpdate", [floats(*shape), indices, floats(*lead, *tail)], assigned, gradients=False)
    for dtype in INTEGERS if depth < 3 and not wide else []:
        params, updates = integers(*shape, dtype=dtype), integers(*lead, *tail, dtype=dtype)
        add("gatherNd", [params, indices], lambda x, i: x[at(i)])
        add("scatterNd", [indices, updates], lambda i, u: torch.zeros(shape, dtype=u.dtype).index_put(at(i), u, accumulate=True), shape=list(shape))
        add("tensorScatterNdAdd", [params, indices, updates], lambda x, i, u: x.index_put(at(i), u, accumulate=True))
        add("tensorScatterNdUpdate", [params, indices, updates], assigned)
for places in ([[2, 0], [0, 1], [1, 1]], [[1], [0]]):  # without duplicates: PyTorch leaves those open
    i = ints(places)
    add("tensorScatterNdUpdate", [floats(3, 2, 2), i, floats(len(places), *(3, 2, 2)[i.shape[-1]:])], lambda x, i, u: x.index_put(at(i), u))

for x in [torch.tensor([[0.0, 1.5], [-2.0, 0.0], [0.25, 0.0]]).double(), torch.zeros(2, 3).double(), torch.ones(2, 1, 3).double()] + [integers(3, 2, 3, below=2, dtype=d) for d in INTEGERS]:
    add("argwhere", [x], lambda x: padded(torch.nonzero(x).int(), x.numel()), gradients=False)
    if x.dtype != torch.int8:
        continue
    add("argwhere", [x], lambda x: padded(torch.nonzero(x), x.numel()), gradients=False, dtype="int64")
    add("nonzero", [x], lambda x: padded(torch.nonzero(x).int(), x.numel()).T, gradients=False)

for x in [torch.tensor([3.5, -1.0, 3.5, 0.0, -1.0, -1.0, 7.0, 0.0]).double()] + [integers(12, below=6, dtype=d) for d in INTEGERS] + [ints([4])]:
    values, first, inverse, counts = np.unique(x.numpy(), return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # by first appearance
    size, rank = len(x), np.argsort(order)
    parts = [torch.tensor(values[order]), torch.tensor(rank[inverse]), torch.tensor(counts[order]), torch.tensor([len(values)])]
    outIdx, dtype = ("int64", torch.int64) if x.dtype == torch.int8 else ("int32", torch.int32)
    for result, part in enumerate(parts):
        part = part if result == 0 else part.to(dtype)
        add("uniqueWithCounts", [x], lambda x: padded(part, size) if result in (0, 2) else part, gradients=False, result=result, outIdx=outIdx)

add("squareSum", [floats(2, 3)], lambda x: (x * x).sum().reshape(1))
add("reshapeLike", [floats(2, 3), ints([[1, 1], [1, 1], [1, 1]])], lambda x, y: x.reshape(y.shape))
add("broadcastToCompatibleWith", [floats(2, 1), ints([1, 1, 1]), ints([[[1]], [[1]]])], lambda x, *o: torch.broadcast_tensors(x, *o)[0])
for padding in ("SAME_LOWER", "SAME_UPPER"):
    for kernel, strides, dilation in ([2, 3], [1, 2], [1, 1]), ([3, 2], [2, 2], [1, 3]), ([1, 1], [2, 3], [1, 1]):
        # TensorFlow's formula for SAME: the output has ceil(size / stride) places.
        total = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n) for n, k, s, d in zip((4, 5), kernel, strides, dilation)]
        before = [t // 2 if padding == "SAME_UPPER" else t - t // 2 for t in total]
        after = [t - b for t, b in zip(total, before)]
        add("samePadding", [floats(1, 1, 4, 5)], lambda x: F.pad(x, (before[1], after[1], before[0], after[0])), padding=padding, format="NCHW", kernel=kernel, strides=strides, dilation=dilation)
        add("samePadding", [floats(1, 4, 5, 1)], lambda x: F.pad(x, (0, 0, before[1], after[1], before[0], after[0])), padding=padding, format="NHWC", kernel=kernel, strides=strides, dilation=dilation)
rng = rest

# Normalization.
for axis, perm in ((1, None), (-1, None)):
    x, scale, offset = floats(4, 3) if axis == -1 else floats(2, 3, 2, 3), floats(3), floats(3)
    add("batchNormTraining", [x, offset, scale], lambda x, b, g: F.batch_norm(x, None, None, g, b, training=True, eps=1e-5), axis=axis)
add("batchNormalization", [floats(2, 3, 2), floats(3), floats(3, low=0, high=4), floats(3), floats(3)], lambda x, m, v, b, g: F.batch_norm(x, m.detach(), v.detach(), g, b, eps=0.5), gradients=False, varianceEpsilon=0.5)
for begin, shape in ((1, (3, 4)), (1, (2, 3, 2)), (2, (2, 2, 3))):
    x = floats(*shape)
    tail = list(shape[begin:])
    add("layerNorm", [x, floats(*tail), floats(*tail)], lambda x, b, g: F.layer_norm(x, tail, g, b, eps=1e-3), beginNormAxis=begin, beginParamsAxis=begin, epsilon=1e-3)
add("l2Normalize", [floats(3, 4)], lambda x: F.normalize(x, dim=1), axis=1)
add("l2Normalize", [floats(3, 4)], lambda x: F.normalize(x, dim=0), axis=0)

print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in cases) + "\n]")
print(len(cases), "cases", file=sys.stderr)
