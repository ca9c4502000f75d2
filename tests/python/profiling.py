"""TensorBoard's guide on profiling TensorFlow Serving: a trace through the gRPC port.

The server serves tests/models: half_plus_two.
"""

import pathlib
import tempfile
import threading

import tensorflow as tf

from serving import *


class Profile(Case):
    def test_a_trace_has_the_runs_of_its_window(self):
        over = threading.Event()

        def ask():
            while not over.is_set():
                self.predict(predict_request(spec("half_plus_two"), {"x": [1.0]}))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            with tempfile.TemporaryDirectory() as directory:
                tf.profiler.experimental.client.trace(f"grpc://{target()}", directory, 500)
                traces = list(pathlib.Path(directory).glob("plugins/profile/*/*.xplane.pb"))
                self.assertEqual(len(traces), 1)
                # The name of an operation of the model.
                self.assertIn(b"Mul", traces[0].read_bytes())
        finally:
            over.set()
            asking.join()
