"""Exports the model behind the processor, as Estimators and TFX write theirs: it takes serialized
tf.Examples, and parses them itself.

    tabular/1       serving_default (predict): examples [n] -> rent [n], scores [n, 3]
                    regress: tf.Examples -> rent
                    classify: tf.Examples -> bands and their scores

    tf.Example: area float, rooms int64, city bytes, built int64 (may be left out)
"""

import argparse
import pathlib

import tensorflow as tf

import flats

tf1 = tf.compat.v1


def export(weights: flats.Weights, directory: pathlib.Path) -> None:
    """Writes the SavedModel into `directory`, which must not exist."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        serialized = tf1.placeholder(tf.string, [None], name="tf_example")
        parsed = tf1.parse_example(
            serialized,
            {
                "area": tf1.FixedLenFeature([], tf.float32),
                "rooms": tf1.FixedLenFeature([], tf.int64),
                "city": tf1.FixedLenFeature([], tf.string),
                "built": tf1.FixedLenFeature([], tf.int64, default_value=flats.UNKNOWN_YEAR),
            },
        )
        area = parsed["area"] / 50.0
        rooms = tf.cast(parsed["rooms"], tf.float32) / 3.0
        built = tf.cast(parsed["built"] - flats.UNKNOWN_YEAR, tf.float32) / 50.0
        columns = [tf.ones_like(area), area, rooms, built]
        columns += [
            tf.cast(tf.equal(parsed["city"], city), tf.float32) * area for city in flats.CITIES
        ]
        inputs = tf.stack(columns, axis=1)
        rent = tf.linalg.matvec(inputs, tf1.Variable(weights.rent))
        scores = tf.nn.softmax(inputs @ tf1.Variable(weights.band))
        count = tf.shape(serialized)[0]
        bands = tf.tile(tf.constant([flats.BANDS]), [count, 1])
        session.run(tf1.global_variables_initializer())

        info = tf1.saved_model.build_tensor_info
        signature = tf1.saved_model.build_signature_def
        constants = tf1.saved_model.signature_constants
        builder = tf1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            signature_def_map={
                constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature(
                    {"examples": info(serialized)},
                    {"rent": info(rent), "scores": info(scores)},
                    constants.PREDICT_METHOD_NAME,
                ),
                "regress": signature(
                    {constants.REGRESS_INPUTS: info(serialized)},
                    {constants.REGRESS_OUTPUTS: info(rent)},
                    constants.REGRESS_METHOD_NAME,
                ),
                "classify": signature(
                    {constants.CLASSIFY_INPUTS: info(serialized)},
                    {
                        constants.CLASSIFY_OUTPUT_CLASSES: info(bands),
                        constants.CLASSIFY_OUTPUT_SCORES: info(scores),
                    },
                    constants.CLASSIFY_METHOD_NAME,
                ),
            },
        )
        builder.save()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the model")
    export(flats.fit(), parser.parse_args().models / "tabular" / "1")
