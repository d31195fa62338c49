"""Golden values of single ops: python test/golden/ops.py > test/golden/ops.json

PyTorch in float64, except argmax, whose ties PyTorch leaves open: numpy takes the lowest index. Inputs and cotangents
are exact in float32 (but for the float64 input of one cast), so the numbers hold for float32 engines within their
rounding. Ops have the library's names; a full reduction has the shape [1]; `grads` is null where there is no gradient.
"""
import json
import sys

import numpy as np
import torch

torch.set_num_threads(2)
TYPES = {"float32": torch.float32, "float64": torch.float64, "int32": torch.int32, "int8": torch.int8, "int64": torch.int64}
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
    return {"dtype": dtype, "shape": list(t.shape) or [1], "data": [v + 0 for v in t.detach().reshape(-1).tolist()]}


def add(op, inputs, call, gradients=True, **attrs):
    inputs = [v.clone().requires_grad_(v.is_floating_point() and gradients) for v in inputs]
    assert all(v.numel() < 30 for v in inputs), op
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
add("biasAdd", [floats(2, 3), floats(3)], lambda x, b: x + b, axis=1)
add("biasAdd", [floats(2, 3, 2, 2), floats(3)], lambda x, b: x + b[:, None, None], axis=1)

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
        add(op, [floats(2, 3, 2)], lambda x: call(x, dim=axes, keepdim=keepdims).reshape([1] if len(axes) == 3 and not keepdims else call(x, dim=axes, keepdim=keepdims).shape), axes=axes, keepdims=keepdims)
    if op in ("reduceMax", "reduceMin"):
        add(op, [torch.tensor([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0]]).double()], lambda x: call(x, dim=[1], keepdim=False), axes=[1], keepdims=False)
for values in ([[1.0, 3.0, 3.0], [-2.0, -2.0, -5.0], [0.0, -1.0, 4.0]], [2.0, 2.0, 1.0]):
    add("argmax", [torch.tensor(values).double()], lambda x: torch.tensor(np.atleast_1d(np.argmax(x.numpy(), -1)).astype(np.int32)), gradients=False, axis=-1)

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

print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in cases) + "\n]")
print(len(cases), "cases", file=sys.stderr)
