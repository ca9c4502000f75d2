"""One model per manner of exporting."""

import tensorflow as tf

from common import CLASSIFY, PREDICT, REGRESS, model, save_v1, save_v2, signature, v1


def _half_plus(constant):
    """TensorFlow Serving's test model: y = 0.5 x + constant, through tf.Example and without."""

    def build(session):
        a = v1.get_variable("a", initializer=0.5, use_resource=False)
        b = v1.get_variable("b", initializer=float(constant), use_resource=False)
        c = v1.get_variable("c", initializer=float(constant + 1), use_resource=False)
        serialized = v1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(
            serialized,
            {
                "x": tf.io.FixedLenFeature([1], tf.float32),
                "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
            },
        )
        # Not placeholders: a request feeds a tensor in the middle of the graph.
        x = tf.identity(parsed["x"], name="x")
        x2 = tf.identity(parsed["x2"], name="x2")
        # What they are declared to be. Requests with other shapes run all the same.
        x.set_shape([None, 1])
        x2.set_shape([None, 1])
        y = tf.add(tf.multiply(a, x), b, name="y")
        y2 = tf.add(tf.multiply(a, x), c, name="y2")
        y3 = tf.add(tf.multiply(a, x2), c, name="y3")
        examples = {"inputs": serialized}
        return {
            "serving_default": signature({"x": x}, {"y": y}),
            "regress_x_to_y": signature(examples, {"outputs": y}, REGRESS),
            "regress_x_to_y2": signature(examples, {"outputs": y2}, REGRESS),
            "regress_x2_to_y3": signature({"inputs": x2}, {"outputs": y3}, REGRESS),
            "classify_x_to_y": signature(examples, {"scores": y}, CLASSIFY),
            "classify_x2_to_y3": signature({"inputs": x2}, {"scores": y3}, CLASSIFY),
        }

    return build


@model
def half_plus_two(directory):
    """As the original's, under its version."""
    save_v1(directory / "00000123", _half_plus(2))


@model
def half_plus_version(directory):
    """Two versions that answer differently: version n gives 0.5 x + n."""
    for version in (2, 3):
        save_v1(directory / str(version), _half_plus(version))


@model
def tf1_builder(directory):
    """y = w x + b with variables of both kinds that TF1 has."""

    def build(session):
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        w = v1.get_variable("w", initializer=[[1.0], [10.0], [100.0]], use_resource=False)
        b = v1.get_variable("b", initializer=[0.25], use_resource=True)
        return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w) + b})}

    save_v1(directory / "1", build)


@model
def tf2_module(directory):
    """`tf.saved_model.save` of a module with variables and two signatures."""

    class Affine(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[2.0, 0.0], [0.0, 3.0]], name="w")
            self.b = tf.Variable([0.5, -0.5], name="b")

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def forward(self, x):
            return {"y": x @ self.w + self.b}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="y")])
        def backward(self, y):
            return {"x": (y - self.b) @ tf.linalg.inv(self.w)}

    module = Affine()
    save_v2(
        directory / "1",
        module,
        {"serving_default": module.forward, "backward": module.backward},
    )


@model
def keras_export(directory):
    """Keras 3, `model.export`."""
    import contextlib
    import io

    import keras

    network = keras.Sequential(
        [
            keras.Input((4,), name="features"),
            keras.layers.Dense(
                3,
                activation="relu",
                kernel_initializer=keras.initializers.Constant(0.5),
                bias_initializer="ones",
            ),
            keras.layers.Dense(
                2, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(-1.0)
            ),
        ]
    )
    # It prints what it has made, `verbose` or not.
    with contextlib.redirect_stdout(io.StringIO()):
        network.export(str(directory / "1"), verbose=False)


@model
def estimator(directory):
    """What `tf.estimator` exported: serialized tf.Examples in; classify, regress and predict."""

    def build(session):
        serialized = v1.placeholder(tf.string, [None], name="input_example_tensor")
        parsed = tf.io.parse_example(
            serialized,
            {
                "age": tf.io.FixedLenFeature([1], tf.float32),
                "city": tf.io.FixedLenFeature([1], tf.string, default_value=[b""]),
            },
        )
        w = v1.get_variable("w", initializer=[[1.0, -1.0]], use_resource=True)
        logits = tf.matmul(parsed["age"], w)
        scores = tf.nn.softmax(logits)
        classes = tf.tile(tf.constant([[b"young", b"old"]]), [tf.shape(logits)[0], 1])
        probability = tf.reshape(scores[:, 0], [-1, 1])
        examples = {"inputs": serialized}
        classify = signature(examples, {"classes": classes, "scores": scores}, CLASSIFY)
        return {
            "serving_default": classify,
            "classification": classify,
            "regression": signature(examples, {"outputs": probability}, REGRESS),
            "predict": signature(
                {"examples": serialized},
                {"logits": logits, "city": parsed["city"], "probabilities": scores},
                PREDICT,
            ),
        }

    save_v1(directory / "1", build)


@model
def tag_sets(directory):
    """Three graphs in one file: {serve} doubles, {serve, gpu} triples, {train} quadruples."""
    builder = v1.saved_model.builder.SavedModelBuilder(str(directory / "1"))
    for index, tags in enumerate((["serve"], ["serve", "gpu"], ["train"])):
        with tf.Graph().as_default(), v1.Session() as session:
            factor = v1.get_variable("factor", initializer=2.0)
            x = v1.placeholder(tf.float32, [None], name="x")
            y = x * (factor + float(index))
            session.run(v1.global_variables_initializer())
            signatures = {"serving_default": signature({"x": x}, {"y": y})}
            if index == 0:
                builder.add_meta_graph_and_variables(session, tags, signature_def_map=signatures)
            else:
                builder.add_meta_graph(tags, signature_def_map=signatures)
    builder.save()


@model
def counter(directory):
    """State between requests, no inputs, and outputs declared with reference types."""

    def build(session):
        count = v1.get_variable("counter", initializer=0.0, use_resource=False)
        by = v1.placeholder_with_default(1.0, [], name="delta")
        increment = v1.assign_add(count, 1.0)
        return {
            "get_counter": signature({}, {"output": count}),
            "incr_counter": signature({}, {"output": increment}),
            "incr_counter_by": signature({"delta": by}, {"output": v1.assign_add(count, by)}),
            "reset_counter": signature({}, {"output": v1.assign(count, 0.0)}),
        }

    save_v1(directory / "1", build)
