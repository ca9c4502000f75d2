"""What lies below the messages: sizes, compression, deadlines, cancellation, other services.

The server serves tests/models: half_plus_two, identity, slow.
"""

import concurrent.futures

import numpy as np

from serving import *


def ping(case):
    """The server answers, and rightly."""
    answer = case.predict(predict_request(spec("half_plus_two"), {"x": [1.0, 2.0, 5.0]}))
    case.assertEqual(list(answer.outputs["y"].float_val), [2.5, 3.0, 4.5])


def echo(case, stub, megabytes, **named):
    """A tensor of so many megabytes comes back as it was."""
    values = np.arange(megabytes * 250_000, dtype=np.float32).reshape(-1, 1000)
    request = predict_request(spec("identity"), {"x": raw(types_pb2.DT_FLOAT, values)})
    answer = stub.Predict(request, timeout=PATIENCE, **named).outputs["y"]
    found = np.frombuffer(answer.tensor_content, np.float32)
    if not answer.tensor_content:
        found = np.array(answer.float_val, np.float32)
    case.assertEqual([one.size for one in answer.tensor_shape.dim], list(values.shape))
    np.testing.assert_array_equal(found.reshape(values.shape), values)


class Sizes(Case):
    def test_a_megabyte(self):
        echo(self, self.prediction, 1)

    def test_forty_megabytes(self):
        echo(self, self.prediction, 40)

    def test_many_calls_on_one_connection(self):
        request = predict_request(spec("half_plus_two"), {"x": [1.0]})
        calls = [self.prediction.Predict.future(request, timeout=PATIENCE) for _ in range(500)]
        for call in calls:
            self.assertEqual(list(call.result().outputs["y"].float_val), [2.5])

    def test_many_connections(self):
        def ask(_):
            with self.connect() as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                request = predict_request(spec("half_plus_two"), {"x": [1.0]})
                return list(stub.Predict(request, timeout=PATIENCE).outputs["y"].float_val)

        with concurrent.futures.ThreadPoolExecutor(32) as threads:
            self.assertEqual(list(threads.map(ask, range(64))), [[2.5]] * 64)


