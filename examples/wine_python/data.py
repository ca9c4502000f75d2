"""The wines: 13 measurements of each, and which of three cultivars it was made of.

They come with scikit-learn; nothing is downloaded.
"""

import dataclasses

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split


@dataclasses.dataclass
class Wines:
    """Measurements [n, 13] as they were made, and the numbers of cultivars [n]."""

    names: list[str]
    train: np.ndarray
    train_cultivars: np.ndarray
    test: np.ndarray
    test_cultivars: np.ndarray


def load() -> Wines:
    found = load_wine()
    train, test, train_cultivars, test_cultivars = train_test_split(
        found.data, found.target, test_size=0.25, random_state=7, stratify=found.target
    )
    names = [name.replace("/", "_") for name in found.feature_names]
    return Wines(names, train, train_cultivars, test, test_cultivars)
