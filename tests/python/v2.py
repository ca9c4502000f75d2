"""The V2 inference protocol, by Triton's own client over HTTP and over gRPC.

The server serves tests/models: identity, half_plus_two, half_plus_version (with labels),
signatures, unknown_rank, mixed, no_inputs, not_tensors.
"""

import os

import grpc
import ml_dtypes
import numpy as np
import requests_of_v2 as v2
import tritonclient.grpc
import tritonclient.http
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from google.protobuf.descriptor_pool import DescriptorPool
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

import unittest

# Only a hang takes this long.
PATIENCE = 120

# By signature of the model `identity`: the protocol's name, and the extremes of the type.
TYPES = {
    "bool": ("BOOL", np.array([True, False, True])),
    "uint8": ("UINT8", np.array([0, 1, 255], np.uint8)),
    "uint16": ("UINT16", np.array([0, 1, 65535], np.uint16)),
    "uint32": ("UINT32", np.array([0, 1, 2**32 - 1], np.uint32)),
    "uint64": ("UINT64", np.array([0, 1, 2**64 - 1], np.uint64)),
    "int8": ("INT8", np.array([0, 127, -128], np.int8)),
    "int16": ("INT16", np.array([0, 32767, -32768], np.int16)),
    "int32": ("INT32", np.array([0, 2**31 - 1, -(2**31)], np.int32)),
    "int64": ("INT64", np.array([0, 2**63 - 1, -(2**63)], np.int64)),
    "half": ("FP16", np.array([1.5, -0.0, 65504], np.float16)),
    "float": ("FP32", np.array([1.5, -0.0, 3.4028235e38], np.float32)),
    "double": ("FP64", np.array([1.5, 5e-324, 1.7976931348623157e308])),
    "bfloat16": ("BF16", np.array([1.5, -0.0, 3e38], ml_dtypes.bfloat16)),
    "string": ("BYTES", np.array([b"", b"word", b"\x00\xff not UTF-8"], np.object_)),
}


class Case(unittest.TestCase):
    def setUp(self):
        self.http = tritonclient.http.InferenceServerClient(
            os.environ["TENSORGATE_REST"].removeprefix("http://"),
            connection_timeout=PATIENCE,
            network_timeout=PATIENCE,
        )
        self.grpc = tritonclient.grpc.InferenceServerClient(os.environ["TENSORGATE_GRPC"])
        self.addCleanup(self.http.close)
        self.addCleanup(self.grpc.close)
        # The protocol in two manners, by one client library: (its module, a client).
        self.clients = {
            "http": (tritonclient.http, self.http),
            "grpc": (tritonclient.grpc, self.grpc),
        }

    def infer(self, way, model, inputs, outputs=None, binary=True, **named):
        """Runs a model; inputs are numpy arrays by name, outputs are names."""
        module, client = self.clients[way]
        sent = []
        for name, (datatype, value) in inputs.items():
            tensor = module.InferInput(name, list(value.shape), datatype)
            if way == "http":
                tensor.set_data_from_numpy(value, binary_data=binary)
            else:
                tensor.set_data_from_numpy(value)
            sent.append(tensor)
        if outputs is not None and way == "http":
            outputs = [module.InferRequestedOutput(name, binary_data=binary) for name in outputs]
        elif outputs is not None:
            outputs = [module.InferRequestedOutput(name) for name in outputs]
        return client.infer(model, sent, outputs=outputs, **named)

    def refused(self, call, status, words):
        """The call fails with one of these statuses and these words in its message."""
        with self.assertRaises(InferenceServerException) as caught:
            call()
        self.assertIn(caught.exception.status(), status)
        self.assertIn(words, caught.exception.message())

    def same(self, one, other):
        self.assertEqual(one.dtype, other.dtype)
        self.assertEqual(one.shape, other.shape)
        self.assertEqual(one.tobytes() if one.dtype != object else one.tolist(),
                         other.tobytes() if other.dtype != object else other.tolist())


