"""The signatures of tests/conformance/signatures.json, as one model.

What each output is made of, the file says in words of its own: `same` gives an input back,
`first` so many of its rows, `size` the number of its elements, a type the input as that type;
a type with rows gives those, as many as there are rows in the input; `features` tells what is in
serialized examples, feature by feature."""

import json
import pathlib

import tensorflow as tf

from common import CLASSIFY, PREDICT, REGRESS, model, save_v1, signature, v1

TABLE = pathlib.Path(__file__).resolve().parents[1] / "conformance" / "signatures.json"
METHODS = {"predict": PREDICT, "classify": CLASSIFY, "regress": REGRESS}
TYPES = {"double": tf.float64, "float": tf.float32}
FEATURES = {
    "age": tf.int64,
    "ints": tf.int64,
    "location": tf.string,
    "names": tf.string,
    "query": tf.string,
    "ratings": tf.float32,
}


def _dtype(name):
    return TYPES.get(name) or getattr(tf, name)


def _features(serialized):
    """A column for each feature: `names: foo|bar`."""
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in FEATURES.items()}
    columns = []
    for name, found in sorted(tf.io.parse_example(serialized, spec).items()):
        values = found.values
        if values.dtype == tf.float32:
            values = tf.strings.as_string(values, shortest=True)
        elif values.dtype != tf.string:
            values = tf.strings.as_string(values)
        texts = tf.sparse.to_dense(tf.SparseTensor(found.indices, values, found.dense_shape), "")
        # Shorter rows were filled up with empty strings.
        joined = tf.strings.regex_replace(
            tf.strings.reduce_join(texts, axis=1, separator="|"), r"\|+$", ""
        )
        columns.append(tf.strings.join([f"{name}: ", joined]))
    return tf.stack(columns, axis=1)


def _output(recipe, inputs):
    ((word, what),) = recipe.items()
    if word == "same":
        return tf.identity(inputs[what])
    if word == "first":
        return inputs[what[0]][: what[1]]
    if word == "size":
        return tf.size(inputs[what])
    if word == "features":
        return _features(inputs[what])
    if isinstance(what, str):
        return tf.cast(inputs[what], _dtype(word))
    rows = what if word == "string" else [[float(value) for value in row] for row in what]
    (rows_of,) = inputs.values()
    return tf.constant(rows, _dtype(word))[: tf.shape(rows_of)[0]]


@model
def conformance(directory):
    """A signature for every set of inputs and outputs that a case of the JSON API needs."""

    def build(session):
        signatures = {}
        for name, wanted in json.loads(TABLE.read_text()).items():
            inputs = {
                key: v1.placeholder(_dtype(dtype), name=f"{name}_{key}")
                for key, dtype in wanted["inputs"].items()
            }
            if wanted.get("method", "predict") != "predict":
                for tensor in inputs.values():
                    tensor.set_shape([None])
            outputs = {
                key: _output(recipe, inputs) for key, recipe in wanted["outputs"].items()
            }
            method = METHODS[wanted.get("method", "predict")]
            signatures[name] = signature(inputs, outputs, method)
        return signatures

    save_v1(directory / "1", build)
