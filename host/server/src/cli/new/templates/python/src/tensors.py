"""The contract's tensors (`wit/processor.wit`) as Python's lists, and back.

What a client sent, or a model gave, is looked at before it is used: what is missing, of another
type or of another shape is an error that names the tensor, what was expected and what was found.

The contract's types, as Python has them:

- a variant is a class for each case: `Payload_Body(value)`, `Step_Run(value)`;
- an option is the value, or `None`;
- an error is raised: `raise Err(Error(ErrorCode.INVALID_ARGUMENT, message))`. Any other exception
  is a defect of the processor, and the client learns no more than that it failed;
- integers are `int`, and bytes are `bytes`.

Nothing in here is specific to one processor. The modules `wit_world` and `componentize_py_types`
are made by componentize-py, when it makes the component.
"""

import json
import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import NoReturn

from componentize_py_types import Err
from wit_world.exports.processor import (
    Answer,
    Body,
    Context,
    Description,
    ModelCall,
    Payload_Body,
    Payload_Tensors,
    Step_Run,
    Subject,
)
from wit_world.imports.types import (
    Error,
    ErrorCode,
    NamedTensor,
    Signature,
    StringData,
    Tensor,
    TensorData_Fixed,
    TensorData_Strings,
    TensorInfo,
)

# The element types: number in the contract, and the letter that `array` has for them.
TYPES = {
    "float": (1, "f"),
    "double": (2, "d"),
    "int32": (3, "i"),
    "uint8": (4, "B"),
    "int16": (5, "h"),
    "int8": (6, "b"),
    "string": (7, ""),
    "int64": (9, "q"),
    "bool": (10, "B"),
    "uint16": (17, "H"),
    "uint32": (22, "I"),
    "uint64": (23, "Q"),
}
NAMES = {number: name for name, (number, _) in TYPES.items()}

# Elements are little-endian, as all of WebAssembly is.
assert sys.byteorder == "little"


def fail(code: ErrorCode, message: str) -> NoReturn:
    """An error, as the client is to read it."""
    raise Err(Error(code, message))


def invalid(message: str) -> NoReturn:
    """The client's own mistake: 400, `INVALID_ARGUMENT`."""
    fail(ErrorCode.INVALID_ARGUMENT, message)


# --- What a model takes and gives ---


def signature_of(subject: Subject, name: str) -> Signature:
    """The model's signature of this name; an error, which keeps the model from being served, where
    there is none."""
    for found in subject.signatures:
        if found.name == name:
            return found.signature
    names = _list(found.name for found in subject.signatures)
    fail(
        ErrorCode.FAILED_PRECONDITION,
        f"the model {subject.model} has no signature {name}, only {names}",
    )


def expect_input(signature: Signature, name: str, kind: str, shape: Sequence[int]) -> None:
    """Refuses a model whose input is another: `expect_input(signature, "x", "float", [-1])`."""
    _expect(signature.inputs, "input", name, kind, shape)


def expect_output(signature: Signature, name: str, kind: str, shape: Sequence[int]) -> None:
    """Refuses a model whose output is another."""
    _expect(signature.outputs, "output", name, kind, shape)


def _expect(
    infos: Sequence[TensorInfo], what: str, name: str, kind: str, shape: Sequence[int]
) -> None:
    info = next((info for info in infos if info.name == name), None)
    if info is None:
        names = _list(info.name for info in infos)
        fail(ErrorCode.FAILED_PRECONDITION, f"the model has no {what} {name}, only {names}")
    # A signature that says nothing of a dimension, or of the shape, may mean any.
    found = info.shape
    fits = found is None or (
        len(found) == len(shape)
        and all(size in (-1, other) or other == -1 for size, other in zip(shape, found))
    )
    if info.dtype != TYPES[kind][0] or not fits:
        seen = "of any rank" if found is None else str(list(found))
        fail(
            ErrorCode.FAILED_PRECONDITION,
            f"the model's {what} {name}: expected {kind} {list(shape)}, "
            f"found {_name(info.dtype)} {seen}",
        )


def info(name: str, kind: str, shape: Sequence[int]) -> TensorInfo:
    """What clients send or get, for `describe`: `info("x", "float", [-1])`."""
    return TensorInfo(name, TYPES[kind][0], list(shape), False)