class Tensors(Case):
    """How tensors travel."""

    def test_every_datatype_as_binary_data(self):
        for way in self.clients:
            for signature, (datatype, values) in TYPES.items():
                for value in (values, np.tile(values, [2, 1, 3, 1]), values[:0], values[:1].reshape([])):
                    with self.subTest(f"{way} {signature} {value.shape}"):
                        answer = self.infer(
                            way,
                            "identity",
                            {"x": (datatype, value)},
                            parameters={"signature_name": signature},
                        )
                        self.same(answer.as_numpy("y"), value)

    def test_datatypes_as_json(self):
        for signature, (datatype, values) in TYPES.items():
            if datatype == "BF16":
                continue  # Triton's client sends it as binary data only: `Json` has it.
            if datatype == "BYTES":
                values = np.array(["", "word", "größe\n\"x\""], np.object_)
            for value in (values, np.tile(values, [2, 1, 3, 1]), values[:0]):
                with self.subTest(f"{signature} {value.shape}"):
                    answer = self.infer(
                        "http",
                        "identity",
                        {"x": (datatype, value)},
                        outputs=["y"],
                        binary=False,
                        parameters={"signature_name": signature},
                    )
                    self.assertIn("data", answer.get_output("y"))
                    self.same(answer.as_numpy("y"), value)

    def test_typed_contents(self):
        """What Triton's client does not send any more: elements in the field of their type."""
        channel = grpc.insecure_channel(os.environ["TENSORGATE_GRPC"])
        self.addCleanup(channel.close)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for signature, (datatype, values) in TYPES.items():
            field = v2.CONTENTS.get(datatype)
            if field is None:
                continue
            with self.subTest(signature):
                request = service_pb2.ModelInferRequest(model_name="identity", id="typed")
                request.parameters["signature_name"].string_param = signature
                tensor = request.inputs.add(name="x", datatype=datatype, shape=values.shape)
                getattr(tensor.contents, field).extend(values.tolist())
                answer = stub.ModelInfer(request, timeout=PATIENCE)
                self.assertEqual(answer.id, "typed")
                answer = tritonclient.grpc.InferResult(answer)
                self.same(answer.as_numpy("y"), values)

    def test_large_tensors(self):
        value = np.arange(16 << 20, dtype=np.float32).reshape([16, -1])
        for way in self.clients:
            with self.subTest(way):
                answer = self.infer(way, "identity", {"x": ("FP32", value)})
                self.same(answer.as_numpy("y"), value)

    def test_json_of_a_megabyte(self):
        value = np.linspace(-1, 1, 100_000, dtype=np.float32)
        answer = self.infer("http", "identity", {"x": ("FP32", value)}, outputs=["y"], binary=False)
        self.same(answer.as_numpy("y"), value)

    def test_many_strings(self):
        value = np.array([str(number).encode() * 5 for number in range(20_000)], np.object_)
        for way in self.clients:
            answer = self.infer(
                way, "identity", {"x": ("BYTES", value)}, parameters={"signature_name": "string"}
            )
            self.same(answer.as_numpy("y"), value)

    def test_packed_bodies(self):
        value = np.zeros([100_000], np.float32)
        answer = self.infer(
            "http",
            "identity",
            {"x": ("FP32", value)},
            request_compression_algorithm="gzip",
            response_compression_algorithm="gzip",
        )
        self.same(answer.as_numpy("y"), value)
        answer = self.infer(
            "grpc", "identity", {"x": ("FP32", value)}, compression_algorithm="gzip"
        )
        self.same(answer.as_numpy("y"), value)

    def test_several_at_a_time(self):
        value = np.arange(1000, dtype=np.float32)
        module, _ = self.clients["http"]
        client = module.InferenceServerClient(
            os.environ["TENSORGATE_REST"].removeprefix("http://"), concurrency=8
        )
        self.addCleanup(client.close)
        asked = []
        for number in range(32):
            tensor = module.InferInput("x", [1000], "FP32")
            tensor.set_data_from_numpy(value + number)
            asked.append(client.async_infer("identity", [tensor], request_id=str(number)))
        for number, one in enumerate(asked):
            answer = one.get_result()
            self.assertEqual(answer.get_response()["id"], str(number))
            self.same(answer.as_numpy("y"), value + np.float32(number))


