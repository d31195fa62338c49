"""220 random 2-D convolutions and 60 poolings, some of one and three axes, and transposed ones, by PyTorch in float64: values
and gradients.

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
            return [(0, 0)] * len(sizes)
        return [same(s, k, st, d, padding) for s, k, st, d in zip(sizes, kernel, strides, dilations)]
    return [tuple(p) for p in (padding[1:-1] if last else padding[2:])]


def choose(last, limit):
    kind = random.choice(["VALID", "SAME", "SAME_LOWER", "SAME_UPPER", "explicit", "explicit"])
    if kind != "explicit":
        return kind
    spatial = [[random.randrange(most), random.randrange(most)] for most in limit]
    return [[0, 0], *spatial, [0, 0]] if last else [[0, 0], [0, 0], *spatial]


def some_of(n, low, high):
    return [random.randint(low, high) for _ in range(n)]


def flat(pads):
    """As F.pad takes them: the last axis first."""
    return [cells for pair in reversed(pads) for cells in pair]


def layout(n, last):
    axes = "DHW"[-n:]
    return f"N{axes}C" if last else f"NC{axes}"


def to_last(shape):
    return [shape[0], *shape[2:], shape[1]]


def first(t, last):
    return torch.movedim(t, -1, 1) if last else t


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def conv_case(n=2, compat=False):
    last = random.random() < 0.4
    groups = random.choice([1, 1, 2, 3])
    if last and n != 2:
        groups = 1
    per_in, per_out = random.randint(1, 3), random.randint(1, 3)
    kernel = some_of(n, 1, 4 if n < 3 else 3)
    strides = some_of(n, 1, 3)
    dilations = some_of(n, 1, 2)
    sizes = some_of(n, 1, 9 if n < 3 else 5)
    padding = choose(last, [4] * n)
    pads = pads_of("SAME_UPPER" if compat and padding == "SAME" else padding, sizes, kernel, strides, dilations, last)
    if any(s + sum(p) < (k - 1) * d + 1 for s, p, k, d in zip(sizes, pads, kernel, dilations)):
        return None
    batch = random.randint(1, 3)
    x_shape = [batch, per_in * groups, *sizes]
    w_shape = [per_out * groups, per_in, *kernel]
    if last:
        x_shape, w_shape = to_last(x_shape), to_last(w_shape)
    return conv_of(x_shape, w_shape, strides, padding, dilations, groups, pads, last)


def conv_of(x_shape, w_shape, strides, padding, dilations, groups=1, pads=None, last=False):
    n = len(x_shape) - 2
    pads = pads or pads_of(padding, x_shape[2:], w_shape[2:], strides, dilations, last)
    x = torch.tensor(fill(x_shape, 1), requires_grad=True)
    w = torch.tensor(fill(w_shape, 2), requires_grad=True)
    padded = F.pad(first(x, last), flat(pads))
    y = CONV[n](padded, first(w, last), stride=strides, dilation=dilations, groups=groups)
    y = torch.movedim(y, 1, -1) if last else y
    y.backward(torch.tensor(fill(list(y.shape), 3)))
    return {
        "x": x_shape, "w": w_shape, "strides": strides, "padding": padding, "dilations": dilations, "groups": groups,
        "dataFormat": layout(n, last),
        "y": digest(y.detach().numpy()), "dx": digest(x.grad.numpy()), "dw": digest(w.grad.numpy()),
    }  # fmt: skip


def pool_case(kind, n=2):
    last = random.random() < 0.4
    kernel = some_of(n, 1, 4 if n < 3 else 3)
    strides = some_of(n, 1, 3)
    sizes = some_of(n, 2, 9 if n < 3 else 5)
    padding = choose(last, kernel)
    pads = pads_of(padding, sizes, kernel, strides, [1] * n, last)
    if any(s + sum(p) < k for s, p, k in zip(sizes, pads, kernel)) or any(max(p) >= k for p, k in zip(pads, kernel)):
        return None
    x_shape = [2, *sizes, 3] if last else [2, 3, *sizes]
    x = torch.tensor(fill(x_shape, 1), requires_grad=True)
    wide = first(x, last)
    if kind == "max":
        y = MAX[n](F.pad(wide, flat(pads), value=-float("inf")), kernel, strides)
    else:
        # Sums of the cells inside, divided by their number: a convolution with ones.
        ones = torch.ones(1, 1, *kernel, dtype=torch.float64)
        total = lambda t: CONV[n](F.pad(t, flat(pads)).flatten(0, 1)[:, None], ones, stride=strides)
        y = (total(wide) / total(torch.ones_like(wide))).unflatten(0, (2, 3)).squeeze(2)
    y = torch.movedim(y, 1, -1) if last else y
    y.backward(torch.tensor(fill(list(y.shape), 3)))
    return {
        "kind": kind, "x": x_shape, "ksize": kernel, "strides": strides, "padding": padding,
        "dataFormat": layout(n, last),
        "y": digest(y.detach().numpy()), "dx": digest(x.grad.numpy()),
    }  # fmt: skip


def transpose_case():
    """PyTorch's own transposed convolution, which both of our functions for it must equal."""
    last = random.random() < 0.4
    channels, outputs, batch = random.randint(1, 3), random.randint(1, 3), random.randint(1, 3)
    kernel, strides, dilations, sizes = some_of(2, 1, 4), some_of(2, 1, 3), some_of(2, 1, 2), some_of(2, 1, 6)
    half = some_of(2, 0, 1)
    more = [random.randrange(s) for s in strides]
    x_shape, w_shape = [batch, channels, *sizes], [channels, outputs, *kernel]
    if last:
        x_shape, w_shape = to_last(x_shape), to_last(w_shape)
    if any((s - 1) * st - 2 * h + (k - 1) * d + m + 1 < 1 for s, st, h, k, d, m in zip(sizes, strides, half, kernel, dilations, more)):
        return None
    x = torch.tensor(fill(x_shape, 1), requires_grad=True)
    w = torch.tensor(fill(w_shape, 2), requires_grad=True)
    y = F.conv_transpose2d(first(x, last), first(w, last), None, strides, half, more, 1, dilations)
    y = torch.movedim(y, 1, -1) if last else y
    y.backward(torch.tensor(fill(list(y.shape), 3)))
    return {
        "x": x_shape, "w": w_shape, "strides": strides, "dilations": dilations, "dataFormat": layout(2, last),
        "paddingNeeded": [2 * h for h in half], "outputPadding": more,
        "y": digest(y.detach().numpy()), "dx": digest(x.grad.numpy()), "dw": digest(w.grad.numpy()),
    }  # fmt: skip


