"""y = w x + b, fitted to a noisy sine ramp: data, model, training and publishing.

The input has the fixed shape [100, 1]: one whole ramp per request.
"""

import os
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

POINTS = 100
# The noise is drawn once, with a seed: every training sees the same ramp.
SEED = 7
LEARNING_RATE = 0.1


def ramp() -> tuple[np.ndarray, np.ndarray]:
    """x rises from 0 to 1; y rises along it with a sine wave and noise on top. Both [100, 1]."""
    x = np.linspace(0.0, 1.0, POINTS, dtype=np.float32).reshape(POINTS, 1)
    noise = np.random.default_rng(SEED).normal(0.0, 0.05, x.shape)
    y = 2.0 * x + 0.5 + 0.2 * np.sin(2.0 * np.pi * x) + noise
    return x, y.astype(np.float32)


class LinearRegression(tf.Module):
    """The model. It starts at zero, so that a little training is visible."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(0.0, name="w")
        self.b = tf.Variable(0.0, name="b")

    @tf.function(input_signature=[tf.TensorSpec([POINTS, 1], tf.float32, name="x")])
    def predict(self, x):
        return {"y": self.w * x + self.b}


def newest_version(directory: pathlib.Path) -> int:
    """The highest version in a model's directory, 0 where there is none."""
    return max((int(d.name) for d in directory.iterdir() if d.name.isdecimal()), default=0)


def restore(version: pathlib.Path) -> LinearRegression:
    """A model that goes on from the weights of an exported version."""
    saved = tf.saved_model.load(str(version))
    model = LinearRegression()
    model.w.assign(saved.w)
    model.b.assign(saved.b)
    return model


def train(model: LinearRegression, steps: int) -> float:
    """Takes `steps` steps of gradient descent over the whole ramp and gives the last loss."""
    x, y = ramp()
    loss = tf.constant(float("nan"))
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model.predict(x)["y"] - y))
        for variable, gradient in zip(
            (model.w, model.b), tape.gradient(loss, (model.w, model.b)), strict=True
        ):
            variable.assign_sub(LEARNING_RATE * gradient)
    return float(loss)


def publish(model: LinearRegression, directory: pathlib.Path, version: int) -> None:
    """Makes `directory/version` appear at once and whole.

    A server that watches the directory would load a half-written version: write it under another
    name (one that is no number, so that no server takes it for a version) and rename it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=directory) as staging:
        staged = os.path.join(staging, "model")
        tf.saved_model.save(model, staged, signatures={"serving_default": model.predict})
        os.rename(staged, directory / str(version))
