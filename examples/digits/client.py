"""Sends digits that the models were not trained on, prints what they say, and counts the errors."""

import argparse
import pathlib
import sys

import numpy as np
import requests

import data

# Images per request: a few hundred kilobytes of JSON.
BATCH = 32

# Each model's signature, and the shape in which it takes one image.
MODELS = {
    "digits_softmax": ("predict_images", (data.SIDE * data.SIDE,)),
    "digits_cnn": ("serving_default", (data.SIDE, data.SIDE, 1)),
}


def ask(url: str, model: str, signature: str, images: np.ndarray) -> np.ndarray:
    """The scores [n, 10] that `model` gives to `images`."""
    scores = []
    for start in range(0, len(images), BATCH):
        answer = requests.post(
            f"{url}/v1/models/{model}:predict",
            json={"signature_name": signature, "instances": images[start : start + BATCH].tolist()},
            timeout=60,
        )
        if answer.status_code != 200:
            raise SystemExit(f"{model} answered {answer.status_code}: {answer.text}")
        scores += answer.json()["predictions"]
    return np.array(scores)


def report(name: str, scores: np.ndarray, labels: np.ndarray, shown: int) -> float:
    """Prints the first labels, true and predicted, and gives the error rate."""
    predicted = scores.argmax(axis=1)
    wrong = int((predicted != labels).sum())
    rate = wrong / len(labels)
    print(name)
    print(f"  true       {' '.join(map(str, labels[:shown]))}")
    print(f"  predicted  {' '.join(map(str, predicted[:shown]))}")
    print(f"  error rate {rate:.1%} ({wrong} of {len(labels)})")
    return rate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    parser.add_argument("--mnist", type=pathlib.Path, help="directory with MNIST's four .gz files")
    parser.add_argument("--count", type=int, default=500, help="how many digits to send at most")
    parser.add_argument("--shown", type=int, default=20, help="how many labels to print")
    parser.add_argument("--only", choices=MODELS, help="ask this model alone")
    parser.add_argument("--max-error", type=float, default=0.10, help="fail above this error rate")
    arguments = parser.parse_args()

    digits = data.load(arguments.mnist)
    images = digits.test_images[: arguments.count]
    labels = digits.test_labels[: arguments.count]
    rates = {}
    for model, (signature, shape) in MODELS.items():
        if arguments.only in (None, model):
            scores = ask(arguments.url, model, signature, images.reshape(-1, *shape))
            rates[model] = report(f"{model}, {signature}", scores, labels, arguments.shown)
    failed = {name: rate for name, rate in rates.items() if rate > arguments.max_error}
    for name, rate in failed.items():
        print(
            f"{name}: error rate {rate:.1%} is above {arguments.max_error:.1%}; "
            "were model and client given the same data (--mnist)?",
            file=sys.stderr,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