def description(
    signature_name: str,
    content_types: Sequence[str] = (),
    inputs: Sequence[TensorInfo] | None = None,
    outputs: Sequence[TensorInfo] | None = None,
) -> Description:
    """How clients see a signature, for `describe`. Without inputs and outputs the model's own."""
    return Description(
        signature_name,
        list(content_types),
        None if inputs is None else list(inputs),
        None if outputs is None else list(outputs),
        [],
    )


# --- Tensors in ---


def input_of(
    tensors: Sequence[NamedTensor], name: str, kind: str, shape: Sequence[int]
) -> tuple[list[int], list]:
    """A tensor that a client sent, as its shape and its values: -1 in `shape` is any size."""
    return _read(tensors, name, kind, shape, ErrorCode.INVALID_ARGUMENT)


def output_of(
    tensors: Sequence[NamedTensor], name: str, kind: str, shape: Sequence[int]
) -> tuple[list[int], list]:
    """A tensor that the model gave. That it is another is the model's fault, not the client's."""
    return _read(tensors, name, kind, shape, ErrorCode.INTERNAL)


def _read(
    tensors: Sequence[NamedTensor], name: str, kind: str, shape: Sequence[int], code: ErrorCode
) -> tuple[list[int], list]:
    number, letter = TYPES[kind]
    found = next((tensor.tensor for tensor in tensors if tensor.name == name), None)
    if found is None:
        names = _list(tensor.name for tensor in tensors)
        fail(code, f"the tensor {name} is missing: found {names}")
    fits = len(found.shape) == len(shape) and all(
        size in (-1, other) for size, other in zip(shape, found.shape)
    )
    if found.dtype != number or not fits:
        fail(
            code,
            f"the tensor {name}: expected {kind} {list(shape)}, "
            f"found {_name(found.dtype)} {list(found.shape)}",
        )
    if kind == "string":
        return list(found.shape), _strings(found.data.value, name, code)
    values = array(letter, found.data.value)
    if kind == "bool":
        return list(found.shape), [value != 0 for value in values]
    return list(found.shape), values.tolist()


def _strings(data: StringData, name: str, code: ErrorCode) -> list[str]:
    """Byte strings that have to be UTF-8."""
    texts = []
    for index, (start, end) in enumerate(zip(data.offsets, data.offsets[1:])):
        try:
            texts.append(data.bytes[start:end].decode())
        except UnicodeDecodeError:
            fail(code, f"the tensor {name}: expected UTF-8, found other bytes in string {index}")
    return texts


# --- Tensors out ---


def tensor(name: str, kind: str, shape: Sequence[int], values: Sequence) -> NamedTensor:
    """A tensor with its name: `tensor("x", "float", [2], [1.5, 2])`."""
    number, letter = TYPES[kind]
    if math.prod(shape) != len(values):
        raise ValueError(f"the tensor {name}: {len(values)} values do not fill {list(shape)}")
    if kind == "string":
        texts = [value.encode() for value in values]
        offsets = [0]
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        data = TensorData_Strings(StringData(offsets, b"".join(texts)))
    else:
        data = TensorData_Fixed(array(letter, values).tobytes())
    return NamedTensor(name, Tensor(number, list(shape), data))


# --- Steps and answers ---


def run(
    signature_name: str, inputs: Sequence[NamedTensor], outputs: Sequence[str] = ()
) -> Step_Run:
    """Runs the model: what `preprocess` gives. Without `outputs` all of them are wanted."""
    return Step_Run(ModelCall(signature_name, list(inputs), list(outputs)))


def answer_tensors(context: Context, tensors: Sequence[NamedTensor]) -> Answer:
    """An answer of tensors: those that the client wants, which without a word are all."""
    wanted = [
        tensor for tensor in tensors if not context.outputs or tensor.name in context.outputs
    ]
    return Answer(Payload_Tensors(wanted), None, [])


def answer_json(value: object) -> Answer:
    """An answer of JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Answer(Payload_Body(Body("application/json", text.encode())), None, [])


# --- Text ---


def text_of(body: Body) -> str:
    """The text of a body."""
    try:
        return body.bytes.decode()
    except UnicodeDecodeError:
        invalid(f"expected {body.content_type} in UTF-8, found other bytes")


# --- Names ---


def _name(number: int) -> str:
    return NAMES.get(number, f"type {number} of tensorflow.DataType")


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
