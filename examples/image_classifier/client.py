"""Sends pictures of digits that the model was not trained on, as files and as tensors."""

import argparse
import base64
import sys

import requests

import reference
from reference import data

# Pictures per request of tensors.
BATCH = 32


def send(url: str, file: bytes, content_type: str) -> list[dict]:
    """The likeliest labels of a picture, as `[{"label": "7", "score": 0.98}, ...]`."""
    answer = requests.post(url, data=file, headers={"content-type": content_type}, timeout=60)
    if answer.status_code != 200:
        raise SystemExit(f"{content_type}: answered {answer.status_code}: {answer.text}")
    return answer.json()["predictions"]


def send_tensors(url: str, files: list[bytes]) -> list[dict]:
    """Labels and scores of many pictures, as `[{"classes": [...], "scores": [...]}, ...]`."""
    instances = [{"image_bytes": {"b64": base64.b64encode(file).decode()}} for file in files]
    answer = requests.post(url, json={"instances": instances}, timeout=60)
    if answer.status_code != 200:
        raise SystemExit(f"tensors: answered {answer.status_code}: {answer.text}")
    return answer.json()["predictions"]


def errors(labels: list[str], predicted: list[str]) -> float:
    """The share of wrong ones."""
    return sum(a != b for a, b in zip(labels, predicted, strict=True)) / len(labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    parser.add_argument("--count", type=int, default=200, help="how many digits to send")
    parser.add_argument("--max-error", type=float, default=0.10, help="fail above this error rate")
    arguments = parser.parse_args()
    url = f"{arguments.url}/v1/models/image_classifier:predict"

    digits = data.load()
    labels = [str(label) for label in digits.test_labels[: arguments.count]]
    pictures = [reference.render(digit) for digit in digits.test_images[: arguments.count]]
    jpeg = [reference.encode(picture, "JPEG", quality=90) for picture in pictures]
    png = [reference.encode(picture, "PNG") for picture in pictures]

    failed = False
    first = send(url, jpeg[0], "image/jpeg")
    print(f"a digit {labels[0]}: " + ", ".join(f"{p['label']} ({p['score']:.3f})" for p in first))
    by_body = {
        "image/jpeg": [send(url, file, "image/jpeg") for file in jpeg],
        "image/png": [send(url, file, "image/png") for file in png],
    }
    for content_type, answers in by_body.items():
        rate = errors(labels, [answer[0]["label"] for answer in answers])
        print(f"{content_type}: error rate {rate:.1%} of {len(labels)}")
        failed |= rate > arguments.max_error

    by_tensor = []
    for start in range(0, len(jpeg), BATCH):
        by_tensor += send_tensors(url, jpeg[start : start + BATCH])
    rate = errors(labels, [answer["classes"][0] for answer in by_tensor])
    print(f"tensors: error rate {rate:.1%} of {len(labels)}")
    failed |= rate > arguments.max_error
    for body, tensor in zip(by_body["image/jpeg"], by_tensor, strict=True):
        # A batch is computed in another order than a single picture.
        near = abs(body[0]["score"] - tensor["scores"][0]) < 1e-4
        if body[0]["label"] != tensor["classes"][0] or not near:
            print(f"a body gave {body}, a tensor {tensor}", file=sys.stderr)
            failed = True

    refused = requests.post(
        url, data=b"no picture", headers={"content-type": "image/jpeg"}, timeout=60
    )
    print(f"what is no picture: {refused.status_code}, {refused.json()['error']}")
    failed |= refused.status_code != 400
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
