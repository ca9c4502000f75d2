"""What the processor does, in Python: the pixels that the model takes, by Pillow and numpy.

    reference.py DIR

writes digits and photographs into DIR, as JPEG and PNG files, and beside each file the floats that
it has to become: `NAME.28` (grey, 28 by 28, 0 to 1, as the processor makes them) and `NAME.224`
(RGB, 224 by 224, -1 to 1, as most networks for photographs take them). A test holds the Rust code
to them.
"""

import argparse
import io
import pathlib
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "digits"))
import data  # noqa: E402  (the other example's)

# Pixels of the picture for each pixel of the digit.
ENLARGED = 10


def render(digit: np.ndarray) -> Image.Image:
    """A digit [28, 28] from 0 to 1 as a picture that somebody might send."""
    grey = Image.fromarray((digit * 255).astype(np.uint8))
    side = data.SIDE * ENLARGED
    return grey.resize((side, side), Image.Resampling.BICUBIC).convert("RGB")


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The file: `kind` is `JPEG` or `PNG`."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def grey(file: bytes) -> np.ndarray:
    """What the model of digits takes: [28, 28, 1]."""
    picture = Image.open(io.BytesIO(file)).convert("L")
    pixels = picture.resize((data.SIDE, data.SIDE), Image.Resampling.BILINEAR)
    return (np.asarray(pixels, np.float32) / 255.0)[..., np.newaxis]


def colours(file: bytes, side: int = 224) -> np.ndarray:
    """What most networks for photographs take: [224, 224, 3]."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    pixels = picture.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(pixels, np.float32) / 127.5 - 1.0


def files() -> dict[str, bytes]:
    """Pictures by name."""
    made = {}
    for number, digit in enumerate(data.load().test_images[:10]):
        picture = render(digit)
        made[f"digit-{number}.jpg"] = encode(picture, "JPEG", quality=90)
        made[f"digit-{number}.png"] = encode(picture, "PNG")
    for number, pixels in enumerate(load_sample_images().images):
        picture = Image.fromarray(pixels)
        made[f"photo-{number}.jpg"] = encode(picture, "JPEG")
        made[f"photo-{number}-444.jpg"] = encode(picture, "JPEG", quality=95, subsampling=0)
        made[f"photo-{number}-progressive.jpg"] = encode(picture, "JPEG", progressive=True)
        made[f"photo-{number}-grey.jpg"] = encode(picture.convert("L"), "JPEG")
        made[f"photo-{number}-alpha.png"] = encode(picture.convert("RGBA"), "PNG")
        made[f"photo-{number}-palette.png"] = encode(picture.quantize(64), "PNG")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, help="where to write the pictures")
    directory = parser.parse_args().directory
    for name, file in files().items():
        (directory / name).write_bytes(file)
        (directory / f"{name}.28").write_bytes(grey(file).astype("<f4").tobytes())
        (directory / f"{name}.224").write_bytes(colours(file).astype("<f4").tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
