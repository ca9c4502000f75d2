"""Retrains linear_regression while it is served, and watches the server take the new version up.

Requests go on all the while. None of them may fail, and the server is not restarted.
"""

import argparse
import pathlib
import sys
import threading
import time

import numpy as np
import requests

import model

NAME = "linear_regression"
STEPS = 200
# The server looks for new versions every second. This is patience for a loaded machine.
PATIENCE_S = 60
# Between two requests of the background client; it only has to ask often, not fast.
PAUSE_S = 0.02


class Server:
    """What this client asks of the server."""

    def __init__(self, url: str):
        self.base = f"{url}/v1/models/{NAME}"
        self.x, self.y = model.ramp()

    def loss(self) -> float:
        """The mean squared error of the served model over the ramp."""
        answer = requests.post(
            f"{self.base}:predict", json={"instances": self.x.tolist()}, timeout=30
        )
        answer.raise_for_status()
        return float(np.mean((np.array(answer.json()["predictions"]) - self.y) ** 2))

    def available(self) -> set[int]:
        """The versions that answer now."""
        answer = requests.get(self.base, timeout=30)
        answer.raise_for_status()
        states = answer.json()["model_version_status"]
        return {int(s["version"]) for s in states if s["state"] == "AVAILABLE"}


class Background:
    """A client that never stops asking; it keeps every loss it saw and the first failure."""

    def __init__(self, server: Server):
        self.server = server
        self.losses: list[float] = []
        self.failure: requests.RequestException | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.stopping.wait(PAUSE_S):
            try:
                self.losses.append(self.server.loss())
            except requests.RequestException as failure:
                self.failure = failure
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def wait_for(server: Server, version: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while server.available() != {version}:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"version {version} alone was not AVAILABLE after {PATIENCE_S} s; "
                f"available: {sorted(server.available())}"
            )
        time.sleep(PAUSE_S)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument(
        "--models",
        type=pathlib.Path,
        default=pathlib.Path(".tensorgate/models"),
        help="the directory that holds the served linear_regression",
    )
    arguments = parser.parse_args()
    directory = arguments.models / NAME
    server = Server(arguments.url)

    old = model.newest_version(directory)
    before = server.loss()
    print(f"version {old} is served: loss {before:.4f}")

    with Background(server) as background:
        regression = model.restore(directory / str(old))
        trained = model.train(regression, STEPS)
        print(f"trained {STEPS} steps more: loss {trained:.4f}")
        model.publish(regression, directory, old + 1)
        wait_for(server, old + 1)
        after = server.loss()
        print(f"version {old + 1} is served: loss {after:.4f}")

    print(f"{len(background.losses)} requests meanwhile, failed: {background.failure or 'none'}")
    if background.failure:
        return 1
    if abs(after - trained) > 1e-3:
        print(f"expected the trained model's loss {trained:.4f}, got {after:.4f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
