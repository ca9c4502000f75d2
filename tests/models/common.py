"""What every exporter of test models needs: the list of models, and short words for TF1."""

import logging
import warnings

import tensorflow as tf

v1 = tf.compat.v1

# name -> function that writes the model's versions under a directory
MODELS = {}

PREDICT = tf.saved_model.PREDICT_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME
CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME


def model(build):
    """Registers `build(directory)` as the model of its own name."""
    if build.__name__ in MODELS:
        raise ValueError(f"two models are called {build.__name__}")
    MODELS[build.__name__] = build
    return build


def quiet():
    """TensorFlow's Python side warns about every old function that these exporters use."""
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        import absl.logging

        absl.logging.set_verbosity(absl.logging.ERROR)
    except ImportError:
        pass


def signature(inputs, outputs, method=PREDICT):
    """A SignatureDef from tensors by name."""
    info = v1.saved_model.build_tensor_info
    return v1.saved_model.build_signature_def(
        inputs={name: info(tensor) for name, tensor in inputs.items()},
        outputs={name: info(tensor) for name, tensor in outputs.items()},
        method_name=method,
    )


def save_v1(directory, build, tags=("serve",), config=None):
    """Exports with the TF1 builder: `build(session)` makes the graph and gives its signatures,
    or a pair of those and more arguments for the builder."""
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        built = build(session)
        signatures, more = built if isinstance(built, tuple) else (built, {})
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(str(directory))
        builder.add_meta_graph_and_variables(
            session, list(tags), signature_def_map=signatures, **more
        )
        builder.save()


def save_v2(directory, module, signatures):
    """Exports with `tf.saved_model.save`, without what only Python needs."""
    tf.saved_model.save(
        module,
        str(directory),
        signatures=signatures,
        options=tf.saved_model.SaveOptions(save_debug_info=False),
    )
