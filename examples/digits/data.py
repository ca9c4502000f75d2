"""Handwritten digits as images of 28 by 28, in the range 0 to 1, split for training and testing.

Two sources with one shape:

- the 1,797 real digits that come inside scikit-learn, so that nothing is downloaded;
- MNIST, where its four files are at hand.
"""

import gzip
import pathlib
import struct
import typing

import numpy as np

SIDE = 28
# Three quarters to train on, the rest is never seen in training.
TRAIN_SHARE = 0.75
# Any number will do; a fixed one makes every export split the same way.
SPLIT_SEED = 20


class Digits(typing.NamedTuple):
    """Images are float32 [n, 28, 28], labels are int64 [n]."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load(mnist: pathlib.Path | None = None) -> Digits:
    """MNIST from the directory `mnist`, or scikit-learn's digits where it is None."""
    return _load_mnist(mnist) if mnist else _load_sklearn()


def _load_sklearn() -> Digits:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 8x8 with values to 16. MNIST draws its digits in the middle of a frame: enlarge threefold
    # and put a border of two round it.
    images = (digits.images / 16.0).astype(np.float32)
    images = images.repeat(3, axis=1).repeat(3, axis=2)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.int64)

    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    train, test = np.split(order, [int(len(order) * TRAIN_SHARE)])
    return Digits(images[train], labels[train], images[test], labels[test])


def _load_mnist(directory: pathlib.Path) -> Digits:
    return Digits(
        _read_images(directory / "train-images-idx3-ubyte.gz"),
        _read_labels(directory / "train-labels-idx1-ubyte.gz"),
        _read_images(directory / "t10k-images-idx3-ubyte.gz"),
        _read_labels(directory / "t10k-labels-idx1-ubyte.gz"),
    )


def _read_idx(path: pathlib.Path, dimensions: int) -> np.ndarray:
    """One file in the IDX format: two zero bytes, type, rank, the sizes (big-endian), the data."""
    with gzip.open(path, "rb") as file:
        zero, kind, rank = struct.unpack(">HBB", file.read(4))
        if (zero, kind, rank) != (0, 8, dimensions):
            raise ValueError(
                f"{path}: expected an IDX file of unsigned bytes of rank {dimensions}, "
                f"found type {kind} of rank {rank}"
            )
        shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        data = np.frombuffer(file.read(), dtype=np.uint8)
    if data.size != np.prod(shape):
        raise ValueError(f"{path}: expected {np.prod(shape)} bytes of data, found {data.size}")
    return data.reshape(shape)


def _read_images(path: pathlib.Path) -> np.ndarray:
    images = _read_idx(path, 3)
    if images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{path}: expected images of {SIDE}x{SIDE}, found {images.shape[1:]}")
    return images.astype(np.float32) / 255.0


def _read_labels(path: pathlib.Path) -> np.ndarray:
    return _read_idx(path, 1).astype(np.int64)
