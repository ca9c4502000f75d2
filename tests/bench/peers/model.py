"""The model that every peer serves: the SavedModel's default signature, called with one array.

What to serve is in the environment: PEER_MODEL (the version's directory), PEER_INPUT and
PEER_OUTPUT (names in the signature), PEER_PORT, PEER_NAME. Which batches the model really ran is
written to a file in PEER_BATCHES, one for each process, while it runs.
"""

import collections
import json
import os
import pathlib
import threading
import time

import numpy as np

PORT = int(os.environ["PEER_PORT"])
NAME = os.environ["PEER_NAME"]
INPUT = os.environ["PEER_INPUT"]
OUTPUT = os.environ["PEER_OUTPUT"]

# How often batch sizes are written: rare enough to cost nothing that could be measured.
SECONDS = 0.5


class Model:
    """TensorFlow is imported here, in the process that computes, and in no other."""

    def __init__(self):
        import tensorflow as tf

        self._constant = tf.constant
        self._loaded = tf.saved_model.load(os.environ["PEER_MODEL"])
        self._serve = self._loaded.signatures["serving_default"]
        self._sizes = collections.Counter()
        threading.Thread(target=self._write, daemon=True).start()

    def __call__(self, batch):
        """Float32 rows in, rows out."""
        batch = np.asarray(batch, dtype=np.float32)
        self._sizes[len(batch)] += 1
        return self._serve(**{INPUT: self._constant(batch)})[OUTPUT].numpy()

    def _write(self):
        place = pathlib.Path(os.environ["PEER_BATCHES"])
        written = None
        while True:
            sizes = dict(self._sizes)
            if sizes != written:
                # Beside, then moved: whoever reads never sees half a file.
                fresh = place / f"{os.getpid()}.new"
                fresh.write_text(json.dumps(sizes))
                fresh.rename(place / f"{os.getpid()}.json")
                written = sizes
            time.sleep(SECONDS)
