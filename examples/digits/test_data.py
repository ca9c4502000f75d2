"""The loader of MNIST's files against files in their format, and the split of the built-in digits."""

import gzip
import pathlib
import struct
import tempfile
import unittest

import numpy as np

import data


def write_idx(path: pathlib.Path, values: np.ndarray, kind: int = 8) -> None:
    header = struct.pack(">HBB", 0, kind, values.ndim) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    path.write_bytes(gzip.compress(header + values.tobytes()))


class MnistFiles(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.images = np.arange(2 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(2, 28, 28)
        for part in ("train", "t10k"):
            write_idx(self.directory / f"{part}-images-idx3-ubyte.gz", self.images)
            write_idx(self.directory / f"{part}-labels-idx1-ubyte.gz", np.array([7, 2], np.uint8))

    def test_reads_pixels_as_fractions_and_labels_as_numbers(self):
        digits = data.load(self.directory)
        np.testing.assert_array_equal(digits.train_images, self.images.astype(np.float32) / 255.0)
        self.assertEqual(digits.test_labels.tolist(), [7, 2])
        self.assertEqual(digits.test_labels.dtype, np.int64)

    def test_refuses_a_file_of_another_type(self):
        write_idx(self.directory / "train-labels-idx1-ubyte.gz", np.array([7, 2], np.uint8), kind=13)
        with self.assertRaisesRegex(ValueError, "found type 13"):
            data.load(self.directory)

    def test_refuses_a_file_that_is_cut_short(self):
        path = self.directory / "t10k-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
        with self.assertRaisesRegex(ValueError, "expected 1568 bytes of data, found 1567"):
            data.load(self.directory)


class BuiltInDigits(unittest.TestCase):
    def test_splits_all_digits_the_same_way_every_time(self):
        one, other = data.load(), data.load()
        self.assertEqual(len(one.train_labels) + len(one.test_labels), 1797)
        self.assertEqual(one.test_images.shape[1:], (28, 28))
        np.testing.assert_array_equal(one.test_labels, other.test_labels)
        self.assertLessEqual(float(one.train_images.max()), 1.0)


if __name__ == "__main__":
    unittest.main()