class Choices(Case):
    """What a request chooses."""

    def test_versions_and_labels(self):
        x = np.array([[2.0]], np.float32)
        for way in self.clients:
            for version, expected, answered in (
                ("", 4.0, "3"),
                ("2", 3.0, "2"),
                ("3", 4.0, "3"),
                ("stable", 3.0, "2"),
                ("canary", 4.0, "3"),
            ):
                with self.subTest(f"{way} {version}"):
                    answer = self.infer(
                        way, "half_plus_version", {"x": ("FP32", x)}, model_version=version
                    )
                    self.assertEqual(answer.as_numpy("y").tolist(), [[expected]])
                    response = v2.response(answer)
                    self.assertEqual(response["model_version"], answered)
                    self.assertEqual(response["model_name"], "half_plus_version")

    def test_the_id_comes_back(self):
        x = np.array([[2.0]], np.float32)
        for way in self.clients:
            answer = self.infer(way, "half_plus_two", {"x": ("FP32", x)}, request_id="ä \"7\"")
            self.assertEqual(v2.response(answer)["id"], "ä \"7\"")
            answer = self.infer(way, "half_plus_two", {"x": ("FP32", x)})
            self.assertFalse(v2.response(answer).get("id"))

    def test_signatures(self):
        inputs = {
            "x": ("FP32", np.array([7.0], np.float32)),
            "y": ("FP32", np.array([2.0], np.float32)),
        }
        for way in self.clients:
            divided = {"signature_name": "divide"}
            answer = self.infer(way, "signatures", inputs, parameters=divided)
            self.assertEqual(answer.as_numpy("quotient").tolist(), [3.5])
            self.assertEqual(answer.as_numpy("rest").tolist(), [1.0])
            answer = self.infer(
                way, "signatures", inputs, outputs=["rest"], parameters=divided
            )
            self.assertIsNone(answer.as_numpy("quotient"))
            self.assertEqual(answer.as_numpy("rest").tolist(), [1.0])
            self.refused(
                lambda: self.infer(way, "signatures", inputs),
                ("400", "StatusCode.FAILED_PRECONDITION"),
                'no signature "serving_default": choose one of {add, divide, negate}',
            )

    def test_outputs_in_the_order_and_manner_that_were_asked_for(self):
        x = np.ones([2, 3], np.float32)
        for way in self.clients:
            answer = self.infer(
                way, "unknown_rank", {"x": ("FP32", x)}, outputs=["sum", "doubled"]
            )
            names = [output["name"] for output in v2.response(answer)["outputs"]]
            self.assertEqual(names, ["sum", "doubled"])
        module, client = self.clients["http"]
        tensor = module.InferInput("x", [2, 3], "FP32")
        tensor.set_data_from_numpy(x)
        outputs = [
            module.InferRequestedOutput("shape", binary_data=False),
            module.InferRequestedOutput("doubled", binary_data=True),
        ]
        answer = client.infer("unknown_rank", [tensor], outputs=outputs)
        self.assertEqual(answer.get_output("shape")["data"], [2, 3])
        self.assertEqual(answer.get_output("doubled")["parameters"]["binary_data_size"], 24)
        self.same(answer.as_numpy("doubled"), x * 2)

    def test_no_inputs(self):
        for way in self.clients:
            answer = self.infer(way, "no_inputs", {})
            self.assertEqual(answer.as_numpy("value").tolist(), [3.0, 5.0])
            self.assertEqual(answer.as_numpy("name").tolist(), b"constant")


