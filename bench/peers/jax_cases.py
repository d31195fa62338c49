"""The cases of layers in JAX, a step as one jitted function whose parameters are given up to the update."""
import jax
import jax.numpy as jnp
import numpy as np
from formula import formula


def open_case(c):
    """A step of the case: training gives the loss before the update, inference the sum of squared logits."""
    batch, shape = c["batch"], list(c["input"])
    x = formula(10, batch * int(np.prod(shape)), 1).reshape(batch, *shape)
    x = np.abs(x) if c["positiveInputs"] else x
    # XLA's CPU backend has a fast convolution for NHWC only.
    x = jnp.array(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    parameters, tensor = [], 0
    for layer in c["layers"]:
        if layer["kind"] == "pool":
            shape = [shape[0], -(-shape[1] // 2), -(-shape[2] // 2)]
            continue
        if layer["kind"] == "conv":
            out, size = layer["filters"], [layer["filters"], shape[0], layer["kernel"], layer["kernel"]]
            shape = [out, *shape[1:]]
        else:
            out, size = layer["units"], [layer["units"], int(np.prod(shape))]
            shape = [out]
        for sizes in (size, [out]):
            values = formula(tensor, int(np.prod(sizes)), c["scales"][tensor]).reshape(sizes)
            parameters.append(jnp.array(values.transpose(2, 3, 1, 0) if values.ndim == 4 else values))
            tensor += 1
    y = jnp.array(np.arange(batch) % shape[0])

    def logits(parameters, x):
        h, rest = x, iter(parameters)
        for layer in c["layers"]:
            if layer["kind"] == "pool":
                h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
                continue
            weight, bias = next(rest), next(rest)
            if layer["kind"] == "conv":
                h = jax.lax.conv_general_dilated(h, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                h = jax.nn.relu(h + bias)
            else:
                h = (h.transpose(0, 3, 1, 2) if h.ndim == 4 else h).reshape(batch, -1)
                h = h @ weight.T + bias
                h = jax.nn.relu(h) if layer["relu"] else h
        return h

    def loss_of(parameters, x, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits(parameters, x)), y[:, None], axis=1))

    def update(parameters, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        return loss, jax.tree.map(lambda p, g: p - c["learningRate"] * g, parameters, gradients)

    train = jax.jit(update, donate_argnums=0)
    predict = jax.jit(lambda parameters, x: jnp.sum(jnp.square(logits(parameters, x))))
    state = {"parameters": parameters}

    def step():
        if c["mode"] == "predict":
            return predict(state["parameters"], x).item()
        loss, state["parameters"] = train(state["parameters"], x, y)
        return loss.item()

    return step
