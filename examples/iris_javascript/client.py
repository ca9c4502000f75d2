"""Sends flowers as a web page has them, and as tensors."""

import argparse
import json
import sys

import requests
from sklearn.datasets import load_iris

# The content type of the processor's own bodies.
FLOWERS = "application/vnd.flowers+json"


def expect(answer: requests.Response, status: int) -> dict:
    if answer.status_code != status:
        raise SystemExit(f"answered {answer.status_code}, expected {status}: {answer.text}")
    return answer.json()


def flower(number: int, row) -> dict:
    """Lengths as people write them: some in centimetres, some in millimetres, some in inches."""
    unit, factor = [("cm", 1.0), ("mm", 10.0), ("in", 1 / 2.54)][number % 3]
    lengths = [f"{value * factor:.6g} {unit}" for value in row]
    return {
        "id": f"flower {number}",
        "sepal": {"length": lengths[0], "width": lengths[1]},
        "petal": {"length": lengths[2], "width": lengths[3]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    parser.add_argument("--max-error", type=float, default=0.05, help="fail above this error rate")
    arguments = parser.parse_args()
    url = f"{arguments.url}/v1/models/iris_javascript:predict"

    def send(body: str) -> requests.Response:
        headers = {"content-type": FLOWERS}
        return requests.post(url, data=body.encode(), headers=headers, timeout=60)

    found = load_iris()
    expected = [str(found.target_names[number]) for number in found.target]
    flowers = [flower(number, row) for number, row in enumerate(found.data)]
    answers = expect(send(json.dumps({"flowers": flowers})), 200)["flowers"]
    print(f"{answers[0]['id']}: {answers[0]['species']} ({answers[0]['probability']:.3f})")
    wrong = sum(answer["species"] != name for answer, name in zip(answers, expected, strict=True))
    print(f"{FLOWERS}: {wrong} of {len(expected)} wrong")
    failed = wrong / len(expected) > arguments.max_error

    instances = [{"sepal": row[:2], "petal": row[2:]} for row in found.data.tolist()]
    tensors = requests.post(url, json={"instances": instances}, timeout=60)
    by_tensor = expect(tensors, 200)["predictions"]
    for one, other in zip(answers, by_tensor, strict=True):
        near = abs(one["probability"] - other["probability"]) < 1e-4
        if one["species"] != other["species"] or not near:
            print(f"JSON gave {one}, a tensor {other}", file=sys.stderr)
            failed = True
    print(f"tensors: the same {len(by_tensor)} answers")

    no_unit = {**flowers[0], "petal": {"length": "1.4 cm", "width": "2 furlongs"}}
    no_petal = {name: value for name, value in flowers[0].items() if name != "petal"}
    for name, body in {
        "a unit is none": json.dumps({"flowers": [flowers[1], no_unit]}),
        "a measurement is missing": json.dumps({"flowers": [no_petal]}),
        "there are no flowers": json.dumps({"flowers": []}),
        "another shape": json.dumps([1, 2]),
        "no JSON": '{"flowers": ',
    }.items():
        print(f"{name}: {expect(send(body), 400)['error']}")
    few = requests.post(url, json={"instances": [{"sepal": [1.0, 2.0]}]}, timeout=60)
    print(f"tensors without petals: {expect(few, 400)['error']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
