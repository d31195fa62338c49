"""220 random 2-D convolutions and 60 poolings by PyTorch in float64: values and gradients.

Writes conv.json. Inputs follow the formula of `fill` below, so that only results are stored: of each array its shape, the
first elements and its products with three fixed vectors.
    python test/golden/conv.py
"""

import json
import pathlib
import random

import numpy as np
import torch
import torch.nn.functional as F

random.seed(20261124)


def fill(shape, seed):
    """sin of a quadratic phase: no two elements alike in practice, the same formula in conv.test.ts."""
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    return np.sin(0.7 * i + 0.001 * i * i + seed).reshape(shape)


def digest(array):
    flat = np.asarray(array, dtype=np.float64).reshape(-1)
    return {
        "shape": list(array.shape),
        "head": [float(f"{v:.12g}") for v in flat[:4]],
        "products": [float(f"{flat @ fill(flat.shape, 10 + k):.12g}") for k in range(3)],
    }


def same(size, kernel, stride, dilation, mode):
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    small = total // 2
    return (small, total - small) if mode == "SAME_UPPER" else (total - small, small)


def pads_of(padding, sizes, kernel, strides, dilations, last):
    if isinstance(padding, str):
        if padding == "VALID":
            return [(0, 0), (0, 0)]
        return [same(s, k, st, d, padding) for s, k, st, d in zip(sizes, kernel, strides, dilations)]
    return [tuple(p) for p in (padding[1:3] if last else padding[2:4])]


def choose(last, limit):
    kind = random.choice(["VALID", "SAME", "SAME_LOWER", "SAME_UPPER", "explicit", "explicit"])
    if kind != "explicit":
        return kind
    spatial = [[random.randrange(limit[i]), random.randrange(limit[i])] for i in range(2)]
    return [[0, 0], *spatial, [0, 0]] if last else [[0, 0], [0, 0], *spatial]


def conv_case():
    last = random.random() < 0.4
    groups = random.choice([1, 1, 2, 3])
    per_in, per_out = random.randint(1, 3), random.randint(1, 3)
    kernel = [random.randint(1, 4), random.randint(1, 4)]
    strides = [random.randint(1, 3), random.randint(1, 3)]
    dilations = [random.randint(1, 2), random.randint(1, 2)]
    sizes = [random.randint(1, 9), random.randint(1, 9)]
    padding = choose(last, [4, 4])
    pads = pads_of(padding, sizes, kernel, strides, dilations, last)
    if any(s + sum(p) < (k - 1) * d + 1 for s, p, k, d in zip(sizes, pads, kernel, dilations)):
        return None
    batch = random.randint(1, 3)
    x_shape = [batch, per_in * groups, *sizes]
    w_shape = [per_out * groups, per_in, *kernel]
    if last:
        x_shape = [x_shape[0], *x_shape[2:], x_shape[1]]
        w_shape = [w_shape[0], *w_shape[2:], w_shape[1]]
    x = torch.tensor(fill(x_shape, 1), requires_grad=True)
    w = torch.tensor(fill(w_shape, 2), requires_grad=True)
    first = lambda t: t.permute(0, 3, 1, 2) if last else t
    padded = F.pad(first(x), [*pads[1], *pads[0]])
    y = F.conv2d(padded, first(w), stride=strides, dilation=dilations, groups=groups)
    y = y.permute(0, 2, 3, 1) if last else y
    y.backward(torch.tensor(fill(list(y.shape), 3)))
    return {
        "x": x_shape, "w": w_shape, "strides": strides, "padding": padding, "dilations": dilations, "groups": groups,
        "dataFormat": "NHWC" if last else "NCHW",
        "y": digest(y.detach().numpy()), "dx": digest(x.grad.numpy()), "dw": digest(w.grad.numpy()),
    }  # fmt: skip


def pool_case(kind):
    last = random.random() < 0.4
    kernel = [random.randint(1, 4), random.randint(1, 4)]
    strides = [random.randint(1, 3), random.randint(1, 3)]
    sizes = [random.randint(2, 9), random.randint(2, 9)]
    padding = choose(last, kernel)
    pads = pads_of(padding, sizes, kernel, strides, [1, 1], last)
    if any(s + sum(p) < k or max(p) >= k for s, p, k in zip(sizes, pads, kernel)):
        return None
    x_shape = [2, *sizes, 3] if last else [2, 3, *sizes]
    x = torch.tensor(fill(x_shape, 1), requires_grad=True)
    wide = x.permute(0, 3, 1, 2) if last else x
    if kind == "max":
        y = F.max_pool2d(F.pad(wide, [*pads[1], *pads[0]], value=-float("inf")), kernel, strides)
    else:
        # Zeros outside, divided by the number of cells inside.
        sums = F.avg_pool2d(F.pad(wide, [*pads[1], *pads[0]]), kernel, strides, divisor_override=1)
        ones = F.pad(torch.ones(1, 1, *sizes, dtype=torch.float64), [*pads[1], *pads[0]])
        y = sums / F.avg_pool2d(ones, kernel, strides, divisor_override=1)
    y = y.permute(0, 2, 3, 1) if last else y
    y.backward(torch.tensor(fill(list(y.shape), 3)))
    return {
        "kind": kind, "x": x_shape, "ksize": kernel, "strides": strides, "padding": padding,
        "dataFormat": "NHWC" if last else "NCHW",
        "y": digest(y.detach().numpy()), "dx": digest(x.grad.numpy()),
    }  # fmt: skip


def some(count, make):
    found = []
    while len(found) < count:
        case = make()
        if case is not None:
            found.append(case)
    return found


result = {
    "conv": some(220, conv_case),
    "pool": some(30, lambda: pool_case("max")) + some(30, lambda: pool_case("avg")),
}
path = pathlib.Path(__file__).with_name("conv.json")
lines = [f'"{k}": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in v) + "\n]" for k, v in result.items()]
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
