"""gRPC's own services: health and reflection, by gRPC's own Python clients.

The server serves tests/models: half_plus_two.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from serving import *

SERVING = health_pb2.HealthCheckResponse.SERVING


class Health(Case):
    """With `--enable_grpc_healthcheck_service`."""

    def test_it_serves(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        for service in (
            "",
            # The original's names, and the full ones.
            "ModelService",
            "PredictionService",
            "tensorflow.serving.ModelService",
            "tensorflow.serving.PredictionService",
        ):
            with self.subTest(service):
                request = health_pb2.HealthCheckRequest(service=service)
                self.assertEqual(stub.Check(request, timeout=PATIENCE).status, SERVING)

    def test_a_service_that_there_is_not(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=PATIENCE)
        self.assertEqual(caught.exception.code(), Code.NOT_FOUND)

    def test_it_can_be_watched(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=""), timeout=PATIENCE)
        self.assertEqual(next(watch).status, SERVING)
        watch.cancel()


class NoHealth(Case):
    """Without `--enable_grpc_healthcheck_service`."""

    def test_it_is_not_there(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        self.assertEqual(caught.exception.code(), Code.UNIMPLEMENTED)


class Reflection(Case):
    SERVICES = {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "inference.GRPCInferenceService",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    # What v1 says is what v1alpha says, under another name.
    VERSIONS = (
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    )

    def ask(self, version, **question):
        call = self.channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(**question)
        (answer,) = call(iter([request]), timeout=PATIENCE)
        self.assertEqual(answer.original_request, request)
        return answer

    def test_services_are_listed_by_both_versions(self):
        for version in self.VERSIONS:
            with self.subTest(version):
                answer = self.ask(version, list_services="")
                listed = {one.name for one in answer.list_services_response.service}
                self.assertLessEqual(self.SERVICES, listed)

    def test_a_symbol_that_there_is_not_by_both_versions(self):
        extension = reflection_pb2.ExtensionRequest(
            containing_type="tensorflow.TensorProto", extension_number=100
        )
        not_found = Code.NOT_FOUND.value[0]
        for version in self.VERSIONS:
            for question, code, message in (
                ({"file_containing_symbol": "nobody.knows.It"}, not_found, "Symbol not found."),
                ({"file_by_filename": "nobody/knows.proto"}, not_found, "File not found."),
                ({"file_containing_extension": extension}, not_found, "Extension not found."),
                ({"all_extension_numbers_of_type": "nobody.K"}, not_found, "Type not found."),
                ({}, Code.UNIMPLEMENTED.value[0], ""),
            ):
                with self.subTest(version, question=question):
                    answer = self.ask(version, **question)
                    self.assertEqual(answer.WhichOneof("message_response"), "error_response")
                    self.assertEqual(answer.error_response.error_code, code)
                    self.assertEqual(answer.error_response.error_message, message)

    def test_a_type_without_extensions_by_both_versions(self):
        for version in self.VERSIONS:
            answer = self.ask(version, all_extension_numbers_of_type="tensorflow.TensorProto")
            found = answer.all_extension_numbers_response
            self.assertEqual(answer.WhichOneof("message_response"), "all_extension_numbers_response")
            self.assertEqual(found.base_type_name, "tensorflow.TensorProto")
            self.assertEqual(list(found.extension_number), [])

    def test_a_file_comes_with_what_it_needs(self):
        for version in self.VERSIONS:
            name = "tensorflow.serving.PredictRequest.inputs"
            answer = self.ask(version, file_containing_symbol=name)
            files = [
                descriptor_pb2.FileDescriptorProto.FromString(file)
                for file in answer.file_descriptor_response.file_descriptor_proto
            ]
            names = [file.name for file in files]
            self.assertEqual(names[0], "tensorflow_serving/apis/predict.proto")
            self.assertIn("tensorflow/core/framework/tensor.proto", names)
            self.assertEqual(len(set(names)), len(names))
            needed = {name for file in files for name in file.dependency}
            self.assertLessEqual(needed, set(names))

    def test_several_questions_on_one_call(self):
        for version in self.VERSIONS:
            call = self.channel.stream_stream(
                f"/{version}/ServerReflectionInfo",
                reflection_pb2.ServerReflectionRequest.SerializeToString,
                reflection_pb2.ServerReflectionResponse.FromString,
            )
            name = "tensorflow.serving.PredictionService"
            questions = [
                reflection_pb2.ServerReflectionRequest(file_containing_symbol="nobody.knows.It"),
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
            ]
            kinds = [
                answer.WhichOneof("message_response")
                for answer in call(iter(questions), timeout=PATIENCE)
            ]
            self.assertEqual(
                kinds,
                ["error_response", "list_services_response", "file_descriptor_response"],
            )

    def test_a_client_that_knows_nothing_can_predict(self):
        """As `grpcurl` does: messages are made from what the server says of them."""
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertLessEqual(self.SERVICES, set(database.get_services()))
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("tensorflow.serving.PredictionService")
        method = service.FindMethodByName("Predict")
        request = message_factory.GetMessageClass(method.input_type)()
        request.model_spec.name = "half_plus_two"
        request.inputs["x"].dtype = 1
        request.inputs["x"].tensor_shape.dim.add(size=2)
        request.inputs["x"].float_val.extend([1.0, 2.0])
        call = self.channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            type(request).SerializeToString,
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        answer = call(request, timeout=PATIENCE)
        self.assertEqual(list(answer.outputs["y"].float_val), [2.5, 3.0])

    def test_every_message_of_every_call_has_the_official_fields(self):
        """What the server says of its messages is what the official stubs say of them."""
        from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

        database = ProtoReflectionDescriptorDatabase(self.channel)
        pool = descriptor_pool.DescriptorPool(database)
        official = [
            prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"],
            model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
        ]
        seen = set()
        for service in official:
            ours = pool.FindServiceByName(service.full_name)
            self.assertEqual(
                sorted(method.name for method in service.methods),
                sorted(method.name for method in ours.methods),
            )
            for method in service.methods:
                twin = ours.FindMethodByName(method.name)
                self.compare(method.input_type, twin.input_type, seen)
                self.compare(method.output_type, twin.output_type, seen)
        self.assertIn("tensorflow.TensorProto", seen)

    def compare(self, official, ours, seen):
        """Every field that we have is one of theirs, with its number and type, down to the leaves."""
        self.assertEqual(official.full_name, ours.full_name)
        if ours.full_name in seen:
            return
        seen.add(ours.full_name)
        for field in ours.fields:
            theirs = official.fields_by_number.get(field.number)
            self.assertIsNotNone(theirs, f"{ours.full_name} has {field.name} of its own")
            self.assertEqual(
                (field.name, field.type, field.is_repeated),
                (theirs.name, theirs.type, theirs.is_repeated),
                ours.full_name,
            )
            if field.message_type is not None:
                self.compare(theirs.message_type, field.message_type, seen)
