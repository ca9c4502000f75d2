"""Trains and exports the model behind the processor.

    iris_javascript/1      serving_default: measurements [n, 4] -> probabilities [n, 3]

The measurements are centimetres: length and width of sepals, length and width of petals.
"""

import argparse
import pathlib

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Classifier(tf.Module):
    """Softmax regression."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray):
        super().__init__()
        self.weights = tf.Variable(weights, dtype=tf.float32)
        self.bias = tf.Variable(bias, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="measurements")])
    def __call__(self, measurements: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.nn.softmax(measurements @ self.weights + self.bias)}


def export(directory: pathlib.Path) -> None:
    flowers = load_iris()
    trained = LogisticRegression(max_iter=1000).fit(flowers.data, flowers.target)
    model = Classifier(trained.coef_.T, trained.intercept_)
    tf.saved_model.save(model, str(directory), signatures=model.__call__)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the model")
    export(parser.parse_args().models / "iris_javascript" / "1")
