"""mosec (pinned in mosec.txt), as its documentation on dynamic batching has it.

- `max_batch_size` above 1 turns batching on; `max_wait_time` is how many milliseconds a batch may
  stay open: 5, as for the others that have such a setting (its default is 10).
- `deserialize` and `serialize` per request are JSON, its default; `forward` gets the batch.
- One process computes (`num=1`): TensorFlow uses all CPUs from it.
"""

import sys

import mosec
import numpy as np

import model


class Inference(mosec.Worker):
    def __init__(self):
        super().__init__()
        self.model = model.Model()

    def forward(self, data):
        rows = [np.asarray(request["instances"], dtype=np.float32) for request in data]
        scores = self.model(np.concatenate(rows))
        parts = np.split(scores, np.cumsum([len(some) for some in rows])[:-1])
        return [{"predictions": part.tolist()} for part in parts]


if __name__ == "__main__":
    sys.argv += ["--address", "127.0.0.1", "--port", str(model.PORT), "--timeout", "30000"]
    server = mosec.Server()
    server.append_worker(Inference, num=1, max_batch_size=64, max_wait_time=5)
    server.run()
