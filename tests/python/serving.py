"""What every test case needs: the official stubs, connected, and short words for their messages."""

import os
import time
import unittest

import grpc
import numpy as np
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

# Only a hang takes this long.
PATIENCE = 120
# Messages of any length in both directions: limits are the server's affair.
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Code = grpc.StatusCode


def target():
    return os.environ["TENSORGATE_GRPC"]


class Case(unittest.TestCase):
    """Connected to the server for as long as the case runs."""

    @classmethod
    def setUpClass(cls):
        cls.channel = cls.connect()
        cls.prediction = prediction_service_pb2_grpc.PredictionServiceStub(cls.channel)
        cls.management = model_service_pb2_grpc.ModelServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()

    @classmethod
    def connect(cls):
        return grpc.insecure_channel(target(), options=OPTIONS)

    def refused(self, call, request, code, text, **named):
        """The call ends with this code and exactly this text."""
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=PATIENCE, **named)
        self.assertEqual((caught.exception.code(), caught.exception.details()), (code, text))

    def refused_beginning(self, call, request, code, beginning):
        """The call ends with this code and a text that begins like this."""
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=PATIENCE)
        self.assertEqual(caught.exception.code(), code)
        details = caught.exception.details()
        self.assertEqual(details[: len(beginning)], beginning)

    def predict(self, request, **named):
        return self.prediction.Predict(request, timeout=PATIENCE, **named)


def spec(name, signature="", version=None, label=None):
    """A ModelSpec."""
    message = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        message.version.value = version
    if label is not None:
        message.version_label = label
    return message


def predict_request(model_spec, inputs=None, outputs=()):
    """A PredictRequest; inputs are TensorProtos or what becomes a float tensor."""
    request = predict_pb2.PredictRequest(model_spec=model_spec, output_filter=outputs)
    for name, value in (inputs or {}).items():
        if not isinstance(value, tensor_pb2.TensorProto):
            value = typed(types_pb2.DT_FLOAT, value, np.shape(value))
        request.inputs[name].CopyFrom(value)
    return request


# DataType -> (the typed field, how numpy values become its elements).
def _halves(values):
    return [int(bits) for bits in np.asarray(values).reshape(-1).view(np.uint16)]


def _parts(values):
    return [part for value in np.asarray(values).reshape(-1) for part in (value.real, value.imag)]


FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_QINT8: "int_val",
    types_pb2.DT_QUINT8: "int_val",
    types_pb2.DT_QINT16: "int_val",
    types_pb2.DT_QUINT16: "int_val",
    types_pb2.DT_QINT32: "int_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
}


def shaped(dtype, shape):
    """A TensorProto without elements."""
    tensor = tensor_pb2.TensorProto(dtype=dtype)
    tensor.tensor_shape.SetInParent()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def typed(dtype, values, shape):
    """A TensorProto whose elements are in the field of its type."""
    tensor = shaped(dtype, shape)
    field = getattr(tensor, FIELDS[dtype])
    if dtype in (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16):
        field.extend(_halves(values))
    elif dtype in (types_pb2.DT_COMPLEX64, types_pb2.DT_COMPLEX128):
        field.extend(_parts(values))
    elif dtype == types_pb2.DT_STRING:
        field.extend([values] if isinstance(values, bytes) else list(values))
    else:
        field.extend(np.asarray(values).reshape(-1).tolist())
    return tensor


def floats(*values):
    """A vector of floats."""
    return typed(types_pb2.DT_FLOAT, values, [len(values)])


def raw(dtype, array):
    """A TensorProto whose elements are in `tensor_content`."""
    tensor = shaped(dtype, np.shape(array))
    tensor.tensor_content = np.asarray(array).tobytes()
    return tensor


def packed_strings(values):
    """Strings as `tensor_content` has them: all lengths, then all bytes."""
    tensor = shaped(types_pb2.DT_STRING, [len(values)])
    lengths = bytearray()
    for value in values:
        length = len(value)
        while length >= 0x80:
            lengths.append(length & 0x7F | 0x80)
            length >>= 7
        lengths.append(length)
    tensor.tensor_content = bytes(lengths) + b"".join(values)
    return tensor


def example(**features):
    """A tf.Example; floats, ints and bytes by their Python types."""
    message = example_pb2.Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        values = values if isinstance(values, list) else [values]
        kinds = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}
        kinds[type(values[0])].value.extend(values)
    return message


def examples(*messages, context=None):
    """An Input of tf.Examples."""
    message = input_pb2.Input()
    if context is None:
        message.example_list.examples.extend(messages)
    else:
        message.example_list_with_context.examples.extend(messages)
        message.example_list_with_context.context.CopyFrom(context)
    return message


def parse(text, message):
    """A message from protobuf's text format."""
    return text_format.Parse(text, message)


__all__ = [name for name in dir() if not name.startswith("_")]
