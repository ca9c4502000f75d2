"""Asks a model whose requests are copied to a candidate, and looks whether anybody could tell."""

import pathlib
import re
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipelines"))
import asking  # noqa: E402  (shared with other examples)
from asking import IMAGES, TOO_BRIGHT, check  # noqa: E402

COUNT = 100
# Seconds until copies that are on their way have arrived.
PATIENCE = 30


def counted(server: asking.Server, what: str) -> int:
    """A number that the server has of the processor of `shadow`."""
    name = rf'^tensorgate_processor_{what}_total{{model="shadow"}} (\d+)'
    found = re.search(name, server.metrics(), re.MULTILINE)
    return int(found[1]) if found else 0


def wait_for(server: asking.Server, what: str, count: int) -> bool:
    """Whether the number comes to be `count`."""
    end = time.monotonic() + PATIENCE
    while counted(server, what) < count and time.monotonic() < end:
        time.sleep(0.05)
    return counted(server, what) == count


def main() -> int:
    server = asking.server(__doc__)
    took = {"digits_small": [], "shadow": []}
    before, shed = counted(server, "mirrored"), counted(server, "mirrors_shed")
    for number in range(COUNT):
        image = IMAGES[number : number + 1]
        answers = []
        for model, times in took.items():
            start = time.perf_counter()
            answers.append(server.ask(model, images=image)["scores"])
            times.append(time.perf_counter() - start)
        if not np.array_equal(*answers):
            raise SystemExit(f"digit {number}: {answers}")
    print(f"yes: {COUNT} digits are answered as by the model itself")
    copies = COUNT - (counted(server, "mirrors_shed") - shed)
    check(f"the candidate got {copies} of them", copies > 0)
    check("and the server says so", wait_for(server, "mirrored", before + copies))
    for model, times in took.items():
        print(f"{model}: {1000 * statistics.median(times):.2f} ms in the middle")

    refused = server.post("digits_large", images=TOO_BRIGHT)
    check("what is no picture fails in the candidate", refused.status_code == 400)
    failed = counted(server, "mirrors_failed")
    stable = server.ask("digits_small", images=TOO_BRIGHT)["scores"]
    end = time.monotonic() + PATIENCE
    while True:
        shed = counted(server, "mirrors_shed")
        answer = server.ask("shadow", images=TOO_BRIGHT)["scores"]
        # Where the candidate has enough to do with the copies from before, this one was dropped.
        if counted(server, "mirrors_shed") == shed or time.monotonic() > end:
            break
        time.sleep(0.05)
    check("and is answered all the same", np.array_equal(answer, stable))
    check("the server counts it", wait_for(server, "mirrors_failed", failed + 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
