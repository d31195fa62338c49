"""The full-size models in TensorFlow: a step is one `tf.function`, with TensorFlow's fused kernels for normalization and updates."""
import tensorflow as tf

import functional_models as models


class Ops:
    relu = staticmethod(tf.nn.relu)
    reshape = staticmethod(tf.reshape)
    transpose = staticmethod(tf.transpose)
    matmul = staticmethod(tf.matmul)
    tanh = staticmethod(tf.tanh)
    mean = staticmethod(tf.reduce_mean)
    sum = staticmethod(tf.reduce_sum)
    softmax = staticmethod(tf.nn.softmax)
    take = staticmethod(tf.gather)

    @staticmethod
    def conv(x, weight, stride, padding):
        return tf.nn.conv2d(x, weight, stride, [[0, 0], [padding, padding], [padding, padding], [0, 0]])

    @staticmethod
    def max_pool(x, kernel, stride, padding):
        return tf.nn.max_pool2d(x, kernel, stride, [[0, 0], [padding, padding], [padding, padding], [0, 0]])

    @staticmethod
    def avg_pool(x, kernel, stride):
        return tf.nn.avg_pool2d(x, kernel, stride, "VALID")

    @staticmethod
    def batch_norm(x, gamma, beta, epsilon):
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=epsilon, is_training=True)[0]

    @staticmethod
    def layer_norm(x, gamma, beta, epsilon):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    @staticmethod
    def dense(x, weight):
        return tf.matmul(x, weight, transpose_b=True)

    @staticmethod
    def gelu(x):
        return tf.nn.gelu(x, approximate=False)

    @staticmethod
    def float(x):
        return tf.cast(x, tf.float32)

    @staticmethod
    def concat(parts):
        return tf.concat(parts, axis=1)

    @staticmethod
    def cross_entropy(targets, logits):
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    @staticmethod
    def binary_cross_entropy(targets, logits):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


def updates_of(optimizer, values):
    """`update(name, gradient)`, which changes a variable and its slots."""

    def slots():
        return {name: tf.Variable(tf.zeros_like(value)) for name, value in values.items()}

    if isinstance(optimizer, models.Momentum):
        velocities = slots()

        def momentum(name, gradient):
            tf.raw_ops.ResourceApplyMomentum(
                var=values[name].handle,
                accum=velocities[name].handle,
                lr=optimizer.rate,
                grad=gradient + optimizer.penalty * values[name],
                momentum=optimizer.momentum,
            )

        return lambda: None, momentum
    m, v, t = slots(), slots(), tf.Variable(0.0)

    def adam(name, gradient):
        tf.raw_ops.ResourceApplyAdam(
            var=values[name].handle,
            m=m[name].handle,
            v=v[name].handle,
            beta1_power=optimizer.beta1**t,
            beta2_power=optimizer.beta2**t,
            lr=optimizer.rate,
            beta1=optimizer.beta1,
            beta2=optimizer.beta2,
            epsilon=optimizer.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )

    return lambda: t.assign_add(1.0), adam


def open_model(case, threads, weights, feeds):
    """A step of a full-size case on its fixed batch: the mean loss before the update."""
    optimizer, arguments, loss_of = models.describe(Ops, case, feeds)
    values = {name: tf.Variable(value) for name, value in models.first_values(weights).items()}
    begin, update = updates_of(optimizer, values)
    arguments = [tf.constant(argument) for argument in arguments]

    @tf.function
    def run(*arguments):
        with tf.GradientTape() as tape:
            loss = loss_of(values, *arguments)
        gradients = tape.gradient(loss, values)
        begin()
        for name, gradient in gradients.items():
            update(name, gradient)
        return loss

    return lambda: run(*arguments).numpy().item()
