"""A processor: a laboratory's CSV in, cultivars out.

Users send `text/csv` with a line of names and a line for each wine; columns may come in any order,
and those that nobody needs are passed over. Clients of TensorFlow Serving's protocols send the
measurements as the tensor `features`, in the order of `scaling.FEATURES`. The model takes neither:
it was trained on what `scaling.standardise` makes.
"""

import csv
import json

import wit_world.exports
from wit_world.exports.processor import (
    Answer,
    Context,
    Description,
    Payload,
    Payload_Tensors,
    Step,
    Subject,
)
from wit_world.imports.types import NamedTensor

from scaling import FEATURES, standardise
from tensors import (
    answer_json,
    answer_tensors,
    description,
    expect_input,
    expect_output,
    info,
    input_of,
    invalid,
    output_of,
    run,
    signature_of,
    tensor,
    text_of,
)

# The signature of the model that is covered, with its input and output.
SIGNATURE = "serving_default"
INPUT = "standardised"
OUTPUT = "probabilities"

# The labels, in the order of the model's probabilities.
CULTIVARS = ["cultivar 1", "cultivar 2", "cultivar 3"]

# Wines of one request; more are refused, which bounds what a request costs.
MAX_WINES = 10_000

# Whether this request is a body. An instance serves one request, so that a variable holds what
# belongs to it.
is_body = False


class Processor(wit_world.exports.Processor):
    """What the server calls."""

    def describe(self, subject: Subject) -> list[Description]:
        signature = signature_of(subject, SIGNATURE)
        expect_input(signature, INPUT, "float", [-1, len(FEATURES)])
        expect_output(signature, OUTPUT, "float", [-1, len(CULTIVARS)])
        return [
            description(
                SIGNATURE,
                content_types=["text/csv"],
                inputs=[info("features", "float", [-1, len(FEATURES)])],
                outputs=[info("cultivar", "string", [-1]), info("probability", "float", [-1])],
            )
        ]

    def preprocess(self, context: Context, request: Payload) -> Step:
        global is_body
        is_body = not isinstance(request, Payload_Tensors)
        if is_body:
            wines = parse(text_of(request.value))
        else:
            shape, values = input_of(request.value, "features", "float", [-1, len(FEATURES)])
            width = len(FEATURES)
            check_count(shape[0])
            wines = [values[row * width : (row + 1) * width] for row in range(shape[0])]
        values = [value for wine in wines for value in standardise(wine)]
        made = tensor(INPUT, "float", [len(wines), len(FEATURES)], values)
        return run(SIGNATURE, [made], [OUTPUT])

    def postprocess(self, context: Context, outputs: list[NamedTensor]) -> Answer:
        shape, values = output_of(outputs, OUTPUT, "float", [-1, len(CULTIVARS)])
        width = len(CULTIVARS)
        rows = [values[row * width : (row + 1) * width] for row in range(shape[0])]
        likeliest = [max(range(width), key=row.__getitem__) for row in rows]
        cultivars = [CULTIVARS[index] for index in likeliest]
        chances = [row[index] for row, index in zip(rows, likeliest)]
        if is_body:
            wines = zip(cultivars, chances)
            return answer_json(
                {"wines": [{"cultivar": name, "probability": chance} for name, chance in wines]}
            )
        made = [
            tensor("cultivar", "string", [len(rows)], cultivars),
            tensor("probability", "float", [len(rows)], chances),
        ]
        return answer_tensors(context, made)


def check_count(count: int) -> None:
    if not 1 <= count <= MAX_WINES:
        invalid(f"expected 1 to {MAX_WINES} wines, found {count}")


def parse(text: str) -> list[list[float]]:
    """The measurements of every line, in the order of `FEATURES`."""
    lines = csv.reader(text.removeprefix("\ufeff").splitlines())
    try:
        return rows(lines)
    except csv.Error as error:
        invalid(f"line {lines.line_num}: expected CSV: {error}")


def rows(lines) -> list[list[float]]:
    names = [name.strip() for name in next(lines, [])]
    missing = [feature for feature in FEATURES if feature not in names]
    if missing:
        invalid(f"line 1: expected a column {missing[0]}, found {', '.join(names) or 'nothing'}")
    places = [names.index(feature) for feature in FEATURES]
    wines = []
    for line in lines:
        if not line:
            continue
        if len(line) != len(names):
            invalid(
                f"line {lines.line_num}: expected {len(names)} columns as in line 1, "
                f"found {len(line)}"
            )
        check_count(len(wines) + 1)
        wines.append(
            [number(line[place], feature, lines) for place, feature in zip(places, FEATURES)]
        )
    check_count(len(wines))
    return wines


def number(text: str, feature: str, lines) -> float:
    try:
        return float(text)
    except ValueError:
        quoted = json.dumps(text, ensure_ascii=False)
        invalid(f"line {lines.line_num}: expected a number for {feature}, found {quoted}")
