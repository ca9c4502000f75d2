"""Sends measurements of wines that the model was not trained on, as CSV and as tensors."""

import argparse
import csv
import io
import random
import sys

import requests

import data


def as_csv(names: list[str], rows) -> str:
    """A file as a laboratory exports it: columns in an order of their own, one that nobody needs."""
    columns = list(range(len(names)))
    random.Random(1).shuffle(columns)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["bottle"] + [names[column] for column in columns])
    for number, row in enumerate(rows):
        writer.writerow([f"no {number}"] + [repr(float(row[column])) for column in columns])
    return text.getvalue()


def send(url: str, **request) -> requests.Response:
    return requests.post(url, timeout=60, **request)


def expect(answer: requests.Response, status: int) -> dict:
    if answer.status_code != status:
        raise SystemExit(f"answered {answer.status_code}, expected {status}: {answer.text}")
    return answer.json()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    parser.add_argument("--max-error", type=float, default=0.05, help="fail above this error rate")
    arguments = parser.parse_args()
    url = f"{arguments.url}/v1/models/wine_python:predict"
    csv_type = {"content-type": "text/csv; charset=utf-8"}

    wines = data.load()
    expected = [f"cultivar {number + 1}" for number in wines.test_cultivars]
    table = as_csv(wines.names, wines.test)
    by_csv = expect(send(url, data=table.encode(), headers=csv_type), 200)["wines"]
    print(f"the first wine: {by_csv[0]['cultivar']} ({by_csv[0]['probability']:.3f})")
    wrong = sum(wine["cultivar"] != right for wine, right in zip(by_csv, expected, strict=True))
    print(f"text/csv: {wrong} of {len(expected)} wrong")
    failed = wrong / len(expected) > arguments.max_error

    by_tensor = expect(send(url, json={"instances": wines.test.tolist()}), 200)["predictions"]
    for one, other in zip(by_csv, by_tensor, strict=True):
        near = abs(one["probability"] - other["probability"]) < 1e-5
        if one["cultivar"] != other["cultivar"] or not near:
            print(f"CSV gave {one}, a tensor {other}", file=sys.stderr)
            failed = True
    print(f"tensors: the same {len(by_tensor)} answers")

    lines = table.splitlines()
    last = lines[2].rpartition(",")[0]
    for name, body in {
        "a column is missing": "\n".join(line.rpartition(",")[0] for line in lines),
        "a number is none": "\n".join([*lines[:2], f"{last},lots"]),
        "a row is too short": "\n".join([*lines[:2], last]),
        "there are no rows": lines[0],
    }.items():
        answer = expect(send(url, data=body.encode(), headers=csv_type), 400)
        print(f"{name}: {answer['error']}")
    answer = expect(send(url, json={"instances": [[1.0, 2.0]]}), 400)
    print(f"too few features: {answer['error']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
