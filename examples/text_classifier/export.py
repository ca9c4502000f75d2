"""Trains and exports the model behind the processor.

    text_classifier/1       serving_default: ids [n, 24] -> output_0 [n, 4]

The numbers are those of words, as Keras's TextVectorization gives them. The model does not hold the
vocabulary, the processor does: `vocabulary.txt`, which has to be the one of the training.

    export.py --write-vocabulary

writes it, after a change of the corpus. Beside the model, in `1/assets.extra/reference.json`, lies
what Keras made of sentences that the model has not seen: their words' numbers, and their scores.
"""

import argparse
import json
import pathlib

import keras
import numpy as np

import corpus

HERE = pathlib.Path(__file__).resolve().parent
VOCABULARY = HERE / "vocabulary.txt"

# Words of a text that the model looks at.
LENGTH = 24
SEED = 1
EPOCHS = 8
# How many of the sentences that were kept back are in the reference.
KEPT = 200


def train(texts: np.ndarray, labels: np.ndarray, words: int) -> keras.Model:
    """The mean of the words' vectors, and one layer."""
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int64", name="ids"),
            # Padding is a word like others: with a mask, the mean of no words would be no number.
            layers.Embedding(words, 16),
            layers.GlobalAveragePooling1D(),
            layers.Dense(len(corpus.LABELS), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(texts, labels, batch_size=64, epochs=EPOCHS, verbose=2)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=pathlib.Path, nargs="?", help="where to write the model")
    parser.add_argument(
        "--write-vocabulary", action="store_true", help="write vocabulary.txt, and no model"
    )
    arguments = parser.parse_args()

    seen, kept = corpus.split()
    vectorize = keras.layers.TextVectorization(output_sequence_length=LENGTH)
    vectorize.adapt([text for text, _ in seen])
    vocabulary = "".join(f"{word}\n" for word in vectorize.get_vocabulary())
    if arguments.write_vocabulary:
        VOCABULARY.write_text(vocabulary)
        return
    if arguments.models is None:
        parser.error("expected where to write the model")
    if VOCABULARY.read_text() != vocabulary:
        raise SystemExit(f"{VOCABULARY} is not that of the corpus: export.py --write-vocabulary")

    def ids(texts: list[str]) -> np.ndarray:
        return np.asarray(vectorize(np.array(texts, dtype=object)), np.int64)

    def numbers(sentences: list[tuple[str, str]]) -> np.ndarray:
        return np.array([corpus.LABELS.index(label) for _, label in sentences])

    words = len(vectorize.get_vocabulary())
    model = train(ids([text for text, _ in seen]), numbers(seen), words)
    version = arguments.models / "text_classifier" / "1"
    model.export(str(version), verbose=False)

    texts = [text for text, _ in kept[:KEPT]] + corpus.HARD
    tokens = ids(texts)
    reference = {
        "texts": texts,
        # Of those that have one.
        "labels": [label for _, label in kept[:KEPT]],
        "ids": tokens.tolist(),
        "scores": model.predict(tokens, verbose=0).tolist(),
    }
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "reference.json").write_text(json.dumps(reference))


if __name__ == "__main__":
    main()