class Compression(Case):
    def test_gzip(self):
        echo(self, self.prediction, 1, compression=grpc.Compression.Gzip)

    def test_deflate(self):
        echo(self, self.prediction, 1, compression=grpc.Compression.Deflate)

    def test_a_channel_that_compresses_everything(self):
        options = [*OPTIONS, ("grpc.default_compression_algorithm", 2)]
        with grpc.insecure_channel(target(), options=options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            echo(self, stub, 1)


class Time(Case):
    def slow(self, steps=50_000_000):
        steps = typed(types_pb2.DT_INT64, steps, [])
        return predict_request(spec("slow"), {"steps": steps})

    def test_a_deadline_ends_the_call(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.prediction.Predict(self.slow(), timeout=0.2)
        self.assertEqual(caught.exception.code(), Code.DEADLINE_EXCEEDED)
        ping(self)

    def test_a_call_can_be_cancelled(self):
        # What runs, runs on: TensorFlow cannot be stopped.
        slow = self.slow(300_000)
        calls = [self.prediction.Predict.future(slow, timeout=PATIENCE) for _ in range(50)]
        for call in calls:
            self.assertTrue(call.cancel())
        for call in calls:
            self.assertTrue(call.cancelled())
        ping(self)

    def test_a_deadline_that_is_long_enough(self):
        steps = typed(types_pb2.DT_INT64, 10, [])
        answer = self.prediction.Predict(
            predict_request(spec("slow"), {"steps": steps}), timeout=PATIENCE
        )
        self.assertEqual(list(answer.outputs["steps"].int64_val), [10])


class Unknown(Case):
    """What the original does not answer either."""

    def test_what_there_is_not_is_unimplemented(self):
        for method in (
            # In the original's protocol files, and never registered.
            "/tensorflow.serving.SessionService/SessionRun",
            "/tensorflow.serving.PredictionService/PredictStreamed",
            "/tensorflow.serving.PredictionService/predict",
            "/some.Service/Call",
        ):
            with self.subTest(method):
                call = self.channel.unary_unary(method)
                with self.assertRaises(grpc.RpcError) as caught:
                    call(b"", timeout=PATIENCE)
                self.assertEqual(caught.exception.code(), Code.UNIMPLEMENTED)

    def test_what_is_no_message_is_refused(self):
        call = self.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"\xff\xff nonsense", timeout=PATIENCE)
        self.assertIn(caught.exception.code(), (Code.INVALID_ARGUMENT, Code.INTERNAL))
        ping(self)


class Half(Case):
    """The server serves half_plus_two."""

    def test_it_answers(self):
        ping(self)


class Address(Case):
    """At a UNIX socket, whose path gRPC's clients send as the name of the server."""

    @classmethod
    def connect(cls):
        # Of its own: what one call has sent in full, the next ones of its connection repeat by
        # number.
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(target(), options=[*OPTIONS, *options])

    def test_it_answers_there(self):
        for _ in range(3):
            ping(self)
        echo(self, self.prediction, 1)

    def test_it_answers_many_calls_at_once(self):
        request = predict_request(spec("half_plus_two"), {"x": [1.0]})
        metadata = [("x-long", "%2F" * 2000)]
        calls = [
            self.prediction.Predict.future(request, timeout=PATIENCE, metadata=metadata)
            for _ in range(100)
        ]
        for call in calls:
            self.assertEqual(list(call.result().outputs["y"].float_val), [2.5])

    def test_it_answers_whatever_it_is_called(self):
        for name in ("localhost", "localhost:8500", "a/b", "[::1", "%"):
            options = [*OPTIONS, ("grpc.default_authority", name)]
            with self.subTest(name), grpc.insecure_channel(target(), options=options) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                request = predict_request(spec("half_plus_two"), {"x": [1.0]})
                answer = stub.Predict(request, timeout=PATIENCE)
                self.assertEqual(list(answer.outputs["y"].float_val), [2.5])


def pem(name):
    with open(os.path.join(os.environ["TENSORGATE_PEM"], name), "rb") as file:
        return file.read()


class Encrypted(Case):
    """With an SSL config; `TENSORGATE_PEM` has ca.pem, client.pem, client.key."""

    @classmethod
    def connect(cls):
        return grpc.secure_channel(
            target(), grpc.ssl_channel_credentials(pem("ca.pem")), options=OPTIONS
        )

    def test_it_answers_who_trusts_its_certificate(self):
        ping(self)

    def test_it_is_not_there_for_others(self):
        for channel in (
            grpc.insecure_channel(target()),
            # The system's authorities did not sign it.
            grpc.secure_channel(target(), grpc.ssl_channel_credentials()),
        ):
            with channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                with self.assertRaises(grpc.RpcError) as caught:
                    stub.Predict(predict_request(spec("half_plus_two"), {"x": 1.0}), timeout=5)
                self.assertIn(
                    caught.exception.code(), (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
                )


class Mutual(Encrypted):
    """As `Encrypted`, with `client_verify: true`."""

    @classmethod
    def connect(cls):
        credentials = grpc.ssl_channel_credentials(
            pem("ca.pem"), pem("client.key"), pem("client.pem")
        )
        return grpc.secure_channel(target(), credentials, options=OPTIONS)

    def test_it_wants_a_certificate_that_it_trusts(self):
        others = [
            grpc.ssl_channel_credentials(pem("ca.pem")),
            grpc.ssl_channel_credentials(
                pem("ca.pem"), pem("stranger.key"), pem("stranger.pem")
            ),
        ]
        for credentials in others:
            with grpc.secure_channel(target(), credentials) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                with self.assertRaises(grpc.RpcError) as caught:
                    stub.Predict(predict_request(spec("half_plus_two"), {"x": 1.0}), timeout=5)
                self.assertIn(
                    caught.exception.code(), (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
                )
