"""BentoML (pinned in bentoml.txt), as its page on adaptive batching has it.

- `batchable=True` turns on its dispatcher, which finds batch size and waiting time from what it
  measures; `max_batch_size` and `max_latency_ms` are its limits. A request that it expects to take
  longer than the latter is refused, so it is long.
- The method takes and returns arrays with the batch in front, which the dispatcher joins and cuts.
- One worker: the dispatcher batches within a worker, and TensorFlow uses all CPUs from one.
- Access logs are off.
"""

import os
import sys

import bentoml
import numpy as np

import model


@bentoml.service(
    workers=1,
    traffic={"timeout": 60, "max_concurrency": 1024},
    logging={"access": {"enabled": False}},
)
class Service:
    def __init__(self):
        self.model = model.Model()

    # `signature_name` is in the body that everybody is sent; there is one signature.
    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=64, max_latency_ms=1000)
    def predict(self, instances: np.ndarray) -> np.ndarray:
        return self.model(instances)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    serve = [sys.executable, "-m", "bentoml", "serve", "bentoml_peer:Service"]
    serve += ["--working-dir", here, "--host", "127.0.0.1", "--port", str(model.PORT)]
    os.execv(sys.executable, serve)
