"""Ten steps of every optimizer: python test/golden/optimizers.py > test/golden/optimizers.json

Least squares on four samples, loss per sample (so gradients are divided by 4), in numpy float64 by the documented formulas,
with and without clipping. Four such models with a regularizer each are trained together. Learning rates are rounded to float32, as the library's are. Where PyTorch has
the same formula (its epsilon stands elsewhere, so with a tiny one), the script checks that both agree.
"""
import json

import numpy as np
import torch

STEPS = 10
RATES = [float(np.float32(0.05))] * 4 + [float(np.float32(0.02))] * 6  # boundaries [3]
rng = np.random.default_rng(20200801)
data = [(rng.integers(-64, 65, (4, 3)) / 32, rng.integers(-64, 65, (4, 2)) / 32) for _ in range(STEPS)]
START = {"weight": np.array([[1.5, -1.25], [2.0, 1.0], [-1.75, 1.5]]), "bias": np.array([1.25, -1.0])}


def norm(*arrays):
    return np.sqrt(sum((a * a).sum() for a in arrays))


class SGD:
    slots = ("momentum",)

    def __init__(self, momentum=0.9, decay=0.0, decays=lambda name: True):
        self.momentum, self.decay, self.decays = momentum, decay, decays

    def step(self, name, w, g, lr, slot):
        wd = self.decay if self.decays(name) else 0.0
        if self.momentum == 0:
            return w - lr * (g + wd * w)
        slot["momentum"] = self.momentum * slot.get("momentum", 0) - lr * g
        return w + slot["momentum"] - lr * wd * w


class Adam:
    def __init__(self, beta1=0.9, beta2=0.999, epsilon=1e-8, correct=False, decay=0.0, decays=lambda name: True, trust=False):
        self.b1, self.b2, self.epsilon, self.correct, self.decay, self.decays, self.trust = beta1, beta2, epsilon, correct, decay, decays, trust

    def step(self, name, w, g, lr, slot):
        slot["m"] = self.b1 * slot.get("m", 0) + (1 - self.b1) * g
        slot["v"] = self.b2 * slot.get("v", 0) + (1 - self.b2) * g * g
        if self.correct:
            b1, b2 = slot.get("beta1_t", self.b1), slot.get("beta2_t", self.b2)
            lr = lr * np.sqrt(1 - b2) / (1 - b1)
            slot["beta1_t"], slot["beta2_t"] = b1 * self.b1, b2 * self.b2
        u = slot["m"] / (np.sqrt(slot["v"]) + self.epsilon) + (self.decay if self.decays(name) else 0.0) * w
        if self.trust:
            lr = lr * (norm(w) / norm(u) if norm(w) > 0 and norm(u) > 0 else 1.0)
        return w - lr * u


class RMSProp:
    def __init__(self, rho=0.99, epsilon=1e-8, centered=False):
        self.rho, self.epsilon, self.centered = rho, epsilon, centered

    def step(self, name, w, g, lr, slot):
        s = slot["mean_square"] = (1 - self.rho) * g * g + self.rho * slot.get("mean_square", 0)
        if not self.centered:
            return w - lr * g / np.sqrt(s + self.epsilon)
        a = slot["mean_gradient"] = (1 - self.rho) * g + self.rho * slot.get("mean_gradient", 0)
        return w - lr * g / np.sqrt(s - a * a + self.epsilon)


class LARS:
    def __init__(self, beta=0.9, epsilon=1e-9, coefficient=0.0001):
        self.beta, self.epsilon, self.coefficient = beta, epsilon, coefficient

    def step(self, name, w, g, lr, slot):
        local = lr * self.coefficient * norm(w) / (self.epsilon + norm(g))
        slot["momentum"] = self.beta * slot.get("momentum", 0) - local * g
        return w + slot["momentum"]


