"""Sends sentences over gRPC, as TensorFlow Serving's clients send strings."""

import argparse
import sys

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

# types_pb2.DataType.DT_STRING.
STRING = 7

SENTENCES = {
    "Somebody else has logged in to my account": "account",
    "hello. where is my parcel with the lamp": "delivery",
    "I was charged twice!": "payment",
    "wonderful, five stars": "praise",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:8500", help="the server's gRPC address")
    arguments = parser.parse_args()

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "text_classifier"
    text = request.inputs["text"]
    text.dtype = STRING
    text.tensor_shape.dim.add().size = len(SENTENCES)
    text.string_val.extend(sentence.encode() for sentence in SENTENCES)
    with grpc.insecure_channel(arguments.server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(request, timeout=60)
    labels = [label.decode() for label in answer.outputs["label"].string_val]
    for sentence, label in zip(SENTENCES, labels, strict=True):
        print(f"{label}: {sentence}")
    return 0 if labels == list(SENTENCES.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
