"""Flats and their rents: made, not collected, and what a model learns of them, by numpy alone.

The client computes what the server has to answer with the same functions.
"""

import typing

import numpy as np

SEED = 11
COUNT = 3000
CITIES = ["Basel", "Frankfurt, Main", "Graz", "St. Gallen"]
# What a square metre costs there, in a usual year and a usual size.
_PRICES = [24.0, 17.0, 11.0, 19.0]
# Flats whose year is not known count as these.
UNKNOWN_YEAR = 1970
# The bands of rent, and where the second and the third begin.
BANDS = ["low", "middle", "high"]
_BOUNDS = [900.0, 1600.0]


class Flats(typing.NamedTuple):
    """Columns of a table."""

    area: np.ndarray
    rooms: np.ndarray
    city: np.ndarray
    built: np.ndarray


class Weights(typing.NamedTuple):
    """What was learned."""

    rent: np.ndarray
    band: np.ndarray


def make(count: int = COUNT, seed: int = SEED) -> tuple[Flats, np.ndarray]:
    """Flats, and their rents. Of some the year is not known: it is 0."""
    dice = np.random.default_rng(seed)
    rooms = dice.integers(1, 7, count)
    area = np.round(rooms * dice.normal(24.0, 3.0, count) + 12.0, 1).clip(14.0)
    city = dice.integers(0, len(CITIES), count)
    built = dice.integers(1890, 2025, count)
    price = np.array(_PRICES)[city] * (1.0 + (built - 1970) / 600.0)
    rent = price * area + 45.0 * rooms + dice.normal(0.0, 60.0, count)
    built[dice.random(count) < 0.1] = 0
    flats = Flats(area, rooms, np.array(CITIES, dtype=object)[city], built)
    return flats, np.round(rent.clip(200.0), 2)


def features(flats: Flats) -> np.ndarray:
    """What the model looks at, [n, 8]: of a city that it does not know it sees none."""
    built = np.where(flats.built == 0, UNKNOWN_YEAR, flats.built)
    cities = [flats.city == city for city in CITIES]
    columns = [np.ones(len(flats.area)), flats.area / 50.0, flats.rooms / 3.0]
    columns.append((built - UNKNOWN_YEAR) / 50.0)
    # What a square metre costs depends on the city.
    columns += [city * flats.area / 50.0 for city in cities]
    return np.stack(columns, axis=1).astype(np.float32)


def fit() -> Weights:
    """The rent by least squares, the band by softmax regression."""
    flats, rents = make()
    inputs = features(flats).astype(np.float64)
    # Of columns that say the same twice, the shortest solution.
    rent = np.linalg.lstsq(inputs, rents, rcond=None)[0]
    wanted = np.eye(len(BANDS))[np.digitize(rents, _BOUNDS)]
    band = np.zeros((inputs.shape[1], len(BANDS)))
    for _ in range(400):
        given = softmax(inputs @ band)
        band -= 0.5 * inputs.T @ (given - wanted) / len(inputs)
    return Weights(rent.astype(np.float32), band.astype(np.float32))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Numbers that are 1 together, row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def predict(weights: Weights, flats: Flats) -> tuple[np.ndarray, np.ndarray]:
    """Rents [n], and scores of the bands [n, 3]."""
    inputs = features(flats)
    return inputs @ weights.rent, softmax(inputs @ weights.band)
