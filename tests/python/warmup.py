"""Writes warm-up requests beside a version, as TensorFlow Serving's guide on warm-up does.

    warmup.py VERSION_DIRECTORY COUNT
"""

import pathlib
import sys

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2


def main():
    extra = pathlib.Path(sys.argv[1]) / "assets.extra"
    extra.mkdir(parents=True)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.model_spec.signature_name = "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    log = prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for _ in range(int(sys.argv[2])):
            writer.write(log.SerializeToString())


if __name__ == "__main__":
    main()
