"""Asks half_plus_two for three numbers over gRPC, with TensorFlow Serving's own stubs."""

import argparse
import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:8500", help="the server's gRPC address")

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0, 5.0]))
    with grpc.insecure_channel(parser.parse_args().server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(request, timeout=30)
    print(answer)
    if list(answer.outputs["y"].float_val) != [2.5, 3.0, 4.5]:
        print("expected 2.5, 3.0 and 4.5", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