def some(count, make):
    found = []
    while len(found) < count:
        case = make()
        if case is not None:
            found.append(case)
    return found


def block_cases():
    """Large enough for kernels that keep 8 or 16 channels together: batches that fill blocks, do not, are cut; strides, dilations,
    cells that no window reaches, channels that are few or fill no block."""
    ones = [1, 1]
    return [
        conv_of([16, 16, 13, 13], [16, 16, 3, 3], ones, "SAME", ones),
        conv_of([30, 12, 10, 9], [32, 12, 5, 5], ones, "SAME", ones),
        conv_of([8, 16, 17, 16], [16, 16, 3, 3], ones, "SAME", ones),
        conv_of([3, 16, 27, 28], [32, 16, 3, 3], ones, "SAME", ones),
        conv_of([32, 16, 18, 18], [16, 16, 3, 3], [2, 2], "VALID", ones),
        conv_of([8, 16, 33, 34], [16, 16, 3, 3], [2, 2], "SAME_LOWER", ones),
        conv_of([16, 16, 14, 12], [16, 16, 3, 3], ones, [[0, 0], [0, 0], [2, 1], [0, 2]], [2, 1]),
        conv_of([16, 10, 13, 13], [16, 10, 3, 3], ones, [[0, 0], [0, 0], [0, 2], [2, 0]], ones),
        conv_of([5, 2, 12, 11], [32, 2, 4, 3], [2, 1], "SAME", [1, 2]),
    ]


def few_places_cases():
    """Many filters, few places an image: kernels of one tap and more, strides that leave cells out, dilations, uneven padding, one
    and three axes."""
    ones = [1, 1]
    return [
        conv_of([3, 16, 2, 3], [24, 16, 1, 1], ones, "VALID", ones),
        conv_of([2, 16, 5, 6], [16, 16, 1, 1], [2, 2], "VALID", ones),
        conv_of([5, 18, 4, 4], [16, 18, 3, 3], ones, "SAME", ones),
        conv_of([2, 16, 9, 8], [20, 16, 3, 3], [2, 2], "SAME", ones),
        conv_of([3, 16, 7, 9], [16, 16, 2, 3], [1, 2], [[0, 0], [0, 0], [2, 1], [0, 2]], [2, 1]),
        conv_of([2, 16, 4, 5], [16, 16, 1, 3], ones, [[0, 0], [0, 0], [1, 0], [0, 1]], ones),
        conv_of([3, 16, 11], [17, 16, 4], [3], "SAME", [1]),
        conv_of([2, 16, 3, 4, 2], [16, 16, 2, 2, 1], [1, 2, 1], "SAME", [1, 1, 1]),
    ]


def tile_cases():
    """Large enough for Winograd's algorithm along one axis, values or gradients: tiles that are whole and not, kernels of three and five rows, uneven padding,
    dilations along the other axis."""
    ones = [1, 1]
    return [
        conv_of([5, 32, 12, 13], [64, 32, 5, 5], ones, "SAME", ones),
        conv_of([6, 48, 11, 11], [64, 48, 5, 3], ones, [[0, 0], [0, 0], [0, 3], [1, 0]], ones),
        conv_of([6, 64, 12, 9], [64, 64, 3, 3], ones, "SAME", ones),
        conv_of([8, 64, 16, 9], [96, 64, 3, 5], ones, [[0, 0], [0, 0], [2, 0], [1, 3]], ones),
        conv_of([5, 48, 12, 12], [64, 48, 3, 2], ones, "SAME", [1, 2]),
        conv_of([4, 96, 14, 9], [96, 96, 5, 3], ones, [[0, 0], [0, 0], [0, 3], [1, 0]], ones),
    ]


result = {
    "conv": some(220, conv_case),
    "pool": some(30, lambda: pool_case("max")) + some(30, lambda: pool_case("avg")),
    "conv1d": some(24, lambda: conv_case(1)),
    "conv3d": some(24, lambda: conv_case(3)),
    "compatConv2d": some(12, lambda: conv_case(2, compat=True)),
    "pool1d": some(10, lambda: pool_case("max", 1)) + some(10, lambda: pool_case("avg", 1)),
    "pool3d": some(10, lambda: pool_case("max", 3)) + some(10, lambda: pool_case("avg", 3)),
    "transpose": some(24, transpose_case),
    "blocks": block_cases(),
    "fewPlaces": few_places_cases(),
    "tiles": tile_cases(),
}
path = pathlib.Path(__file__).with_name("conv.json")
lines = [f'"{k}": [\n' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in v) + "\n]" for k, v in result.items()]
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
