"""Exports the models of the examples canary, cascade, ensemble and shadow: digits again.

    digits_small/1      softmax regression
    digits_middle/1     a network with one hidden layer
    digits_large/1      compares with every picture that it was trained on
    cascade/1           digits_small
    ensemble/1          digits_small
    shadow/1            digits_small
    canary/1            digits_small
    canary/2            digits_large

All of them have one signature: serving_default: images [n, 784] -> scores [n, 10].
"""

import argparse
import pathlib
import sys
import warnings

import numpy as np
import tensorflow as tf
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "digits"))
import data  # noqa: E402  (the other example's)

CLASSES = 10
PIXELS = data.SIDE * data.SIDE
SEED = 1
STEPS = 200
# How quickly a picture counts less the farther it is; so that scores are about as often right as
# they say.
SHARPNESS = 0.25


class Digits(tf.Module):
    """A model with the signature that all of them have."""

    @tf.function(input_signature=[tf.TensorSpec([None, PIXELS], tf.float32, name="images")])
    def predict(self, images):
        return {"scores": self.scores(images)}


class Small(Digits):
    """Softmax regression, by gradient descent over all pictures at once."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__()
        wanted = np.eye(CLASSES, dtype=np.float32)[labels]
        w = np.zeros((PIXELS, CLASSES), np.float32)
        b = np.zeros(CLASSES, np.float32)
        for _ in range(STEPS):
            logits = images @ w + b
            given = np.exp(logits - logits.max(axis=1, keepdims=True))
            given /= given.sum(axis=1, keepdims=True)
            error = (given - wanted) / len(images)
            w -= 0.1 * (images.T @ error)
            b -= 0.1 * error.sum(axis=0)
        self.w, self.b = tf.Variable(w), tf.Variable(b)

    def scores(self, images):
        return tf.nn.softmax(images @ self.w + self.b)


class Middle(Digits):
    """One hidden layer."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__()
        network = MLPClassifier((48,), max_iter=25, random_state=SEED)
        with warnings.catch_warnings():
            # It would go on; what it has is enough.
            warnings.simplefilter("ignore")
            network.fit(images, labels)
        self.layers = [
            (tf.Variable(w, dtype=tf.float32), tf.Variable(b, dtype=tf.float32))
            for w, b in zip(network.coefs_, network.intercepts_, strict=True)
        ]

    def scores(self, images):
        (w1, b1), (w2, b2) = self.layers
        return tf.nn.softmax(tf.nn.relu(images @ w1 + b1) @ w2 + b2)


class Large(Digits):
    """Every picture of the training, weighted by its distance.

    It is what a model can be whose makers are careful: what is no picture is refused.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__()
        self.images = tf.Variable(images)
        self.labels = tf.Variable(np.eye(CLASSES, dtype=np.float32)[labels])

    def scores(self, images):
        is_picture = tf.reduce_all((images >= 0.0) & (images <= 1.0))
        check = tf.debugging.Assert(is_picture, ["pixels go from 0 to 1"])
        with tf.control_dependencies([check]):
            lengths = tf.reduce_sum(self.images**2, axis=1)
            # Without the length of the picture itself, which is the same for all.
            distances = lengths - 2.0 * tf.matmul(images, self.images, transpose_b=True)
            return tf.nn.softmax(-SHARPNESS * distances) @ self.labels


def export(model: Digits, directory: pathlib.Path) -> None:
    """Writes the SavedModel into `directory`."""
    tf.saved_model.save(model, str(directory), signatures={"serving_default": model.predict})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the models")
    models = parser.parse_args().models

    digits = data.load()
    seen = digits.train_images.reshape(-1, PIXELS), digits.train_labels
    test = digits.test_images.reshape(-1, PIXELS)
    small, middle, large = Small(*seen), Middle(*seen), Large(*seen)
    for model in (small, middle, large):
        wrong = model.predict(test)["scores"].numpy().argmax(axis=1) != digits.test_labels
        print(f"{type(model).__name__}: error rate {wrong.mean():.1%}")
    for name, version, model in [
        ("digits_small", 1, small),
        ("digits_middle", 1, middle),
        ("digits_large", 1, large),
        ("cascade", 1, small),
        ("ensemble", 1, small),
        ("shadow", 1, small),
        ("canary", 1, small),
        ("canary", 2, large),
    ]:
        export(model, models / name / str(version))
