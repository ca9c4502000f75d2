"""Trains and exports the two models of the digits tutorials.

    digits_softmax/1            softmax regression, by the TensorFlow 1 builder, with the
                                signatures of TensorFlow Serving's MNIST tutorial:
                                predict_images: images [n, 784] -> scores [n, 10];
                                serving_default (classify): tf.Example -> classes and scores
    digits_cnn/<unix time>      a convolutional network in Keras, by `model.export`:
                                serving_default: images [n, 28, 28, 1] -> scores [n, 10]
"""

import argparse
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

import data

tf1 = tf.compat.v1

CLASSES = 10
PIXELS = data.SIDE * data.SIDE
# Training is seeded: every export of the same data has the same error rate, give or take a digit.
SEED = 1
BATCH = 50


def export_softmax(digits: data.Digits, directory: pathlib.Path, steps: int = 1500) -> None:
    """Softmax regression, trained by gradient descent, as TensorFlow Serving's tutorial does it."""
    images = digits.train_images.reshape(-1, PIXELS)
    random = np.random.default_rng(SEED)

    with tf1.Graph().as_default(), tf1.Session() as session:
        serialized = tf1.placeholder(tf.string, name="tf_example")
        parsed = tf1.parse_example(serialized, {"x": tf1.FixedLenFeature([PIXELS], tf.float32)})
        # Fed with images directly by predict_images, filled from tf.Examples by serving_default.
        x = tf1.identity(parsed["x"], name="x")
        labels = tf1.placeholder(tf.int64, [None])
        w = tf1.Variable(tf.zeros([PIXELS, CLASSES]))
        b = tf1.Variable(tf.zeros([CLASSES]))
        logits = tf1.matmul(x, w) + b
        y = tf1.nn.softmax(logits, name="y")
        loss = tf1.losses.sparse_softmax_cross_entropy(labels, logits)
        train = tf1.train.GradientDescentOptimizer(0.1).minimize(loss)

        values, indices = tf1.nn.top_k(y, CLASSES)
        names = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.range(CLASSES, dtype=tf.int64), tf.constant([str(c) for c in range(CLASSES)])
            ),
            default_value="UNK",
        )
        classes = names.lookup(tf.cast(indices, tf.int64))

        session.run(tf1.global_variables_initializer())
        for _ in range(steps):
            rows = random.integers(len(images), size=BATCH)
            session.run(train, {x: images[rows], labels: digits.train_labels[rows]})

        info = tf1.saved_model.build_tensor_info
        signature = tf1.saved_model.build_signature_def
        constants = tf1.saved_model.signature_constants
        builder = tf1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            signature_def_map={
                "predict_images": signature(
                    {"images": info(x)}, {"scores": info(y)}, constants.PREDICT_METHOD_NAME
                ),
                constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature(
                    {constants.CLASSIFY_INPUTS: info(serialized)},
                    {
                        constants.CLASSIFY_OUTPUT_CLASSES: info(classes),
                        constants.CLASSIFY_OUTPUT_SCORES: info(values),
                    },
                    constants.CLASSIFY_METHOD_NAME,
                ),
            },
            main_op=tf1.tables_initializer(),
            strip_default_attrs=True,
        )
        builder.save()


def export_cnn(digits: data.Digits, directory: pathlib.Path, epochs: int) -> None:
    """The convolutional network of the Keras tutorial on MNIST."""
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((data.SIDE, data.SIDE, 1), name="images"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        digits.train_images[..., np.newaxis],
        digits.train_labels,
        batch_size=BATCH,
        epochs=epochs,
        verbose=2,
    )
    model.export(str(directory), verbose=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the two models")
    parser.add_argument("--mnist", type=pathlib.Path, help="directory with MNIST's four .gz files")
    parser.add_argument("--epochs", type=int, default=12, help="passes of the network over the data")
    arguments = parser.parse_args()

    everything = data.load(arguments.mnist)
    export_softmax(everything, arguments.models / "digits_softmax" / "1")
    export_cnn(everything, arguments.models / "digits_cnn" / str(int(time.time())), arguments.epochs)
