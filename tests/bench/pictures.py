"""Makes the files that `cargo xtask bench pictures` measures, and measures Pillow and numpy on them.

    pictures.py DIR

writes each file into DIR, beside it the floats that it has to become (`NAME.224`), and prints its
name and the shortest time of many runs in milliseconds.
"""

import pathlib
import sys
import time

from PIL import Image
from sklearn.datasets import load_sample_images

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "image_classifier"
sys.path.insert(0, str(EXAMPLE))
import reference  # noqa: E402  (the example's)

RUNS = 300
# Pillow's own default, and what cameras and editors write.
QUALITIES = (75, 90)


def main() -> int:
    directory = pathlib.Path(sys.argv[1])
    photograph = Image.fromarray(load_sample_images().images[0])
    photograph = photograph.resize((640, 480), Image.Resampling.BICUBIC)
    for quality in QUALITIES:
        name = f"quality-{quality}"
        file = reference.encode(photograph, "JPEG", quality=quality)
        (directory / name).write_bytes(file)
        floats = reference.colours(file).astype("<f4")
        (directory / f"{name}.224").write_bytes(floats.tobytes())
        shortest = float("inf")
        for _ in range(RUNS):
            start = time.perf_counter()
            reference.colours(file)
            shortest = min(shortest, time.perf_counter() - start)
        print(f"{name} {shortest * 1e3:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
