"""A processor: lines of CSV in, JSON out.

Users send `text/csv` with a name and a number in each line. The model behind it takes the numbers
as the tensor `x` and knows of neither names nor CSV. Clients of TensorFlow Serving's JSON and gRPC
send and get the model's own tensors, as if nothing stood before it.
"""

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

from tensors import (
    answer_json,
    answer_tensors,
    description,
    expect_input,
    expect_output,
    invalid,
    output_of,
    run,
    signature_of,
    tensor,
    text_of,
)

# The signature of the model that is covered, with its input and output.
SIGNATURE = "serving_default"
INPUT = "x"
OUTPUT = "y"

# Lines of one request; more are refused, which bounds what a request costs.
MAX_LINES = 10_000

# The names in the CSV of this request; None where tensors were sent. An instance serves one
# request, so that a variable holds what belongs to it.
names: list[str] | None = None


class Processor(wit_world.exports.Processor):
    """What the server calls; componentize-py looks for a class of this name."""

    def describe(self, subject: Subject) -> list[Description]:
        """Called once for each version of the model, before it serves: an error here keeps a model
        that does not fit from being served."""
        signature = signature_of(subject, SIGNATURE)
        expect_input(signature, INPUT, "float", [-1])
        expect_output(signature, OUTPUT, "float", [-1])
        return [description(SIGNATURE, content_types=["text/csv"])]

    def preprocess(self, context: Context, request: Payload) -> Step:
        global names
        if isinstance(request, Payload_Tensors):
            names = None
            return run(context.signature_name, request.value)
        names, numbers = parse(text_of(request.value))
        return run(context.signature_name, [tensor(INPUT, "float", [len(numbers)], numbers)])

    def postprocess(self, context: Context, outputs: list[NamedTensor]) -> Answer:
        if names is None:
            return answer_tensors(context, outputs)
        _, y = output_of(outputs, OUTPUT, "float", [len(names)])
        return answer_json([{"name": name, "y": value} for name, value in zip(names, y)])


def parse(csv: str) -> tuple[list[str], list[float]]:
    """The names and the numbers of lines like `kitchen,21.5`."""
    found, numbers = [], []
    for count, line in enumerate(csv.splitlines(), start=1):
        if not line.strip():
            continue
        if len(found) == MAX_LINES:
            invalid(f"expected at most {MAX_LINES} lines")
        name, comma, value = line.rpartition(",")
        number = number_of(value)
        if not comma or number is None:
            quoted = json.dumps(line, ensure_ascii=False)
            invalid(f"line {count}: expected a name, a comma and a number, found {quoted}")
        found.append(name.strip())
        numbers.append(number)
    if not found:
        invalid("expected lines of CSV, found none")
    return found, numbers


def number_of(text: str) -> float | None:
    """A number, where it is one. JSON has neither infinities nor what is no number, and the model
    takes floats of 32 bits."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 3.4e38 else None
