"""Learning rates of every scheduler: python test/golden/schedules.py > test/golden/schedules.json

The documented formulas, one step at a time in plain numpy float64; the result is rounded to float32, as the library's is. Each
curve has 300 steps and is kept as little-endian float32 in base64.
"""
import base64
import json
import math

import numpy as np

STEPS = 300


def piece(t, boundaries, values):
    for boundary, value in zip(boundaries, values):
        if t <= boundary:
            return value
    return values[-1]


def polynomial(t, lr, steps, end=0.0001, power=1.0, cycle=False):
    if cycle:
        t = max(t, 1)
        steps = steps * math.ceil(t / steps)
    else:
        t = min(t, steps)
    return (lr - end) * (1 - t / steps) ** power + end


def cosine(t, lr, steps, alpha=0.0):
    t = min(t, steps)
    return lr * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * t / steps)) + alpha)


def linear_cosine(t, lr, steps, periods=0.5, alpha=0.0, beta=0.001):
    t = min(t, steps)
    return lr * ((alpha + (steps - t) / steps) * 0.5 * (1 + math.cos(math.pi * 2 * periods * t / steps)) + beta)


def decays(t, steps, staircase):
    return math.floor(t / steps) if staircase else t / steps


def exponential(t, lr, steps, rate, staircase=False):
    return lr * rate ** decays(t, steps, staircase)


def inverse_time(t, lr, steps, rate, staircase=False):
    return lr / (1 + rate * decays(t, steps, staircase))


def natural_exp(t, lr, steps, rate, staircase=False):
    return lr * math.exp(-rate * decays(t, steps, staircase))


# Name: class, positional arguments, options (in the library's names), base rate, curve.
SCHEDULES = {
    "piecewise constant": ("PiecewiseConstantScheduler", [[20, 70, 200], [0.1, 0.03, 0.2, 0.007]], {}, 0.1, lambda t: piece(t, [20, 70, 200], [0.1, 0.03, 0.2, 0.007])),
    "piecewise constant, one value": ("PiecewiseConstantScheduler", [[], [0.3]], {}, 0.3, lambda t: 0.3),
    "piecewise scaling": ("PiecewiseScalingScheduler", [0.4, [20, 70, 200], [0.5, 0.1, 0.03]], {}, 0.4, lambda t: piece(t, [20, 70, 200], [0.4, 0.4 * 0.5, 0.4 * 0.1, 0.4 * 0.03])),
    "piecewise scaling, one scale": ("PiecewiseScalingScheduler", [0.4, [20, 70], 0.1], {}, 0.4, lambda t: piece(t, [20, 70], [0.4, 0.4 * 0.1, 0.4 * 0.1])),
    "cosine": ("CosineScheduler", [0.1, 250], {}, 0.1, lambda t: cosine(t, 0.1, 250)),
    "cosine to alpha": ("CosineScheduler", [0.1, 400], {"alpha": 0.15}, 0.1, lambda t: cosine(t, 0.1, 400, 0.15)),
    "linear cosine": ("LinearCosineScheduler", [0.1, 250], {}, 0.1, lambda t: linear_cosine(t, 0.1, 250)),
    "linear cosine, waves": ("LinearCosineScheduler", [0.1, 280], {"numPeriods": 3.5, "alpha": 0.2, "beta": 0.05}, 0.1, lambda t: linear_cosine(t, 0.1, 280, 3.5, 0.2, 0.05)),
    "polynomial": ("PolynomialSchduler", [0.1, 250], {}, 0.1, lambda t: polynomial(t, 0.1, 250)),
    "polynomial, power": ("PolynomialSchduler", [0.1, 250], {"endLearningRate": 0.01, "power": 1.7}, 0.1, lambda t: polynomial(t, 0.1, 250, 0.01, 1.7)),
    "polynomial, cycle": ("PolynomialSchduler", [0.1, 90], {"endLearningRate": 0.02, "power": 0.5, "cycle": True}, 0.1, lambda t: polynomial(t, 0.1, 90, 0.02, 0.5, True)),
    "exponential": ("ExponentialScheduler", [0.1, 80, 0.6], {}, 0.1, lambda t: exponential(t, 0.1, 80, 0.6)),
    "exponential, stairs": ("ExponentialScheduler", [0.1, 80, 0.6], {"staircase": True}, 0.1, lambda t: exponential(t, 0.1, 80, 0.6, True)),
    "inverse time": ("InverseTimeScheduler", [0.1, 80, 0.6], {}, 0.1, lambda t: inverse_time(t, 0.1, 80, 0.6)),
    "inverse time, stairs": ("InverseTimeScheduler", [0.1, 80, 0.6], {"staircase": True}, 0.1, lambda t: inverse_time(t, 0.1, 80, 0.6, True)),
    "natural exponential": ("NaturalExpScheduler", [0.1, 80, 0.6], {}, 0.1, lambda t: natural_exp(t, 0.1, 80, 0.6)),
    "natural exponential, stairs": ("NaturalExpScheduler", [0.1, 80, 0.6], {"staircase": True}, 0.1, lambda t: natural_exp(t, 0.1, 80, 0.6, True)),
}
# Name: kind, arguments, the rate while it lasts (None: no warm-up).
WARMUPS = {
    "none": (None, [], None),
    "constant": ("constant", [40, 0.25], lambda t, lr: lr * 0.25),
    "linear": ("linear", [60, 0.1], lambda t, lr: lr * (0.1 + (1 - 0.1) * t / 60)),
}

curves = []
for name, (scheduler, arguments, options, base, curve) in SCHEDULES.items():
    for warmup, (kind, given, rising) in WARMUPS.items():
        rates = [rising(t, base) if rising is not None and t < given[0] else curve(t) for t in range(STEPS)]
        data = base64.b64encode(np.array(rates, dtype="<f4").tobytes()).decode()
        curves.append({"name": f"{name}, warm-up {warmup}", "scheduler": scheduler, "arguments": arguments, "options": options, "warmup": kind, "warmupArguments": given, "rates": data})
print("[\n" + ",\n".join(json.dumps(curve) for curve in curves) + "\n]")
