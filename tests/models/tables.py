"""Models with files beside the graph: vocabularies in lookup tables, filled by an init op."""

import pathlib
import tempfile

import tensorflow as tf

from common import model, save_v1, save_v2, signature, v1

WORDS = "apple\nbanana\ncherry\n"


def _vocabulary(directory):
    path = pathlib.Path(directory) / "vocabulary.txt"
    path.write_text(WORDS)
    return str(path)


@model
def vocabulary_tf1(directory):
    """The init op under `main_op`, the file in the assets collection."""
    with tempfile.TemporaryDirectory() as scratch:
        path = _vocabulary(scratch)

        def build(session):
            file = tf.constant(path, name="vocabulary_file")
            # Its initializer puts the file into the assets collection.
            table = v1.lookup.StaticHashTable(
                v1.lookup.TextFileInitializer(
                    file,
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                default_value=-1,
            )
            words = v1.placeholder(tf.string, [None], name="words")
            more = {
                "main_op": v1.tables_initializer(),
                "assets_collection": v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            }
            return {"serving_default": signature({"words": words}, {"ids": table.lookup(words)})}, more

        save_v1(directory / "1", build)


@model
def vocabulary_tf2(directory):
    """The same from TF2, with the way back as a second signature."""
    with tempfile.TemporaryDirectory() as scratch:
        path = _vocabulary(scratch)

        class Vocabulary(tf.Module):
            def __init__(self):
                super().__init__()
                index = tf.lookup.TextFileIndex
                self.ids = tf.lookup.StaticHashTable(
                    tf.lookup.TextFileInitializer(
                        path, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
                    ),
                    default_value=-1,
                )
                self.words = tf.lookup.StaticHashTable(
                    tf.lookup.TextFileInitializer(
                        path, tf.int64, index.LINE_NUMBER, tf.string, index.WHOLE_LINE
                    ),
                    default_value="?",
                )

            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
            def to_ids(self, words):
                return {"ids": self.ids.lookup(words)}

            @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="ids")])
            def to_words(self, ids):
                return {"words": self.words.lookup(ids)}

        module = Vocabulary()
        save_v2(
            directory / "1",
            module,
            {"serving_default": module.to_ids, "to_words": module.to_words},
        )
