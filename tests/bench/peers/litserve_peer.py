"""LitServe (pinned in litserve.txt), as its documentation advises.

- `max_batch_size` and `batch_timeout` are LitAPI's own batching; 64 is what the clients can fill.
- `decode_request` and `encode_response` per request, `predict` per batch.
- `workers_per_device` is the number of CPUs, and `fast_queue` (ZeroMQ) is on, as its reference
  wants it on CPUs and for more than a hundred requests per second.
"""

import os

import litserve as ls
import numpy as np

import model


class Api(ls.LitAPI):
    def setup(self, device):
        self.model = model.Model()

    def decode_request(self, request):
        return np.asarray(request["instances"], dtype=np.float32)

    def batch(self, inputs):
        # A request may have several rows.
        self.lengths = [len(rows) for rows in inputs]
        return np.concatenate(inputs)

    def predict(self, batch):
        return self.model(batch)

    def unbatch(self, output):
        return np.split(output, np.cumsum(self.lengths)[:-1])

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.005)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=os.cpu_count(), fast_queue=True)
    server.run(host="127.0.0.1", port=model.PORT, generate_client_file=False, log_level="warning")
