"""Asks the ensemble, and holds its answers to the mean of its models', asked one by one."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipelines"))
import asking  # noqa: E402  (shared with other examples)
from asking import IMAGES, TOO_BRIGHT, check  # noqa: E402

# Its own model is digits_small.
MODELS = ["digits_small", "digits_middle", "digits_large"]


def main() -> int:
    server = asking.server(__doc__)
    scores = [server.ask(model, images=IMAGES)["scores"] for model in MODELS]
    answer = server.ask("ensemble", images=IMAGES)
    rates = ", ".join(
        f"{model} {asking.error_rate(one):.1%}" for model, one in zip(MODELS, scores, strict=True)
    )
    print(f"error rates: {rates}, ensemble {asking.error_rate(answer['scores']):.1%}")
    near = np.allclose(answer["scores"], np.mean(scores, axis=0), atol=1e-4)
    check("answers are the mean of the models'", near)
    check("of all three", (answer["models"] == len(MODELS)).all())

    refused = server.post("digits_large", images=TOO_BRIGHT)
    check("what is no picture fails in one of them", refused.status_code == 400)
    answer = server.ask("ensemble", images=TOO_BRIGHT)
    scores = [server.ask(model, images=TOO_BRIGHT)["scores"] for model in MODELS[:2]]
    near = np.allclose(answer["scores"], np.mean(scores, axis=0), atol=1e-4)
    check("there answers are the mean of the others", near)
    check("and say so", (answer["models"] == 2).all())
    return 0


if __name__ == "__main__":
    sys.exit(main())
