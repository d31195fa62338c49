"""Golden steps of ResNet50 and MobileNetV2 at an eighth (a quarter) of their width: python test/golden/models.py > test/golden/models.json

Two steps of plain SGD from weights given by a formula, in PyTorch float64 and float32; the difference of the two is the spread that
float32 shows. The networks are written out by hand from the documented structure (stride on the 3 x 3 convolution, the odd cell of
padding before, population variance in the moving statistics): torchvision's differ in the last two.
"""
import json, math
import numpy as np
import torch
import torch.nn.functional as F

from formula import formula

torch.set_num_threads(2)
BATCH, SIZE, CLASSES, RATE, SMOOTHING = 8, 64, 10, 0.02, 0.1
IMAGES = 11  # The tensor of the formula; with some, a relu lies within float32's rounding of its kink.


def first_value(index, name, shape):
    """As test/golden/models.test.ts."""
    n = int(np.prod(shape))
    part = name.rsplit("-", 1)[1]
    if part in ("gamma", "moving_variance"):
        # Blocks begin near the identity, as those that are trained do: gradients that explode would drown in float32's rounding.
        centre = 0.25 if "branch2c" in name or "project" in name else 1
        value = (centre + formula(index, n, 0.125).astype(np.float64)).astype(np.float32)
    elif part in ("beta", "bias", "moving_mean"):
        value = formula(index, n, 0.125)
    else:
        value = formula(index, n, math.sqrt(6 / int(np.prod(shape[1:]))))
    return value.reshape(shape)


