"""Signatures that break a rule of classify and regress each, and one whose inputs have values of
their own."""

import tensorflow as tf

from common import CLASSIFY, PREDICT, REGRESS, model, save_v1, signature, v1


@model
def odd_examples(directory):
    """Classify and regress signatures that the original refuses, each for another reason."""

    def build(session):
        records = v1.placeholder(tf.string, [None], name="records")
        more = v1.placeholder(tf.string, [None], name="more")
        count = tf.shape(records)[0]
        column = tf.fill([count, 1], 0.5)
        wide = tf.tile(column, [1, 3])
        words = tf.fill(tf.shape(wide), "word")
        examples = {"inputs": records}
        both = {"inputs": records, "more": more}
        return {
            "classify": signature(examples, {"classes": words, "scores": wide}, CLASSIFY),
            "classes_only": signature(examples, {"classes": words}, CLASSIFY),
            "classify_two_inputs": signature(both, {"scores": wide}, CLASSIFY),
            "classify_three_outputs": signature(
                examples, {"classes": words, "scores": wide, "third": wide}, CLASSIFY
            ),
            "classify_other_input": signature({"examples": records}, {"scores": wide}, CLASSIFY),
            "classify_other_output": signature(examples, {"chances": wide}, CLASSIFY),
            "classify_flat": signature(examples, {"scores": wide[:, 0]}, CLASSIFY),
            "classify_numbers": signature(
                examples, {"classes": tf.cast(wide, tf.int64)}, CLASSIFY
            ),
            "classify_doubles": signature(
                examples, {"scores": tf.cast(wide, tf.float64)}, CLASSIFY
            ),
            "classify_short": signature(examples, {"scores": wide[1:]}, CLASSIFY),
            "classify_uneven": signature(
                examples, {"classes": words[:, 1:], "scores": wide}, CLASSIFY
            ),
            "regress": signature(examples, {"outputs": column}, REGRESS),
            "regress_flat": signature(examples, {"outputs": column[:, 0]}, REGRESS),
            "regress_two_outputs": signature(
                examples, {"outputs": column, "others": column}, REGRESS
            ),
            "regress_wide": signature(examples, {"outputs": wide}, REGRESS),
            "regress_short": signature(examples, {"outputs": column[1:]}, REGRESS),
            "regress_doubles": signature(
                examples, {"outputs": tf.cast(column, tf.float64)}, REGRESS
            ),
            # What a classify request must not take for one of its own, if it is asked to look.
            "as_predict": signature(examples, {"scores": wide}, PREDICT),
        }

    save_v1(directory / "1", build)


@model
def defaults(directory):
    """y = x * factor + offset, where a request may leave factor (10) and offset (1) out."""

    def build(session):
        x = v1.placeholder(tf.float32, [None], name="x")
        factor = v1.placeholder(tf.float32, [], name="factor")
        offset = v1.placeholder(tf.float32, [], name="offset")
        inputs = {"x": x, "factor": factor, "offset": offset}
        serving = signature(inputs, {"y": x * factor + offset})
        serving.defaults["factor"].CopyFrom(tf.make_tensor_proto(10.0))
        serving.defaults["offset"].CopyFrom(tf.make_tensor_proto(1.0))
        return {"serving_default": serving}

    save_v1(directory / "1", build)
