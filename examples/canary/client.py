"""Measures how a canary splits requests, and whether users stay on their side."""

import collections
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipelines"))
import asking  # noqa: E402  (shared with other examples)
from asking import IMAGES, TOO_BRIGHT, check  # noqa: E402

# As in processors.pbtxt.
PERCENT = 10
# Requests without a user, and users.
COUNT = 400


def point_of(model: str, user: str) -> float:
    """Where a user falls from 0 to 1, as the processor's SDK has it: FNV-1a, and the end of
    MurmurHash3."""
    bits = (1 << 64) - 1
    value = 0xCBF29CE484222325
    for byte in model.encode() + b"\xff" + user.encode():
        value = (value ^ byte) * 0x100000001B3 & bits
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & bits
    return ((value ^ value >> 33) >> 11) / (1 << 53)


def main() -> int:
    server = asking.server(__doc__)
    one = IMAGES[:1]
    expected = {
        version: server.ask(f"digits_{name}", images=one)["scores"]
        for version, name in ((1, "small"), (2, "large"))
    }

    def side(**user: object) -> int:
        answer = server.ask("canary", images=one, **user)
        (version,) = answer["version"].tolist()
        if not np.allclose(answer["scores"], expected[version], atol=1e-4):
            raise SystemExit(f"version {version} did not give this: {answer['scores']}")
        return version

    counts = collections.Counter(side() for _ in range(COUNT))
    print(f"without a user: {dict(sorted(counts.items()))}")
    # 10% of 400 are 40, give or take 6; 5 times that is never seen.
    check(f"{PERCENT}% go to the new version, more or less", 10 <= counts[2] <= 70)

    users = [f"user-{number}" for number in range(COUNT)]
    sides = {user: side(user=[user]) for user in users}
    counts = collections.Counter(sides.values())
    print(f"users: {dict(sorted(counts.items()))}")
    by_hand = {user: 2 if point_of("canary", user) * 100 < PERCENT else 1 for user in users}
    check("every user is on the side that it is on by hand", sides == by_hand)
    check("both sides have users", set(counts) == {1, 2})
    again = {user: side(user=[user]) for user in users[:100]}
    check("every user stays there", all(sides[user] == side for user, side in again.items()))

    new = next(user for user in users if sides[user] == 2)
    refused = server.post("digits_large", images=TOO_BRIGHT)
    check("what is no picture fails in the new version", refused.status_code == 400)
    answer = server.ask("canary", images=TOO_BRIGHT, user=[new] * len(TOO_BRIGHT))
    check("and is answered by the stable one", (answer["version"] == 1).all())
    stable = server.ask("digits_small", images=TOO_BRIGHT)["scores"]
    check("with its scores", np.allclose(answer["scores"], stable, atol=1e-4))

    versions = {server.ask("canary/labels/stable", images=one)["version"].item() for _ in range(50)}
    check("who asks for the stable version gets no other", versions == {1})
    two = server.post("canary", images=IMAGES[:2], user=["anna", "ben"])
    print(f"two users: {two.status_code}, {two.json()['error']}")
    check("a request of two users is refused", two.status_code == 400)
    return 0


if __name__ == "__main__":
    sys.exit(main())
