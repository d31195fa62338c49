"""The full-size models in JAX: a step is one jitted function whose parameters and slots are given up to the update."""
import jax
import jax.numpy as jnp
from jax import lax

import functional_models as models


class Ops:
    relu = staticmethod(jax.nn.relu)
    reshape = staticmethod(jnp.reshape)
    transpose = staticmethod(jnp.transpose)
    matmul = staticmethod(jnp.matmul)
    tanh = staticmethod(jnp.tanh)
    mean = staticmethod(jnp.mean)
    sum = staticmethod(jnp.sum)
    softmax = staticmethod(jax.nn.softmax)

    @staticmethod
    def conv(x, weight, stride, padding):
        pads = ((padding, padding), (padding, padding))
        return lax.conv_general_dilated(x, weight, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    @staticmethod
    def max_pool(x, kernel, stride, padding):
        pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, kernel, kernel, 1), (1, stride, stride, 1), pads)

    @staticmethod
    def avg_pool(x, kernel, stride):
        total = lax.reduce_window(x, 0.0, lax.add, (1, kernel, kernel, 1), (1, stride, stride, 1), "VALID")
        return total / kernel**2

    @staticmethod
    def batch_norm(x, gamma, beta, epsilon):
        mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        return (x - mean) * (gamma * lax.rsqrt(variance + epsilon)) + beta

    @staticmethod
    def layer_norm(x, gamma, beta, epsilon):
        mean, variance = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + epsilon) * gamma + beta

    @staticmethod
    def dense(x, weight):
        return x @ weight.T

    @staticmethod
    def gelu(x):
        return jax.nn.gelu(x, approximate=False)

    @staticmethod
    def take(table, ids):
        return jnp.take(table, ids, axis=0)

    @staticmethod
    def float(x):
        return x.astype(jnp.float32)

    @staticmethod
    def concat(parts):
        return jnp.concatenate(parts, axis=1)

    @staticmethod
    def cross_entropy(targets, logits):
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1))

    @staticmethod
    def binary_cross_entropy(targets, logits):
        return jnp.mean(jax.nn.softplus(logits) - targets * logits)


def updates_of(optimizer):
    """(number of slots, `update(p, g, slots, t) -> (p, slots)`) of one parameter."""
    if isinstance(optimizer, models.Momentum):

        def momentum(p, g, slots, t):
            velocity = optimizer.momentum * slots[0] + g + optimizer.penalty * p
            return p - optimizer.rate * velocity, (velocity,)

        return 1, momentum

    def adam(p, g, slots, t):
        b1, b2 = optimizer.beta1, optimizer.beta2
        m, v = b1 * slots[0] + (1 - b1) * g, b2 * slots[1] + (1 - b2) * g * g
        return p - optimizer.rate * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + optimizer.epsilon), (m, v)

    return 2, adam


def open_model(case, threads, weights, feeds):
    """A step of a full-size case on its fixed batch: the mean loss before the update."""
    optimizer, arguments, loss_of = models.describe(Ops, case, feeds)
    values = {name: jnp.array(value) for name, value in models.first_values(weights).items()}
    count, update = updates_of(optimizer)
    slots = {name: tuple(jnp.zeros_like(value) for _ in range(count)) for name, value in values.items()}
    arguments = [jnp.array(argument) for argument in arguments]

    def run(values, slots, t, *arguments):
        loss, gradients = jax.value_and_grad(loss_of)(values, *arguments)
        pairs = {name: update(values[name], gradients[name], slots[name], t) for name in values}
        return loss, {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    compiled = jax.jit(run, donate_argnums=(0, 1))
    state = {"values": values, "slots": slots, "t": 0}

    def step():
        state["t"] += 1
        loss, state["values"], state["slots"] = compiled(
            state["values"], state["slots"], jnp.float32(state["t"]), *arguments
        )
        return loss.item()

    return step
