"""Trains and exports the model behind the processor.

    wine_python/1      serving_default: standardised [n, 13] -> probabilities [n, 3]

It takes measurements less the training's mean, in the training's deviations: the processor makes
them so, by the same numbers (`processor/src/scaling.py`).
"""

import argparse
import pathlib
import sys

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

import data

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "processor/src"))
import scaling  # noqa: E402  (the processor's)


class Classifier(tf.Module):
    """Softmax regression."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray):
        super().__init__()
        self.weights = tf.Variable(weights, dtype=tf.float32)
        self.bias = tf.Variable(bias, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 13], tf.float32, name="standardised")])
    def __call__(self, standardised: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(standardised @ self.weights + self.bias)}


def export(directory: pathlib.Path) -> None:
    wines = data.load()
    standardised = (wines.train - np.array(scaling.MEANS)) / np.array(scaling.DEVIATIONS)
    trained = LogisticRegression(max_iter=1000).fit(standardised, wines.train_cultivars)
    model = Classifier(trained.coef_.T, trained.intercept_)
    tf.saved_model.save(model, str(directory), signatures=model.__call__)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the model")
    export(parser.parse_args().models / "wine_python" / "1")
