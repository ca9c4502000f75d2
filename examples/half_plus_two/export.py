"""Exports half_plus_two: y = 0.5 * x + 2.

The first model of everybody who serves TensorFlow. It is written as TensorFlow Serving's own test
model is: a TensorFlow 1 graph that parses `tf.Example` records, whose parsed tensor `x` is at the
same time the input of the predict signature. So one graph answers three APIs:

    serving_default   predict    x -> y
    regress_x_to_y    regress    tf.Example with x -> 0.5 * x + 2
    regress_x_to_y2   regress    tf.Example with x -> 0.5 * x + 3
    regress_x2_to_y3  regress    the tensor x2 -> 0.5 * x2 + 3
    classify_x_to_y   classify   tf.Example with x -> scores

The signature says that `x` is [-1, 1], yet clients have always sent a flat list: TensorFlow does
not check the shape of what it is fed here, and so a server must not either.
"""

import argparse
import pathlib

import tensorflow as tf

tf1 = tf.compat.v1


def export(directory: pathlib.Path) -> None:
    """Writes the SavedModel into `directory`, which must not exist."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        a = tf1.Variable(0.5, name="a")
        b = tf1.Variable(2.0, name="b")
        c = tf1.Variable(3.0, name="c")

        serialized = tf1.placeholder(tf.string, name="tf_example")
        examples = tf1.parse_example(
            serialized,
            {
                "x": tf1.FixedLenFeature([1], dtype=tf.float32),
                "x2": tf1.FixedLenFeature([1], dtype=tf.float32, default_value=[0.0]),
            },
        )
        x = tf1.identity(examples["x"], name="x")
        x2 = tf1.identity(examples["x2"], name="x2")
        y = tf1.add(tf1.multiply(a, x), b, name="y")
        y2 = tf1.add(tf1.multiply(a, x), c, name="y2")
        y3 = tf1.add(tf1.multiply(a, x2), c, name="y3")

        info = tf1.saved_model.build_tensor_info
        signature = tf1.saved_model.build_signature_def
        constants = tf1.saved_model.signature_constants

        def regress(inputs, outputs):
            return signature(
                {constants.REGRESS_INPUTS: info(inputs)},
                {constants.REGRESS_OUTPUTS: info(outputs)},
                constants.REGRESS_METHOD_NAME,
            )

        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            signature_def_map={
                constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature(
                    {"x": info(x)}, {"y": info(y)}, constants.PREDICT_METHOD_NAME
                ),
                "regress_x_to_y": regress(serialized, y),
                "regress_x_to_y2": regress(serialized, y2),
                "regress_x2_to_y3": regress(x2, y3),
                "classify_x_to_y": signature(
                    {constants.CLASSIFY_INPUTS: info(serialized)},
                    {constants.CLASSIFY_OUTPUT_SCORES: info(y)},
                    constants.CLASSIFY_METHOD_NAME,
                ),
            },
        )
        builder.save()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write half_plus_two/1")
    export(parser.parse_args().models / "half_plus_two" / "1")
