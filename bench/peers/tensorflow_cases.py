"""The cases of layers in TensorFlow, a step as one tf.function."""
import numpy as np
import tensorflow as tf
from formula import formula


def open_case(c):
    """A step of the case: training gives the loss before the update, inference the sum of squared logits."""
    batch, shape = c["batch"], list(c["input"])
    x = formula(10, batch * int(np.prod(shape)), 1).reshape(batch, *shape)
    x = np.abs(x) if c["positiveInputs"] else x
    # Its CPU kernels convolve NHWC only, with filters [h, w, in, out].
    x = tf.constant(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    variables, tensor = [], 0
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
            variables.append(tf.Variable(values.transpose(2, 3, 1, 0) if values.ndim == 4 else values))
            tensor += 1
    y = tf.constant(np.arange(batch) % shape[0], tf.int32)

    def logits():
        h, rest = x, iter(variables)
        for layer in c["layers"]:
            if layer["kind"] == "pool":
                h = tf.nn.max_pool2d(h, 2, 2, "SAME")
                continue
            weight, bias = next(rest), next(rest)
            if layer["kind"] == "conv":
                h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(h, weight, 1, "SAME"), bias))
            else:
                if len(h.shape) == 4:
                    h = tf.reshape(tf.transpose(h, [0, 3, 1, 2]), [batch, -1])
                h = tf.nn.bias_add(tf.matmul(h, weight, transpose_b=True), bias)
                h = tf.nn.relu(h) if layer["relu"] else h
        return h

    @tf.function
    def train():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits()))
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            variable.assign_sub(c["learningRate"] * gradient)
        return loss

    @tf.function
    def predict():
        return tf.reduce_sum(tf.square(logits()))

    step = train if c["mode"] == "train" else predict
    return lambda: step().numpy()
