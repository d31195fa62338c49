"""What the generators of single ops share: how a case is written down. Ops have the library's names."""
import json
import math

import numpy as np
import torch

rng = np.random.default_rng(20201031)
cases = []


def floats(*shape, low=-2.0, high=2.0):
    """Distinct multiples of 1/64, none of them 0, which float32 holds exactly."""
    pool = np.arange(int(low * 64), int(high * 64) + 1)
    return torch.tensor(rng.choice(pool[pool != 0], size=shape, replace=False) / 64)


def ints(values, dtype=torch.int32):
    return torch.tensor(values, dtype=dtype)


def record(t):
    """A tensor, or a numpy array: `{ dtype, shape, data }`, rank 0 as [1]."""
    array = t.detach().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    data = [v + 0 if math.isfinite(v) else names[str(v)] for v in array.reshape(-1).tolist()]
    return {"dtype": str(array.dtype), "shape": list(array.shape) or [1], "data": data}


def add(op, inputs, call, gradients=True, **attrs):
    """A case by PyTorch, with its gradients under a drawn cotangent where there are any."""
    inputs = [v.clone().requires_grad_(v.is_floating_point() and gradients) for v in inputs]
    y = call(*inputs)
    case = {"op": op, "inputs": [record(v) for v in inputs], "attrs": attrs, "output": record(y), "cotangent": None, "grads": [None] * len(inputs)}
    if y.requires_grad:
        cotangent = torch.tensor(rng.integers(1, 17, size=tuple(y.shape)) * rng.choice([-1, 1], size=tuple(y.shape)) / 8, dtype=y.dtype)
        y.backward(cotangent)
        case["cotangent"] = record(cotangent)
        case["grads"] = [None if v.grad is None else record(v.grad) for v in inputs]
    cases.append(case)


def add_numpy(op, inputs, output, **attrs):
    """A case by numpy, without gradients."""
    cases.append({"op": op, "inputs": [record(v) for v in inputs], "attrs": attrs, "output": record(output)})


def write():
    print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":"), allow_nan=False) for c in cases) + "\n]")
