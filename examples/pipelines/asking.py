"""What the clients of canary, cascade, ensemble and shadow share: digits, and how to ask."""

import argparse
import pathlib
import sys

import numpy as np
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "digits"))
import data  # noqa: E402  (the other example's)

# Digits that no model has seen in training, as all models take them, and what they are.
_digits = data.load()
IMAGES = _digits.test_images.reshape(len(_digits.test_images), -1)
LABELS = _digits.test_labels
# What digits_large refuses, and digits_small answers: pixels that go from 0 to 16.
TOO_BRIGHT = IMAGES * 16.0


class Server:
    """A server's models."""

    def __init__(self, url: str):
        self.url = url
        # One connection for all requests.
        self.session = requests.Session()

    def post(self, model: str, **inputs: object) -> requests.Response:
        """The answer to a request in TensorFlow Serving's column format."""
        columns = {name: np.asarray(values).tolist() for name, values in inputs.items()}
        url = f"{self.url}/v1/models/{model}:predict"
        return self.session.post(url, json={"inputs": columns}, timeout=60)

    def ask(self, model: str, **inputs: object) -> dict[str, np.ndarray]:
        """The outputs, by name. `model` may be `name/versions/3` too."""
        answer = self.post(model, **inputs)
        if answer.status_code != 200:
            raise SystemExit(f"{model} answered {answer.status_code}: {answer.text}")
        outputs = answer.json()["outputs"]
        # A model with one output is answered without its name.
        if not isinstance(outputs, dict):
            outputs = {"scores": outputs}
        return {name: np.asarray(values) for name, values in outputs.items()}

    def metrics(self) -> str:
        """What the server counts, as Prometheus reads it."""
        answer = self.session.get(f"{self.url}/monitoring/prometheus/metrics", timeout=60)
        answer.raise_for_status()
        return answer.text


def server(description: str) -> Server:
    """The server that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    return Server(parser.parse_args().url)


def check(what: str, holds: bool) -> None:
    """Says what was found, and ends the program where it is not so."""
    print(f"{'yes' if holds else 'NO'}: {what}")
    if not holds:
        raise SystemExit(1)


def error_rate(scores: np.ndarray) -> float:
    """The share of digits that were read wrongly."""
    return float((scores.argmax(axis=1) != LABELS[: len(scores)]).mean())
