"""A model with an operation that TensorFlow itself does not have."""

import importlib.util
import pathlib

import tensorflow as tf

from common import model, save_v2

OPERATIONS = "python/ops/_regex_split_ops.so"


def _operations():
    """tensorflow-text's library for splitting strings. Not by importing the package: not every
    release of it can be, with every TensorFlow that it asks for."""
    package = importlib.util.find_spec("tensorflow_text").submodule_search_locations[0]
    return tf.load_op_library(str(pathlib.Path(package) / OPERATIONS))


@model
def tokens(directory):
    """Words, and where they start, of all texts in one list."""
    operations = _operations()

    class Tokens(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def split(self, text):
            words, starts, _, _ = operations.regex_split_with_offsets(
                input=text, delim_regex_pattern=r"(\s+)", keep_delim_regex_pattern=""
            )
            return {"tokens": words, "starts": starts}

    module = Tokens()
    save_v2(directory / "1", module, {"serving_default": module.split})
