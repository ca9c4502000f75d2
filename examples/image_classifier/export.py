"""Trains and exports the model behind the processor.

    image_classifier/1      the network of the example `digits`:
                            serving_default: images [n, 28, 28, 1] -> output_0 [n, 10]

The processor is a component: cargo builds it, and it is put beside the version as
`1/assets.extra/processor.wasm`.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "digits"))
import data  # noqa: E402  (the other example's)
import export as digits  # noqa: E402

EPOCHS = 12

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, help="where to write the model")
    directory = parser.parse_args().models / "image_classifier" / "1"
    digits.export_cnn(data.load(), directory, EPOCHS)
