"""What a request costs in processors of several languages: the same processor, in one server.

    languages.py --url http://localhost:8501 rust javascript python

asks each of these models in turns, with a body and with tensors, and prints the processor's own time
and its memory as the server says them (`Server-Timing`): the least time of all rounds, which has the
least of what else the machine was doing, and how many times the first's it is. The models are
half_plus_two behind what `tensorgate new processor` makes.
"""

import argparse
import http.client
import json
import re
import urllib.parse

CSV = "text/csv"
CASES = {
    "2 lines of CSV": (CSV, "kitchen,1\nhall,-5.5\n"),
    "1000 lines of CSV": (CSV, "".join(f"name{i},{i / 7}\n" for i in range(1000))),
    "JSON of 2 numbers": ("application/json", json.dumps({"instances": [1.0, -5.5]})),
}


def ask(connection: http.client.HTTPConnection, model: str, case: str) -> tuple[float, int]:
    """Milliseconds of the processor's own time, and bytes of memory."""
    content_type, body = CASES[case]
    headers = {"content-type": content_type, "x-tensorgate-timing": "1"}
    connection.request("POST", f"/v1/models/{model}:predict", body.encode(), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise SystemExit(f"{model}, {case}: {answer.status}: {text}")
    timing = answer.getheader("server-timing", "")
    own = re.search(r"processor-own;dur=([\d.]+)", timing)
    memory = re.search(r'processor-memory;desc="(\d+)"', timing)
    return float(own[1]), int(memory[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--rounds", type=int, default=50, help="requests of each kind")
    parser.add_argument("models", nargs="+", help="the first is what the others are held against")
    arguments = parser.parse_args()
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(arguments.url).netloc)
    for case in CASES:
        found = {model: [] for model in arguments.models}
        for _ in range(arguments.rounds):
            for model, asked in found.items():
                asked.append(ask(connection, model, case))
        base = None
        for model, asked in found.items():
            own = min(own for own, _ in asked)
            base = base or own
            memory = max(memory for _, memory in asked) / (1 << 20)
            print(f"{case:20} {model:12} {own:8.3f} ms {own / base:6.1f} times {memory:6.1f} MiB")


if __name__ == "__main__":
    main()