class Net:
    """Variables by name, made in the order of use where they are new; moving statistics of one pass."""

    def __init__(self, dtype, penalty):
        self.dtype, self.penalty = dtype, penalty
        self.variables, self.moving = {}, {}

    def variable(self, name, shape, trainable=True):
        if name not in self.variables:
            value = torch.tensor(first_value(len(self.variables), name, shape)).to(self.dtype)
            self.variables[name] = value.requires_grad_(trainable)
        return self.variables[name]

    def conv(self, name, x, filters, kernel, stride=1, groups=1):
        w = self.variable(f"{name}-weight", (filters, x.shape[1] // groups, kernel, kernel))
        return F.conv2d(same(x, kernel, stride), w, stride=stride, groups=groups)

    def bn(self, name, x, momentum=0.9, epsilon=1e-5):
        n = x.shape[1]
        beta, gamma = self.variable(f"{name}-beta", (n,)), self.variable(f"{name}-gamma", (n,))
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        for part, batch in (("moving_mean", mean), ("moving_variance", variance)):
            old = self.variable(f"{name}-{part}", (n,), False)
            self.moving[f"{name}-{part}"] = (momentum * old + (1 - momentum) * batch).detach()
        c = (None, slice(None), None, None)
        return (x - mean[c]) / torch.sqrt(variance[c] + epsilon) * gamma[c] + beta[c]

    def dense(self, name, x, units, bias):
        y = x @ self.variable(f"{name}-weight", (units, x.shape[1])).T
        return y + self.variable(f"{name}-bias", (units,)) if bias else y


def same(x, kernel, stride, value=0.0):
    """Pads height and width so that places / stride remain, the odd cell before."""
    total = max(0, (math.ceil(x.shape[2] / stride) - 1) * stride + kernel - x.shape[2])
    after = total // 2
    return F.pad(x, (total - after, after, total - after, after), value=value)


def resnet50(net, x, width=1 / 8):
    def block(name, x, inner, stride, first):
        short = x
        if first:
            short = net.bn(f"{name}_branch1_bn", net.conv(f"{name}_branch1", x, 4 * inner, 1, stride))
        a = torch.relu(net.bn(f"{name}_branch2a_bn", net.conv(f"{name}_branch2a", x, inner, 1)))
        b = torch.relu(net.bn(f"{name}_branch2b_bn", net.conv(f"{name}_branch2b", a, inner, 3, stride)))
        return torch.relu(net.bn(f"{name}_branch2c_bn", net.conv(f"{name}_branch2c", b, 4 * inner, 1)) + short)

    x = torch.relu(net.bn("Resnet-conv1_bn", net.conv("Resnet-conv1", x, int(64 * width), 7, 2)))
    x = F.max_pool2d(same(x, 3, 2, -math.inf), 3, 2)
    for stage, count in enumerate([3, 4, 6, 3]):
        for i in range(count):
            x = block(f"Resnet-res{stage + 2}_{i}", x, int(64 * 2**stage * width), 2 if stage > 0 and i == 0 else 1, i == 0)
    return net.dense("Resnet-fc1001", x.mean((2, 3)), CLASSES, True)


def mobilenet_v2(net, x, width=1 / 4):
    def unit(name, x, filters, kernel=1, stride=1, groups=1, active=True):
        y = net.bn(f"MobilenetV2-{name}-BatchNorm", net.conv(f"MobilenetV2-{name}", x, filters, kernel, stride, groups))
        return y.clamp(0, 6) if active else y

    c = int(32 * width)
    x, index = unit("Conv", x, c, 3, 2), 0
    for t, out, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            name = "expanded_conv" if index == 0 else f"expanded_conv_{index}"
            wide = unit(f"{name}-expand", x, c * t) if index > 0 else x
            deep = unit(f"{name}-depthwise", wide, c * t, 3, s if i == 0 else 1, c * t)
            y = unit(f"{name}-project", deep, int(out * width), active=False)
            x, c, index = (y if i == 0 else x + y), int(out * width), index + 1
    x = unit("Conv_1", x, 1280)
    return net.dense("MobilenetV2-fc", x.mean((2, 3)), CLASSES, False)


def run(build, penalty, dtype):
    net = Net(dtype, penalty)
    images = torch.tensor(formula(IMAGES, BATCH * 3 * SIZE * SIZE, 1)).reshape(BATCH, 3, SIZE, SIZE).to(dtype)
    labels = torch.full((BATCH, CLASSES), SMOOTHING / CLASSES, dtype=dtype)
    labels[torch.arange(BATCH), torch.arange(BATCH) % CLASSES] += 1 - SMOOTHING
    losses, start, after = [], None, None
    for step in range(2):
        loss = -(labels * F.log_softmax(build(net, images), 1)).sum(1).mean()
        losses.append(loss.item())
        trained = {name: v for name, v in net.variables.items() if v.requires_grad}
        gradients = torch.autograd.grad(loss, list(trained.values()))
        start = start or {name: v.detach().clone() for name, v in net.variables.items()}
        with torch.no_grad():
            for v, g in zip(trained.values(), gradients):
                v -= RATE * (g + penalty * v)
            for name, v in net.moving.items():
                net.variables[name] = v
        after = after or {name: v.detach().clone() for name, v in net.variables.items()}
    return losses, {name: (after[name] - start[name]).double().numpy().reshape(-1) for name in start}


def case(build, penalty, chosen):
    losses, changes = run(build, penalty, torch.float64)
    single, changes32 = run(build, penalty, torch.float32)
    picked = lambda v: [float(v[(7919 * i + 13) % len(v)]) for i in range(min(len(v), 64))]
    return {
        "losses": losses,
        "spread": max(abs(a - b) / abs(a) for a, b in zip(losses, single)),
        "variables": list(changes),
        "changes": {name: {"norm": float(np.linalg.norm(changes[name])),
                           "spread": float(np.linalg.norm(changes[name] - changes32[name]) / np.linalg.norm(changes[name])),
                           "elements": picked(changes[name])} for name in chosen},
    }


print(json.dumps({
    "torch": torch.__version__, "batch": BATCH, "size": SIZE, "classes": CLASSES, "rate": RATE, "images": IMAGES,
    "models": {
        "resnet50": case(resnet50, 1 / 32768, [
            "Resnet-conv1-weight", "Resnet-conv1_bn-gamma", "Resnet-conv1_bn-moving_mean", "Resnet-res2_0_branch1-weight",
            "Resnet-res3_0_branch2b-weight", "Resnet-res3_0_branch2b_bn-beta", "Resnet-res4_5_branch2c_bn-moving_variance",
            "Resnet-res5_2_branch2c-weight", "Resnet-res5_2_branch2c_bn-gamma", "Resnet-fc1001-weight", "Resnet-fc1001-bias"]),
        "mobilenetv2": case(mobilenet_v2, 0.00004, [
            "MobilenetV2-Conv-weight", "MobilenetV2-Conv-BatchNorm-beta", "MobilenetV2-expanded_conv-depthwise-weight",
            "MobilenetV2-expanded_conv_1-expand-weight", "MobilenetV2-expanded_conv_3-depthwise-weight",
            "MobilenetV2-expanded_conv_8-project-BatchNorm-gamma", "MobilenetV2-expanded_conv_13-depthwise-BatchNorm-moving_variance",
            "MobilenetV2-expanded_conv_16-project-weight", "MobilenetV2-Conv_1-BatchNorm-moving_mean", "MobilenetV2-fc-weight"]),
    },
}, indent=1))
