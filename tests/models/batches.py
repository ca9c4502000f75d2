"""A model that tells how it was batched."""

import tensorflow as tf

from common import model, save_v2


@model
def batch_teller(directory):
    """`serving_default`: for each row its double, and how many rows and columns the run had that
    computed it; a 13 anywhere fails the whole run. `total`: a sum over all rows. `lengths`:
    strings."""

    class BatchTeller(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
        def tell(self, x):
            checked = tf.debugging.assert_none_equal(x, 13.0, message="a thirteen")
            with tf.control_dependencies([checked]):
                shape = tf.shape(x)
            return {
                "double": x * 2.0,
                "rows": tf.fill([shape[0]], shape[0]),
                "columns": tf.fill([shape[0]], shape[1]),
            }

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
        def total(self, x):
            return {"total": tf.reduce_sum(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def lengths(self, text):
            rows = tf.shape(text)[0]
            return {"length": tf.strings.length(text), "rows": tf.fill([rows], rows)}

    module = BatchTeller()
    signatures = {
        "serving_default": module.tell,
        "total": module.total,
        "lengths": module.lengths,
    }
    save_v2(directory / "1", module, signatures)
