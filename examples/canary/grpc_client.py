"""Asks the canary over gRPC, where the answer's model_spec says which version gave it."""

import argparse
import sys

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

# types_pb2.DataType.
FLOAT, STRING = 1, 7
PIXELS = 784
USERS = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:8500", help="the server's gRPC address")
    arguments = parser.parse_args()

    counts = {1: 0, 2: 0}
    with grpc.insecure_channel(arguments.server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for number in range(USERS):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "canary"
            images, user = request.inputs["images"], request.inputs["user"]
            images.dtype, user.dtype = FLOAT, STRING
            for size in (1, PIXELS):
                images.tensor_shape.dim.add().size = size
            images.float_val.extend([0.5] * PIXELS)
            user.tensor_shape.dim.add().size = 1
            user.string_val.append(f"user-{number}".encode())
            answer = stub.Predict(request, timeout=60)
            version = answer.model_spec.version.value
            if list(answer.outputs["version"].int64_val) != [version]:
                print(f"model_spec has {version}: {answer.outputs['version']}", file=sys.stderr)
                return 1
            counts[version] += 1
    print(f"answered by: {counts}")
    return 0 if all(counts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
