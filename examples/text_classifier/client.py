"""Sends sentences that the model was not trained on, as strings and as text, and holds tokens and
scores to what Keras made of them.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import requests

# Texts in a request.
BATCH = 64


def check(what: str, holds: bool) -> None:
    """Says what was found, and ends the program where it is not so."""
    print(f"{'yes' if holds else 'NO'}: {what}")
    if not holds:
        raise SystemExit(1)


class Model:
    """The model at a server."""

    def __init__(self, url: str):
        self.url = f"{url}/v1/models/text_classifier:predict"
        self.session = requests.Session()

    def send_text(self, text: bytes, content_type: str = "text/plain") -> requests.Response:
        headers = {"content-type": content_type}
        return self.session.post(self.url, data=text, headers=headers, timeout=60)

    def send_tensors(self, texts: list[str], signature: str = "serving_default") -> list[dict]:
        """The predictions, one for each text, in TensorFlow Serving's row format."""
        predictions = []
        for start in range(0, len(texts), BATCH):
            instances = [{"text": text} for text in texts[start : start + BATCH]]
            body = {"signature_name": signature, "instances": instances}
            answer = self.session.post(self.url, json=body, timeout=60)
            if answer.status_code != 200:
                raise SystemExit(f"{signature}: answered {answer.status_code}: {answer.text}")
            predictions += answer.json()["predictions"]
        return predictions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument(
        "--models",
        default=".tensorgate/models",
        type=pathlib.Path,
        help="where the served models lie, and with them what Keras made",
    )
    parser.add_argument("--max-error", type=float, default=0.05, help="fail above this error rate")
    arguments = parser.parse_args()
    model = Model(arguments.url)
    version = arguments.models / "text_classifier" / "1"
    reference = json.loads((version / "assets.extra" / "reference.json").read_text())
    texts, labels = reference["texts"], reference["labels"]

    # One output, so that it is answered without its name.
    tokens = model.send_tensors(texts, "tokens")
    for text, found, expected in zip(texts, tokens, reference["ids"], strict=True):
        if found != expected:
            print(f"{text[:80]!r}: found {found}, Keras has {expected}", file=sys.stderr)
            return 1
    print(f"yes: the words of {len(texts)} texts have Keras's numbers")

    predictions = model.send_tensors(texts)
    scores = np.array([prediction["scores"] for prediction in predictions])
    difference = np.abs(scores - np.array(reference["scores"])).max()
    check(f"scores are Keras's, to {difference:.1e}", difference < 1e-5)
    found = [prediction["label"] for prediction in predictions[: len(labels)]]
    rate = np.mean([one != other for one, other in zip(found, labels, strict=True)])
    check(f"error rate {rate:.1%} of {len(labels)}", rate <= arguments.max_error)

    # Each text by itself, as it is.
    for text, row in zip(texts, predictions, strict=True):
        answer = model.send_text(text.encode())
        if answer.status_code != 200:
            raise SystemExit(f"{text[:80]!r}: answered {answer.status_code}: {answer.text}")
        body = answer.json()
        near = np.allclose([one["score"] for one in body["scores"]], row["scores"], atol=1e-5)
        if body["label"] != row["label"] or not near:
            print(f"{text[:80]!r}: as text {body}, in a tensor {row}", file=sys.stderr)
            return 1
    print(f"yes: {len(texts)} texts are answered as text as they are in tensors")
    print(model.send_text(b"Where is my parcel?").text)

    utf8 = model.send_text("Übergrößenträger".encode(), "text/plain; charset=UTF-8")
    check("a charset may be said", utf8.status_code == 200)
    for what, text, content_type in [
        ("another charset", "Straße".encode("latin1"), "text/plain; charset=latin1"),
        ("bytes that are no text", b"my parcel \xff", "text/plain"),
    ]:
        refused = model.send_text(text, content_type)
        print(f"{what}: {refused.status_code}, {refused.json()['error']}")
        check(f"{what}: refused", refused.status_code == 400)
    ids = model.session.post(model.url, json={"instances": [{"ids": [1] * 24}]}, timeout=60)
    print(f"ids: {ids.status_code}, {ids.json()['error']}")
    check("what the model takes is not what clients send", ids.status_code == 400)
    return 0


if __name__ == "__main__":
    sys.exit(main())
