"""Sends digits one by one over gRPC and counts the errors, as the client of TensorFlow Serving's
tutorial on MNIST does: its own stubs, its options, its last line.
"""

import argparse
import pathlib
import sys
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import data

SIGNATURE = "predict_images"


class Answers:
    """What came back so far, and how many calls are under way."""

    def __init__(self, concurrency: int):
        self.free = threading.Semaphore(concurrency)
        self.changed = threading.Condition()
        self.done = 0
        self.wrong = 0
        self.failure = None

    def take(self, label: int, call: grpc.Future) -> None:
        """Called by gRPC when a call has ended."""
        error = call.exception()
        with self.changed:
            if error is not None:
                self.failure = error
            else:
                scores = np.array(call.result().outputs["scores"].float_val)
                self.wrong += int(scores.argmax() != label)
            self.done += 1
            self.changed.notify()
        self.free.release()

    def wait(self, count: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.done == count)


def ask(stub, model: str, digits: data.Digits, count: int, concurrency: int) -> float:
    """The error rate over `count` test images, from the first again where they run out."""
    answers = Answers(concurrency)
    for index in range(count):
        index %= len(digits.test_images)
        image = digits.test_images[index].reshape(1, -1)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = SIGNATURE
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(image, shape=image.shape))
        answers.free.acquire()
        call = stub.Predict.future(request, timeout=60)
        label = int(digits.test_labels[index])
        call.add_done_callback(lambda call, label=label: answers.take(label, call))
    answers.wait(count)
    if answers.failure is not None:
        raise SystemExit(f"{model} answered {answers.failure.code()}: {answers.failure.details()}")
    return answers.wrong / count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:8500", help="the server's gRPC address")
    parser.add_argument("--model", default="digits_softmax", help="its name at the server")
    parser.add_argument(
        "--num_tests", type=int, nargs="+", default=[100, 1000], help="how many images to send"
    )
    parser.add_argument("--concurrency", type=int, default=4, help="how many calls at a time")
    parser.add_argument("--mnist", type=pathlib.Path, help="directory with MNIST's four .gz files")
    parser.add_argument("--max-error", type=float, default=0.10, help="fail above this error rate")
    arguments = parser.parse_args()

    digits = data.load(arguments.mnist)
    rates = []
    with grpc.insecure_channel(arguments.server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for count in arguments.num_tests:
            rates.append(ask(stub, arguments.model, digits, count, arguments.concurrency))
            print(f"{arguments.model}, {SIGNATURE} over gRPC, {count} images")
            print(f"Inference error rate: {rates[-1]:.1%}")
    if max(rates) > arguments.max_error:
        print(f"above {arguments.max_error:.1%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
