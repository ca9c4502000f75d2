"""Inputs of odd shapes, several signatures, and a model that takes its time."""

import tensorflow as tf

from common import model, save_v1, save_v2, signature, v1


@model
def unknown_rank(directory):
    """Any shape in, its sum and the shape out."""

    def build(session):
        x = v1.placeholder(tf.float32, name="x")
        return {
            "serving_default": signature(
                {"x": x}, {"doubled": x * 2.0, "sum": tf.reduce_sum(x), "shape": tf.shape(x)}
            )
        }

    save_v1(directory / "1", build)


@model
def scalar(directory):
    """Scalars in and out, made with `tf.saved_model.save`."""

    class Power(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([], tf.float32, name="base"),
                tf.TensorSpec([], tf.int32, name="exponent"),
            ]
        )
        def power(self, base, exponent):
            return {"power": base ** tf.cast(exponent, tf.float32)}

    module = Power()
    save_v2(directory / "1", module, {"serving_default": module.power})


@model
def no_inputs(directory):
    """A signature without inputs."""

    class Constant(tf.Module):
        def __init__(self):
            super().__init__()
            self.value = tf.Variable([1.5, 2.5])

        @tf.function(input_signature=[])
        def read(self):
            return {"value": self.value * 2.0, "name": tf.constant(b"constant")}

    module = Constant()
    save_v2(directory / "1", module, {"serving_default": module.read})


@model
def signatures(directory):
    """Three signatures over one graph, none of them the default."""

    def build(session):
        x = v1.placeholder(tf.float32, [None], name="x")
        y = v1.placeholder(tf.float32, [None], name="y")
        return {
            "negate": signature({"x": x}, {"z": -x}),
            "add": signature({"x": x, "y": y}, {"z": x + y}),
            "divide": signature({"x": x, "y": y}, {"quotient": x / y, "rest": x % y}),
        }

    save_v1(directory / "1", build)


@model
def slow(directory):
    """Runs for as long as its input says.

    `serving_default` counts to `steps` in a loop of the graph (TensorFlow can stop between two
    steps); `one_op` multiplies two matrices of `size` x `size` (nobody can stop that)."""

    class Slow(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="steps")])
        def count(self, steps):
            def step(index, value):
                return index + 1, value * 0.5 + 1.0

            start = (tf.constant(0, tf.int64), tf.constant(0.0))
            steps, value = tf.while_loop(lambda index, _: index < steps, step, start)
            return {"steps": steps, "value": value}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="size")])
        def one_op(self, size):
            # Made from the input, so that nothing can be folded when the model is loaded.
            side = tf.fill([size, size], 1.0)
            return {"corner": (side @ side)[0, 0]}

    module = Slow()
    save_v2(directory / "1", module, {"serving_default": module.count, "one_op": module.one_op})


@model
def compiled(directory):
    """A function that its author marked to be compiled by XLA."""

    class Compiled(tf.Module):
        @tf.function(
            jit_compile=True, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
        )
        def half_plus_two(self, x):
            return {"y": x * 0.5 + 2.0}

    module = Compiled()
    save_v2(directory / "1", module, {"serving_default": module.half_plus_two})
