"""Asks half_plus_two for three numbers and checks the answer, byte for byte."""

import argparse
import sys

import requests

# TensorFlow Serving's own spacing: clients exist that compare text.
EXPECTED = '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    url = f"{parser.parse_args().url}/v1/models/half_plus_two:predict"

    answer = requests.post(url, json={"instances": [1.0, 2.0, 5.0]}, timeout=30)
    print(f"POST {url}: {answer.status_code}\n{answer.text}")
    if answer.status_code != 200 or answer.text != EXPECTED:
        print(f"expected:\n{EXPECTED}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
