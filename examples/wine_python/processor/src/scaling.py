"""How measurements become what the model takes. The numbers are the training's.

`export.py` trains with them and the processor uses them, so that a model sees in service what it
saw in training; `test_wine.py` holds them to the data.
"""

FEATURES = [
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280_od315_of_diluted_wines",
    "proline",
]

MEANS = [
    12.9894737,
    2.42150376,
    2.35766917,
    19.6037594,
    99.7894737,
    2.27413534,
    2.03699248,
    0.356842105,
    1.58714286,
    5.0030827,
    0.967714286,
    2.60796992,
    753.932331,
]

DEVIATIONS = [
    0.791334949,
    1.18095444,
    0.271818956,
    3.31259628,
    14.0846275,
    0.604056622,
    0.986130118,
    0.122611732,
    0.571580807,
    2.16350771,
    0.234183932,
    0.720968187,
    323.104494,
]


def standardise(wine: list[float]) -> list[float]:
    """Measurements less the mean, in deviations."""
    return [
        (value - mean) / deviation for value, mean, deviation in zip(wine, MEANS, DEVIATIONS)
    ]
