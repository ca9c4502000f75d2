"""Asks the cascade, and holds its answers to those of its two models, asked one by one."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipelines"))
import asking  # noqa: E402  (shared with other examples)
from asking import IMAGES, TOO_BRIGHT, check  # noqa: E402

# As in processors.pbtxt.
THRESHOLD = np.float32(0.9)


def main() -> int:
    server = asking.server(__doc__)
    small = server.ask("digits_small", images=IMAGES)["scores"].astype(np.float32)
    large = server.ask("digits_large", images=IMAGES)["scores"].astype(np.float32)
    answer = server.ask("cascade", images=IMAGES)
    scores = answer["scores"].astype(np.float32)

    is_sure = small.max(axis=1) >= THRESHOLD
    expected = np.where(is_sure[:, np.newaxis], small, large)
    who = np.where(is_sure, "cascade", "digits_large")
    print(
        f"error rates: small {asking.error_rate(small):.1%}, large "
        f"{asking.error_rate(large):.1%}, cascade {asking.error_rate(scores):.1%}, which asked "
        f"the large one for {(~is_sure).mean():.0%} of {len(IMAGES)} digits"
    )
    check("both models have answered some", 0 < is_sure.sum() < len(IMAGES))
    # The large model was asked for fewer rows at a time: its sums differ in the last digits.
    near = np.allclose(scores, expected, atol=1e-4)
    check("every row has the answer of the model that it should have", near)
    check("every row says which that was", (answer["answered_by"] == who).all())
    better = asking.error_rate(scores) < asking.error_rate(small)
    check("the cascade errs less often than the small model", better)

    refused = server.post("digits_large", images=TOO_BRIGHT)
    check("the large model refuses what is no picture", refused.status_code == 400)
    small = server.ask("digits_small", images=TOO_BRIGHT)["scores"]
    answer = server.ask("cascade", images=TOO_BRIGHT)
    check("there the small one's answer stands", np.allclose(answer["scores"], small, atol=1e-4))
    check("and says so", (answer["answered_by"] == "cascade").all())
    return 0


if __name__ == "__main__":
    sys.exit(main())
