"""The full-size models as functions of named parameters, for JAX and for TensorFlow.

`ops` has what differs between the two. Images and filters are channels last, which both are fast with; matrices are stored as in the
checkpoint. Dropout is off.
"""
import numpy as np

import variables


def first_values(folder):
    """The trained variables by name, filters as [height, width, in, out]."""
    values = {name: variables.variable(folder, name) for name in variables.trained(folder)}
    return {name: value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for name, value in values.items()}


def resnet50(ops, p, images):
    """examples/models/resnet.ts. `SAME` puts the odd pixel before: with these sizes, padding by half the kernel."""

    def conv(x, name, stride=1):
        kernel = p[f"{name}-weight"].shape[0]
        return ops.conv(x, p[f"{name}-weight"], stride, kernel // 2)

    def normalized(x, name):
        return ops.batch_norm(x, p[f"{name}_bn-gamma"], p[f"{name}_bn-beta"], 1e-5)

    x = ops.relu(normalized(conv(images, "Resnet-conv1", 2), "Resnet-conv1"))
    x = ops.max_pool(x, 3, 2, 1)
    for stage, count in enumerate((3, 4, 6, 3)):
        for i in range(count):
            name = f"Resnet-res{stage + 2}_{i}"
            stride = 2 if stage > 0 and i == 0 else 1
            y = ops.relu(normalized(conv(x, f"{name}_branch2a"), f"{name}_branch2a"))
            y = ops.relu(normalized(conv(y, f"{name}_branch2b", stride), f"{name}_branch2b"))
            y = normalized(conv(y, f"{name}_branch2c"), f"{name}_branch2c")
            if i == 0:
                x = normalized(conv(x, f"{name}_branch1", stride), f"{name}_branch1")
            x = ops.relu(y + x)
    return ops.dense(ops.mean(x, (1, 2)), p["Resnet-fc1001-weight"]) + p["Resnet-fc1001-bias"]


def alexnet(ops, p, images):
    """examples/models/alexnet.ts."""
    x = images
    for n in range(1, 6):
        weight = p[f"conv{n}-weight"]
        stride, padding = (4, 0) if n == 1 else (1, weight.shape[0] // 2)
        x = ops.relu(ops.conv(x, weight, stride, padding) + p[f"conv{n}-bias"])
        if n in (1, 2, 5):
            x = ops.avg_pool(x, 3, 2)
    x = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (x.shape[0], -1))
    for n in (1, 2):
        x = ops.relu(ops.dense(x, p[f"fc{n}-weight"]) + p[f"fc{n}-bias"])
    return ops.dense(x, p["fc3-weight"])


def bert(ops, p, layers, heads, ids, mask, segments):
    """examples/models/bert.ts with its classifier."""
    batch, tokens = ids.shape

    def dense(x, name):
        return ops.matmul(x, p[f"{name}-weight"]) + p[f"{name}-bias"]

    def norm(x, name):
        return ops.layer_norm(x, p[f"{name}-LayerNorm-gamma"], p[f"{name}-LayerNorm-beta"], 1e-5)

    tables = [p[f"bert-embeddings-{name}_embeddings"] for name in ("word", "token_type", "position")]
    width = tables[0].shape[1]
    x = ops.take(tables[0], ids) + ops.take(tables[1], segments) + tables[2][:, :tokens]
    x = ops.reshape(norm(x, "bert-embeddings"), (batch * tokens, width))
    # 0 where a token is, -10000 where padding is.
    bias = ((ops.float(mask) - 1.0) * 10000.0)[:, None, None, :]
    for i in range(layers):
        name = f"bert-encoder-layer_{i}"

        def heads_of(part):
            projected = dense(x, f"{name}-attention-self-{part}")
            return ops.transpose(ops.reshape(projected, (batch, tokens, heads, width // heads)), (0, 2, 1, 3))

        query, key, value = (heads_of(part) for part in ("query", "key", "value"))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * (1.0 / (width // heads) ** 0.5) + bias
        context = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        attended = dense(ops.reshape(context, (batch * tokens, width)), f"{name}-attention-output-dense")
        x = norm(attended + x, f"{name}-attention-output")
        wide = ops.gelu(dense(x, f"{name}-intermediate-dense"))
        x = norm(dense(wide, f"{name}-output-dense") + x, f"{name}-output")
    first = ops.reshape(x, (batch, tokens, width))[:, 0]
    pooled = ops.tanh(dense(first, "bert-pooler-dense"))
    return ops.dense(pooled, p["classification-output_weights"]) + p["classification-output_bias"]


def wide_deep(ops, p, numbers, wide_ids, deep_ids):
    """examples/models/wide-deep.ts."""
    x = ops.reshape(ops.take(p["deep_embedding"], deep_ids), (numbers.shape[0], -1))
    x = ops.concat([x, numbers])
    for n in range(1, 9):
        x = ops.dense(x, p[f"fc{n}-weight"]) + p[f"fc{n}-bias"]
        x = ops.relu(x) if n < 8 else x
    return ops.sum(ops.take(p["wide_embedding"], wide_ids), 1) + x


class Momentum:
    """`trainNet`: momentum 0.9 at a rate of 0.01, `penalty` times each parameter in its gradient."""

    rate, momentum = 0.01, 0.9

    def __init__(self, penalty):
        self.penalty = penalty


class Adam:
    """With bias correction, over all of every parameter: unread rows of a table stay what they are, as their moments are 0."""

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, rate):
        self.rate = rate


def describe(ops, case, folder):
    """(optimizer, arguments, `loss(p, *arguments)`) of a full-size case."""
    args = variables.feeds(folder)
    name = case["model"]
    if name in ("resnet50", "alexnet"):
        model, penalty = (resnet50, 1 / 32768) if name == "resnet50" else (alexnet, 0.00005)
        images = np.ascontiguousarray(args[0].transpose(0, 2, 3, 1))
        # Label smoothing 0.1.
        targets = np.full((len(images), 1000), 0.1 / 1000, np.float32)
        targets[np.arange(len(images)), args[1]] += 0.9
        return Momentum(penalty), [images, targets], lambda p, x, t: ops.cross_entropy(t, model(ops, p, x))
    if name in ("bert", "transformer"):
        layers, heads = (12, 12) if name == "bert" else (2, 2)
        targets = np.eye(2, dtype=np.float32)[args[3]]
        return (
            Adam(5e-5),
            [*args[:3], targets],
            lambda p, ids, mask, segments, t: ops.cross_entropy(t, bert(ops, p, layers, heads, ids, mask, segments)),
        )
    if name == "wdl":
        targets = args[0].astype(np.float32)
        return (
            Adam(0.001),
            [targets, *args[1:]],
            lambda p, t, *inputs: ops.binary_cross_entropy(t, wide_deep(ops, p, *inputs)),
        )
    raise ValueError(f"has no version of {case['title']}")
