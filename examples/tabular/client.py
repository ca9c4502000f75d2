"""Sends tables of flats that the model has not seen, and holds the answers to those of numpy."""

import argparse
import csv
import io
import sys

import numpy as np
import requests

import flats

NAMES = ["area", "rooms", "city", "built"]


def check(what: str, holds: bool) -> None:
    """Says what was found, and ends the program where it is not so."""
    print(f"{'yes' if holds else 'NO'}: {what}")
    if not holds:
        raise SystemExit(1)


def table(some: flats.Flats, names: list[str] = NAMES, **options: object) -> str:
    """CSV of these columns; a year that is not known is an empty cell."""
    columns = some._asdict() | {"note": ['sunny, with "view"\nand garden'] * len(some.area)}
    text = io.StringIO()
    writer = csv.writer(text, **options)
    writer.writerow(names)
    for row in zip(*(columns[name] for name in names), strict=True):
        writer.writerow(
            "" if name == "built" and cell == 0 else cell
            for name, cell in zip(names, row, strict=True)
        )
    return text.getvalue()


class Model:
    """The model at a server."""

    def __init__(self, url: str):
        self.url = f"{url}/v1/models/tabular"
        self.session = requests.Session()

    def send(
        self, text: str, signature: str = "serving_default", **headers: str
    ) -> requests.Response:
        """The answer to a table."""
        url = f"{self.url}:predict?signature_name={signature}"
        headers = {"content-type": "text/csv"} | headers
        return self.session.post(url, data=text.encode(), headers=headers, timeout=60)

    def rows(self, text: str, signature: str = "serving_default") -> list[dict]:
        """The rows of a JSON answer."""
        answer = self.send(text, signature)
        if answer.status_code != 200:
            raise SystemExit(f"{signature}: answered {answer.status_code}: {answer.text}")
        return answer.json()["predictions"]

    def examples(self, api: str, some: flats.Flats) -> list:
        """The answer to tf.Examples, by TensorFlow Serving's classify or regress."""
        examples = []
        for area, rooms, city, built in zip(*some, strict=True):
            example = {"area": float(area), "rooms": int(rooms), "city": city}
            examples.append(example | ({"built": int(built)} if built else {}))
        signature = {"signature_name": api, "examples": examples}
        answer = self.session.post(f"{self.url}:{api}", json=signature, timeout=60)
        if answer.status_code != 200:
            raise SystemExit(f"{api}: answered {answer.status_code}: {answer.text}")
        return answer.json()["results"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://localhost:8501", help="the server's REST address")
    parser.add_argument("--models", help="not needed: this client changes no model")
    parser.add_argument("--count", type=int, default=5000, help="how many flats to send")
    arguments = parser.parse_args()
    model = Model(arguments.url)

    some, rents = flats.make(arguments.count, flats.SEED + 1)
    weights = flats.fit()
    expected, scores = flats.predict(weights, some)
    bands = [flats.BANDS[best] for best in scores.argmax(axis=1)]

    def agree(
        what: str,
        rows: list[dict],
        count: int,
        expected: np.ndarray = expected,
        scores: np.ndarray = scores,
    ) -> None:
        """Holds the first rows to numpy's."""
        found = np.array([[row["rent"], row["score"]] for row in rows], np.float64)
        # float32 here and there, summed in other orders.
        near = np.allclose(found[:, 0], expected[:count], rtol=1e-4)
        near &= np.allclose(found[:, 1], scores[:count].max(axis=1), atol=1e-4)
        clear = np.sort(scores[:count], axis=1)
        clear = clear[:, 2] - clear[:, 1] > 1e-3
        same = [
            row["band"] == flats.BANDS[best]
            for row, best in zip(rows, scores[:count].argmax(axis=1), strict=True)
        ]
        check(
            f"{what}: {len(rows)} rows are answered as numpy does",
            near and all(fits or not sure for fits, sure in zip(same, clear, strict=True)),
        )

    rows = model.rows(table(some))
    agree("CSV in, JSON out", rows, len(expected))
    error = np.abs(np.array([row["rent"] for row in rows]) - rents).mean()
    check(f"rents are {error:.0f} off on average, of {rents.mean():.0f}", error < 100)

    few = flats.Flats(*(column[:50] for column in some))
    check("some years are not known", (few.built == 0).any())
    agree(
        "columns in another order, and one more, quoted",
        model.rows(table(few, ["note", *reversed(NAMES)], quoting=csv.QUOTE_ALL)),
        50,
    )
    agree(
        "lines that end as on UNIX, and a byte order mark",
        model.rows("\ufeff" + table(few, lineterminator="\n")),
        50,
    )
    unknown = few._replace(built=np.zeros(50, int))
    agree(
        "no column for the year",
        model.rows(table(few, NAMES[:3])),
        50,
        *flats.predict(weights, unknown),
    )

    answer = model.send(table(few), accept="text/csv")
    check("a client that accepts CSV gets it", answer.headers["content-type"] == "text/csv")
    print("\n".join(answer.text.splitlines()[:3]))
    read = list(csv.DictReader(io.StringIO(answer.text)))
    agree("CSV in, CSV out", read, 50)

    regressed = model.examples("regress", few)
    check(
        "tf.Examples by regress have these rents", np.allclose(regressed, expected[:50], rtol=1e-4)
    )
    by_table = [row["rent"] for row in model.rows(table(few), "regress")]
    check("and CSV of that signature too", np.allclose(by_table, regressed, rtol=1e-6))
    classified = [max(row, key=lambda pair: pair[1]) for row in model.examples("classify", few)]
    check(
        "tf.Examples by classify have these bands", [band for band, _ in classified] == bands[:50]
    )
    by_table = [(row["band"], row["score"]) for row in model.rows(table(few), "classify")]
    check(
        "and CSV of that signature too",
        all(
            one[0] == other[0] and abs(one[1] - other[1]) < 1e-5
            for one, other in zip(by_table, classified, strict=True)
        ),
    )

    for what, text in [
        ("a column is missing", "area,city\n50,Basel\n"),
        ("a number is none", "area,rooms,city\n50,2,Basel\nlarge,2,Basel\n"),
        ("a cell too many", "area,rooms,city\n50,2,Frankfurt, Main\n"),
        ("no rows", "area,rooms,city\n"),
        ("nothing", "\n"),
        ("too many rows", "area,rooms,city\n" + "50,2,Basel\n" * 10_001),
    ]:
        refused = model.send(text)
        print(f"{what}: {refused.status_code}, {refused.json()['error']}")
        check(f"{what}: refused", refused.status_code == 400)
    return 0


if __name__ == "__main__":
    sys.exit(main())