class Told(Case):
    """What is told of the server and its models."""

    def test_health(self):
        for _, client in self.clients.values():
            self.assertTrue(client.is_server_live())
            self.assertTrue(client.is_server_ready())
            self.assertTrue(client.is_model_ready("half_plus_version"))
            self.assertTrue(client.is_model_ready("half_plus_version", "2"))
            self.assertTrue(client.is_model_ready("half_plus_version", "stable"))
            self.assertFalse(client.is_model_ready("half_plus_version", "7"))
            self.assertFalse(client.is_model_ready("nobody"))

    def test_server_metadata(self):
        told = [self.http.get_server_metadata(), self.grpc.get_server_metadata(as_json=True)]
        self.assertEqual(told[0], told[1])
        self.assertEqual(told[0]["name"], "tensorgate")
        self.assertIn("binary_tensor_data", told[0]["extensions"])

    def test_model_metadata(self):
        expected = {
            "name": "half_plus_version",
            "versions": ["2", "3"],
            "platform": "tensorflow_savedmodel",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
        }
        told = self.http.get_model_metadata("half_plus_version")
        properties = told.pop("properties")
        self.assertEqual(told, expected)
        self.assertEqual(properties["signature_name"], "serving_default")
        self.assertIn("classify_x_to_y", properties["signature_names"].split(","))
        told = self.grpc.get_model_metadata("half_plus_version", "2")
        self.assertEqual(list(told.versions), ["2", "3"])
        self.assertEqual(list(told.inputs[0].shape), [-1, 1])

    def test_metadata_of_every_signature(self):
        for signature, (datatype, _) in TYPES.items():
            told = self.http.get_model_metadata(
                "identity", query_params={"signature_name": signature}
            )
            # Any rank: one dimension of any size stands for it.
            shown = {"datatype": datatype, "shape": [-1]}
            self.assertEqual(told["inputs"], [{"name": "x", **shown}])
            self.assertEqual(told["outputs"], [{"name": "y", **shown}])
        told = self.http.get_model_metadata(
            "identity", query_params={"signature_name": "complex64"}
        )
        self.assertEqual(told["inputs"][0]["datatype"], "DT_COMPLEX64")

    def test_configuration(self):
        told = self.http.get_model_config("half_plus_two")
        self.assertEqual(told["platform"], "tensorflow_savedmodel")
        self.assertEqual(told["max_batch_size"], 0)
        shown = {"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 1], "optional": False}
        self.assertEqual(told["input"], [shown])
        told = self.grpc.get_model_config("half_plus_two").config
        self.assertEqual((told.name, told.backend), ("half_plus_two", "tensorflow"))
        self.assertEqual(list(told.output[0].dims), [-1, 1])

    def test_repository_index(self):
        for index in (
            self.http.get_model_repository_index(),
            self.grpc.get_model_repository_index(as_json=True)["models"],
        ):
            found = {(one["name"], one["version"]): one["state"] for one in index}
            self.assertEqual(found[("half_plus_version", "2")], "READY")
            self.assertEqual(found[("half_plus_version", "3")], "READY")
            self.assertEqual(found[("half_plus_two", "123")], "READY")


class Refused(Case):
    """What is wrong, and what is not done."""

    def test_what_there_is_not(self):
        x = {"x": ("FP32", np.array([[1.0]], np.float32))}
        for way, (_, client) in self.clients.items():
            not_found = ("404", "StatusCode.NOT_FOUND")
            invalid = ("400", "StatusCode.INVALID_ARGUMENT")
            self.refused(lambda: self.infer(way, "nobody", x), not_found, "nobody")
            self.refused(
                lambda: self.infer(way, "half_plus_two", x, model_version="7"), not_found, "7"
            )
            self.refused(
                lambda: self.infer(way, "half_plus_two", x, model_version="latest"),
                invalid,
                "latest",
            )
            self.refused(lambda: client.get_model_metadata("nobody"), not_found, "nobody")
            self.refused(
                lambda: self.infer(way, "half_plus_two", x, outputs=["z"]),
                invalid,
                "no output 'z': it has {y}",
            )
            wrong = {"z": x["x"]}
            self.refused(lambda: self.infer(way, "half_plus_two", wrong), invalid, "z")
            # TensorFlow's own words.
            wrong = {"x": ("INT64", np.array([[1]], np.int64))}
            self.refused(lambda: self.infer(way, "half_plus_two", wrong), invalid, "int64")

    def test_a_type_that_the_protocol_cannot_name(self):
        for way in self.clients:
            self.refused(
                lambda: self.infer(
                    way,
                    "identity",
                    {"x": TYPES["float"]},
                    parameters={"signature_name": "complex64"},
                ),
                ("501", "StatusCode.UNIMPLEMENTED"),
                "DT_COMPLEX64",
            )

    def test_what_of_tritons_is_not_here(self):
        not_here = ("501", "StatusCode.UNIMPLEMENTED")
        for way, (module, client) in self.clients.items():
            words = "not implemented"
            self.refused(lambda: client.get_inference_statistics(), not_here, words)
            self.refused(lambda: client.get_inference_statistics("identity"), not_here, words)
            self.refused(lambda: client.load_model("identity"), not_here, words)
            self.refused(lambda: client.unload_model("identity"), not_here, words)
            self.refused(lambda: client.get_system_shared_memory_status(), not_here, words)
            self.refused(lambda: client.get_cuda_shared_memory_status(), not_here, words)
            self.refused(lambda: client.get_trace_settings(), not_here, words)
            self.refused(lambda: client.get_log_settings(), not_here, words)
            x = {"x": TYPES["float"]}
            self.refused(lambda: self.infer(way, "identity", x, sequence_id=7), not_here, words)
            tensor = module.InferInput("x", [3], "FP32")
            tensor.set_shared_memory("region", 12)
            self.refused(lambda: client.infer("identity", [tensor]), not_here, words)
            tensor.set_data_from_numpy(TYPES["float"][1])
            output = module.InferRequestedOutput("y", class_count=2)
            self.refused(
                lambda: client.infer("identity", [tensor], outputs=[output]), not_here, words
            )

    def test_streams(self):
        answers = []
        self.grpc.start_stream(lambda result, error: answers.append((result, error)))
        tensor = tritonclient.grpc.InferInput("x", [3], "FP32")
        tensor.set_data_from_numpy(TYPES["float"][1])
        self.grpc.async_stream_infer("identity", [tensor])
        self.grpc.stop_stream()
        ((result, error),) = answers
        self.assertIsNone(result)
        self.assertIn("ModelStreamInfer is not implemented", str(error))


class Described(Case):
    """The protocol's names and numbers, as reflection shows them, are those of Triton's client."""

    def test_every_message_and_method(self):
        channel = grpc.insecure_channel(os.environ["TENSORGATE_GRPC"])
        self.addCleanup(channel.close)
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        self.assertIn("inference.GRPCInferenceService", database.get_services())
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        for method in service.methods:
            their = theirs.methods_by_name[method.name]
            self.assertEqual(method.input_type.full_name, their.input_type.full_name)
            self.assertEqual(method.output_type.full_name, their.output_type.full_name)
            self.same_message(method.input_type, their.input_type)
            self.same_message(method.output_type, their.output_type)

    def same_message(self, ours, theirs):
        for field in ours.fields:
            # KServe's, which Triton has not.
            if field.full_name == "inference.ModelMetadataResponse.properties":
                continue
            their = theirs.fields_by_name[field.name]
            self.assertEqual(
                (field.number, field.type, v2.is_repeated(field)),
                (their.number, their.type, v2.is_repeated(their)),
                field.full_name,
            )
            if field.message_type is not None:
                self.same_message(field.message_type, their.message_type)
            if field.enum_type is not None:
                values = {value.name: value.number for value in field.enum_type.values}
                known = {value.name: value.number for value in their.enum_type.values}
                self.assertEqual(values, known)