no_bias = lambda name: "bias" not in name
# Name: the library's class and options, the rule.
OPTIMIZERS = {
    "sgd": ("SGD", {"momentum": 0}, SGD(0)),
    "momentum": ("SGD", {}, SGD()),
    "sgdw": ("SGDW", {"momentum": 0, "weightDecay": 0.25}, SGD(0, 0.25)),
    "sgdw momentum": ("SGDW", {"momentum": 0.5, "weightDecay": 0.25, "weightDecayExcludes": ["bias", "norm"]}, SGD(0.5, 0.25, no_bias)),
    "adam": ("Adam", {}, Adam()),
    "adam corrected": ("Adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.001, "doBiasCorrection": True}, Adam(0.8, 0.95, 0.001, True)),
    "adamw": ("AdamW", {"weightDecay": 0.25, "weightDecayExcludes": "bias"}, Adam(decay=0.25, decays=no_bias)),
    "adamw corrected": ("AdamW", {"doBiasCorrection": True, "weightDecay": 0.25, "weightDecayIncludes": ["^x", "b.as$"]}, Adam(correct=True, decay=0.25, decays=lambda name: not no_bias(name))),
    "lazy adam": ("LazyAdam", {"beta2": 0.99}, Adam(beta2=0.99, correct=True)),
    "rmsprop": ("RMSProp", {}, RMSProp()),
    "rmsprop centered": ("RMSProp", {"decayRate": 0.9, "epsilon": 0.01, "centered": True}, RMSProp(0.9, 0.01, True)),
    "lars": ("LARS", {}, LARS()),
    "lars large": ("LARS", {"momentumBeta": 0.5, "epsilon": 0.1, "larsCoefficient": 0.5}, LARS(0.5, 0.1, 0.5)),
    "lamb": ("LAMB", {}, Adam(epsilon=1e-6, trust=True)),
    "lamb corrected": ("LAMB", {"doBiasCorrection": True, "weightDecay": 0.25, "weightDecayExcludes": ["bias"]}, Adam(epsilon=1e-6, correct=True, decay=0.25, decays=no_bias, trust=True)),
}
# One model each, all trained by one optimizer: l1 and l2.
REGULARIZERS = {"plain": (0, 0), "l1": (0.05, 0), "l2": (0, 0.25), "both": (0.05, 0.25)}
CLIP = 4.0


def run(rule, clip=None, rates=RATES, regularizers=REGULARIZERS):
    w = {f"{model}-{name}": value.copy() for model in regularizers for name, value in START.items()}
    slots = {name: {} for name in w}
    losses, clipped, smallest = [], 0, np.inf
    for (x, y), lr in zip(data, rates):
        g, loss = {}, 0
        for model, (l1, l2) in regularizers.items():
            weight, bias = (f"{model}-{name}" for name in START)
            error = x @ w[weight] + w[bias] - y
            loss += (error**2).sum(1).mean()
            g[weight], g[bias] = x.T @ (2 * error) / 4, (2 * error).sum(0) / 4
            for name in (weight, bias):
                g[name] = g[name] + l1 * np.sign(w[name]) + l2 * w[name]
                if l1 > 0:
                    smallest = min(smallest, np.abs(w[name]).min())
        losses.append(loss)
        if clip is not None:
            n = norm(*g.values())
            clipped += n > clip
            g = {name: v * min(1, clip / n) for name, v in g.items()}
        w = {name: rule.step(name, w[name], g[name], lr, slots[name]) for name in w}
    assert clip is None or len(regularizers) == 1 or 0 < clipped, clipped
    # A sign that flips within rounding would make float32 another run.
    assert smallest > 1e-4, smallest
    return losses, {**w, **{f"{name}-{suffix}": slot for name in w for suffix, slot in slots[name].items()}}


def agrees(rule, make, **options):
    """PyTorch ends at the same weights, at a constant rate."""
    _, ours = run(rule, rates=[0.05] * STEPS, **{"regularizers": {"one": (0, 0)}, **options})
    weight, bias = [torch.tensor(value, requires_grad=True) for value in START.values()]
    optimizer = make(weight, bias)
    for x, y in data:
        optimizer.zero_grad()
        loss = ((torch.tensor(x) @ weight + bias - torch.tensor(y)) ** 2).sum(1).mean()
        loss.backward()
        if "clip" in options:
            torch.nn.utils.clip_grad_norm_([weight, bias], options["clip"])
        optimizer.step()
    for name, got in (("one-weight", weight), ("one-bias", bias)):
        assert np.abs(ours[name] - got.detach().numpy()).max() < 2e-6, (name, ours[name], got)


for clip in ({}, {"clip": 1.5}):
    agrees(SGD(0), lambda *p: torch.optim.SGD(p, 0.05), **clip)
    agrees(SGD(0.9), lambda *p: torch.optim.SGD(p, 0.05, momentum=0.9), **clip)
    agrees(SGD(0, 0.25), lambda *p: torch.optim.SGD(p, 0.05, weight_decay=0.25), **clip)
    agrees(Adam(epsilon=1e-12, correct=True), lambda *p: torch.optim.Adam(p, 0.05, eps=1e-12), **clip)
    agrees(RMSProp(epsilon=1e-14), lambda *p: torch.optim.RMSprop(p, 0.05, eps=1e-12), **clip)
    agrees(RMSProp(0.9, 1e-14, True), lambda *p: torch.optim.RMSprop(p, 0.05, alpha=0.9, eps=1e-12, centered=True), **clip)
agrees(SGD(0), lambda *p: torch.optim.SGD(p, 0.05, weight_decay=0.25), regularizers={"one": (0, 0.25)})
# Whose decay is a share of lr, not of the corrected rate: the same from the first step on where beta1 and beta2 are 0.
agrees(Adam(0, 0, 1e-12, decay=0.25), lambda *p: torch.optim.AdamW(p, 0.05, betas=(0.0, 0.0), eps=1e-12, weight_decay=0.25))

# Rows of a table: indices with duplicates, some never used; weights of the looked up rows are the gradients.
ROWS, WIDTH, LOOKUPS = 7, 2, 5
lookups = [(rng.integers(0, ROWS - 1, LOOKUPS), rng.integers(-64, 65, (LOOKUPS, WIDTH)) / 32) for _ in range(STEPS)]
TABLE = rng.integers(-64, 65, (ROWS, WIDTH)) / 32


def lazy_rows(rule, clip=None):
    """The rule applied to the rows that a step reads, duplicates summed."""
    table, slots = TABLE.copy(), {}
    for (ids, weights), lr in zip(lookups, RATES):
        rows = np.unique(ids)
        g = np.stack([weights[ids == row].sum(0) for row in rows]) / LOOKUPS
        if clip is not None:
            g = g * min(1, clip / norm(g))
        own = {key: value[rows] if np.shape(value) == TABLE.shape else value for key, value in slots.items()}
        table[rows] = rule.step("table", table[rows], g, lr, own)
        for key, value in own.items():
            if np.shape(value) == g.shape:
                slots.setdefault(key, np.zeros(TABLE.shape))[rows] = value
            else:
                slots[key] = value
    return {"table": table, **{f"table-{key}": value for key, value in slots.items()}}


def torch_sparse_adam():
    table = torch.tensor(TABLE, requires_grad=True)
    optimizer = torch.optim.SparseAdam([table], lr=1.0, betas=(0.9, 0.99), eps=1e-8)
    for (ids, weights), lr in zip(lookups, RATES):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        found = torch.nn.functional.embedding(torch.tensor(ids), table, sparse=True)
        ((found * torch.tensor(weights)).sum(1)).mean().backward()
        optimizer.step()
    return table.detach().numpy()


LAZY = {
    "lazy adam": ("LazyAdam", {"beta2": 0.99}, Adam(beta2=0.99, correct=True), None),
    "lazy adam, clipped": ("LazyAdam", {"beta2": 0.99}, Adam(beta2=0.99, correct=True), 0.5),
    "adamw": ("AdamW", {"weightDecay": 0.25}, Adam(decay=0.25), None),
    "momentum": ("SGD", {}, SGD(), None),
    "sgd": ("SGD", {"momentum": 0}, SGD(0), None),
    "rmsprop": ("RMSProp", {"centered": True, "epsilon": 0.01}, RMSProp(0.99, 0.01, True), 0.5),
}
assert np.abs(lazy_rows(LAZY["lazy adam"][2])["table"] - torch_sparse_adam()).max() < 1e-12
assert any(len(np.unique(ids)) < LOOKUPS for ids, _ in lookups)

digits = lambda v: np.array([float(f"{x:.14g}") for x in np.ravel(v)]).tolist()
cases = []
for name, (cls, options, rule) in OPTIMIZERS.items():
    for clip in (None, CLIP):
        losses, values = run(rule, clip)
        cases.append({"name": name, "class": cls, "options": options, "clip": clip, "losses": digits(losses), "variables": {key: digits(v) for key, v in values.items()}})
tables = [{"name": name, "class": cls, "options": options, "clip": clip, "variables": {key: digits(v) for key, v in lazy_rows(rule, clip).items()}} for name, (cls, options, rule, clip) in LAZY.items()]
print('{"regularizers":' + json.dumps(REGULARIZERS) + ',\n"x":' + json.dumps([digits(x) for x, _ in data]) + ',\n"y":' + json.dumps([digits(y) for _, y in data]) + ',\n"start":' + json.dumps({k: digits(v) for k, v in START.items()}) + ',\n"cases":[\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + '\n],\n"lookups":' + json.dumps([[ids.tolist(), digits(weights)] for ids, weights in lookups]) + ',\n"table":' + json.dumps(digits(TABLE)) + ',\n"tables":[\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in tables) + "\n]}")
