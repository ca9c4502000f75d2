"""TensorFlow Lite models: `model.tflite` in a version directory, alone or beside a SavedModel."""

import tensorflow as tf

from common import model


def spec(name, dtype, shape=(None,)):
    return tf.TensorSpec(shape, dtype, name=name)


def write(directory, module):
    """The module's `serve` as `model.tflite` in a version directory."""
    directory.mkdir(parents=True, exist_ok=True)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
    (directory / "model.tflite").write_bytes(converter.convert())


class HalfPlus(tf.Module):
    """x / 2 + addend, and the sums of the rows."""

    def __init__(self, addend):
        super().__init__()
        self.addend = addend

    @tf.function(input_signature=[spec("x", tf.float32, (None, 3))])
    def serve(self, x):
        return {"y": x * 0.5 + self.addend, "total": tf.reduce_sum(x, axis=1)}


class Mixed(tf.Module):
    """Inputs of several types and ranks."""

    @tf.function(
        input_signature=[
            spec("flags", tf.bool),
            spec("numbers", tf.int64),
            spec("one", tf.float32, ()),
        ]
    )
    def serve(self, flags, numbers, one):
        return {
            "not_flags": tf.logical_not(flags),
            "doubled": numbers * 2,
            "more": one + 1.0,
        }


class Strings(tf.Module):
    """Takes strings, which LiteRT's interpreter cannot be given."""

    @tf.function(input_signature=[spec("words", tf.string)])
    def serve(self, words):
        return {"words": tf.identity(words)}


class Dynamic(tf.Module):
    """The shape of one output depends on the values of the input, that of the other does not."""

    @tf.function(input_signature=[spec("x", tf.float32)])
    def serve(self, x):
        return {"positions": tf.where(x > 0.0), "doubled": x * 2.0}


class Flags(tf.Module):
    """An output of one byte, and one that no input has a say in."""

    @tf.function(input_signature=[spec("x", tf.float32)])
    def serve(self, x):
        return {
            "positive": tf.reduce_all(x > 0.0),
            "always": tf.constant([1.0, 2.0, 3.0]),
        }


@model
def lite(directory):
    write(directory / "1", HalfPlus(2.0))


@model
def lite_mixed(directory):
    write(directory / "1", Mixed())


@model
def lite_strings(directory):
    write(directory / "1", Strings())


@model
def lite_dynamic(directory):
    write(directory / "1", Dynamic())


@model
def lite_flags(directory):
    write(directory / "1", Flags())


@model
def lite_strings_beside_saved_model(directory):
    """What LiteRT cannot serve, and the same as a SavedModel, which TensorFlow can."""
    module = Strings()
    tf.saved_model.save(
        module, str(directory / "1"), signatures={"serving_default": module.serve}
    )
    write(directory / "1", module)


@model
def lite_beside_saved_model(directory):
    """The SavedModel adds 10, the TensorFlow Lite model 20: an answer tells which was used."""
    saved = HalfPlus(10.0)
    tf.saved_model.save(
        saved, str(directory / "1"), signatures={"serving_default": saved.serve}
    )
    write(directory / "1", HalfPlus(20.0))
