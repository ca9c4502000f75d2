"""Every element type, and those that cannot be served."""

import tensorflow as tf

from tensorflow.core.framework import attr_value_pb2, tensor_pb2

from common import model, save_v1, save_v2, signature, v1

SERVED = [
    "bfloat16",
    "bool",
    "complex128",
    "complex64",
    "double",
    "float",
    "half",
    "int16",
    "int32",
    "int64",
    "int8",
    "qint16",
    "qint32",
    "qint8",
    "quint16",
    "quint8",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
]
ALIASES = {"double": "float64", "float": "float32", "half": "float16"}


def _identity(name):
    x = v1.placeholder(getattr(tf, ALIASES.get(name, name)), name=f"{name}_x")
    # A tensor cannot be both fed and fetched, and a lone placeholder would be just that.
    return signature({"x": x}, {"y": tf.identity(x, name=f"{name}_y")})


@model
def identity(directory):
    """One signature per type, named as TensorFlow names the type: y = x, of any rank."""

    def build(session):
        signatures = {name: _identity(name) for name in SERVED}
        signatures["serving_default"] = signatures["float"]
        return signatures

    save_v1(directory / "1", build)


# The list in which a TensorProto of the type has its elements, where it is not the integers'.
LISTS = {
    "bfloat16": "half_val",
    "bool": "bool_val",
    "complex128": "dcomplex_val",
    "complex64": "scomplex_val",
    "double": "double_val",
    "float": "float_val",
    "half": "half_val",
    "int64": "int64_val",
    "string": "string_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}


def _values(name, written):
    """A value of three elements: as it lies in memory, as a list, or as one that is too short."""
    proto = tensor_pb2.TensorProto(dtype=getattr(tf, ALIASES.get(name, name)).as_datatype_enum)
    proto.tensor_shape.dim.add(size=3)
    if written == "content":
        size = {"string": 2}.get(name) or getattr(tf, ALIASES.get(name, name)).size
        one = b"\x01" * size
        # Of strings: the lengths, then the bytes.
        content = b"\x01\x00\x02abc" if name == "string" else one + bytes(size) + one
        proto.tensor_content = content
        return proto
    elements = {"string": [b"", b"\xff"], "bool": [False, True]}.get(name, [1, 2])
    if name.startswith("complex"):
        elements = [1, 2, 3, 4]
    if written == "none":
        elements = []
    getattr(proto, LISTS.get(name, "int_val")).extend(elements)
    return proto


def _with_default(name, written):
    """`same` is the default as TensorFlow reads it, `y` is the input."""
    dtype = getattr(tf, ALIASES.get(name, name))
    proto = _values(name, written)
    x = v1.placeholder(dtype, name=f"{name}_{written}_x")
    same = v1.get_default_graph().create_op(
        "Const",
        [],
        [dtype],
        attrs={
            "value": attr_value_pb2.AttrValue(tensor=proto),
            "dtype": attr_value_pb2.AttrValue(type=dtype.as_datatype_enum),
        },
    )
    built = signature({"x": x}, {"y": tf.identity(x), "same": same.outputs[0]})
    built.defaults["x"].CopyFrom(proto)
    return built


@model
def defaults_of_types(directory):
    """Inputs that a request may leave out: version 1 as TensorFlow exports the default of a
    Python function, version 2 with a signature for each type and each way to write a value."""

    class Scale(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.float32, name="x"),
                tf.TensorSpec([], tf.float32, name="factor"),
            ]
        )
        def scale(self, x, factor=tf.constant(3.0)):
            return {"y": x * factor}

    module = Scale()
    save_v2(directory / "1", module, {"serving_default": module.scale})

    def build(session):
        return {
            f"{name}_{written}": _with_default(name, written)
            for name in SERVED
            for written in ("content", "list", "none")
        }

    save_v1(directory / "2", build)


@model
def mixed(directory):
    """Several inputs and outputs of several types; two outputs are the same tensor."""

    def build(session):
        a = v1.placeholder(tf.float32, [None], name="a")
        b = v1.placeholder(tf.int64, [None], name="b")
        c = v1.placeholder(tf.string, [None], name="c")
        total = tf.add(a, tf.cast(b, tf.float32), name="total")
        outputs = {
            "total": total,
            "total_again": total,
            "parity": tf.equal(tf.math.floormod(b, 2), 0),
            "joined": tf.strings.join([tf.strings.as_string(b), c], separator="-"),
            "length": tf.strings.length(c),
        }
        return {"serving_default": signature({"a": a, "b": b, "c": c}, outputs)}

    save_v1(directory / "1", build)


@model
def many_outputs(directory):
    """Eight outputs: 255 sets of them that a request can ask for."""

    def build(session):
        x = v1.placeholder(tf.float32, [None], name="x")
        outputs = {f"y{index}": x + float(index) for index in range(8)}
        return {"serving_default": signature({"x": x}, outputs)}

    save_v1(directory / "1", build)


@model
def float8(directory):
    """A type with a number that the C API binding cannot read back."""

    def build(session):
        x = v1.placeholder(tf.dtypes.experimental.float8_e5m2, [None], name="x")
        return {"serving_default": signature({"x": x}, {"y": tf.identity(x)})}

    save_v1(directory / "1", build)


@model
def not_tensors(directory):
    """Signatures that are listed and cannot be called, and one that can."""

    def build(session):
        sparse = v1.sparse_placeholder(tf.float32, [None, 4], name="sparse")
        handle = v1.placeholder(tf.variant, [], name="handle")
        x = v1.placeholder(tf.float32, [None], name="x")
        dangling = signature({"x": x}, {"y": tf.identity(x)})
        dangling.outputs["y"].name = "nowhere:0"
        return {
            "dense": signature({"x": x}, {"y": x + 1.0}),
            "sparse": signature(
                {"x": sparse}, {"y": v1.sparse_reduce_sum(sparse, axis=1)}
            ),
            "variant": signature({"x": handle}, {"y": tf.identity(handle)}),
            "dangling": dangling,
        }

    save_v1(directory / "1", build)
