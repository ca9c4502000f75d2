"""Exports the models of the benchmarks.

    export.py DIR

    DIR/cnn/1     the tutorial's convolutional network for handwritten digits, not trained: what a
                  run costs does not depend on the weights. images [n, 28, 28, 1] -> scores [n, 10]
    DIR/echo/1    the same shapes, and nothing computed: ten pixels of each picture

The weights come from a seed: every export answers alike.
"""

import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

SIDE = 28
CLASSES = 10
SEED = 1


def export_cnn(directory):
    """As a user of Keras exports it."""
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1), name="images"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ]
    )
    # A name for the output, whatever the layer is called inside.
    signature = keras.export.ExportArchive()
    signature.track(network)
    signature.add_endpoint(
        "serve",
        lambda images: {"scores": network(images, training=False)},
        input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32, name="images")],
    )
    signature.write_out(str(directory), verbose=False)


def export_echo(directory):
    """Each output depends on its row, so that answers can be told apart."""

    class Echo(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32, name="images")]
        )
        def serve(self, images):
            return {"scores": images[:, 0, :CLASSES, 0]}

    echo = Echo()
    tf.saved_model.save(echo, str(directory), signatures={"serving_default": echo.serve})


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    models = pathlib.Path(sys.argv[1])
    export_cnn(models / "cnn" / "1")
    export_echo(models / "echo" / "1")


if __name__ == "__main__":
    main()
