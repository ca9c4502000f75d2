"""Tensors there and back: README.md says how these are run."""

import unittest

from componentize_py_types import Err
from wit_world.exports.processor import Body, Context, NamedSignature, Subject
from wit_world.imports.types import ErrorCode, Signature

from tensors import (
    answer_tensors,
    expect_input,
    info,
    input_of,
    output_of,
    signature_of,
    tensor,
    text_of,
)


class Tensors(unittest.TestCase):
    def refused(self, code: ErrorCode, message: str, make, *arguments) -> None:
        with self.assertRaises(Err) as raised:
            make(*arguments)
        self.assertEqual(raised.exception.value.code, code)
        self.assertEqual(raised.exception.value.message, message)

    def test_values_come_back(self):
        there = [
            tensor("floats", "float", [2, 2], [1, 2.5, -3, 0]),
            tensor("longs", "int64", [2], [1, -2]),
            tensor("flags", "bool", [2], [True, False]),
            tensor("words", "string", [3], ["", "grün", "😀"]),
            tensor("none", "float", [0], []),
        ]
        self.assertEqual(
            input_of(there, "floats", "float", [-1, 2]), ([2, 2], [1.0, 2.5, -3.0, 0.0])
        )
        self.assertEqual(input_of(there, "longs", "int64", [2]), ([2], [1, -2]))
        self.assertEqual(input_of(there, "flags", "bool", [-1]), ([2], [True, False]))
        self.assertEqual(input_of(there, "words", "string", [-1]), ([3], ["", "grün", "😀"]))
        self.assertEqual(input_of(there, "none", "float", [-1]), ([0], []))
        wanted = answer_tensors(Context("m", 1, "s", ["words"], []), there)
        self.assertEqual([tensor.name for tensor in wanted.payload.value], ["words"])

    def test_a_tensor_that_is_another_is_named_with_what_was_expected_and_found(self):
        there = [tensor("x", "float", [2, 2], [1, 2, 3, 4])]
        self.refused(
            ErrorCode.INVALID_ARGUMENT,
            "the tensor x: expected float [-1, 3], found float [2, 2]",
            *(input_of, there, "x", "float", [-1, 3]),
        )
        self.refused(
            ErrorCode.INVALID_ARGUMENT,
            "the tensor x: expected int64 [-1, 2], found float [2, 2]",
            *(input_of, there, "x", "int64", [-1, 2]),
        )
        self.refused(
            ErrorCode.INTERNAL,
            "the tensor y is missing: found x",
            *(output_of, there, "y", "float", [-1]),
        )
        broken = [tensor("s", "string", [1], ["ab"])]
        broken[0].tensor.data.value.bytes = b"a\xc3"
        self.refused(
            ErrorCode.INVALID_ARGUMENT,
            "the tensor s: expected UTF-8, found other bytes in string 0",
            *(input_of, broken, "s", "string", [1]),
        )
        with self.assertRaisesRegex(ValueError, "1 values do not fill"):
            tensor("x", "float", [3], [1])

    def test_a_body_is_utf_8(self):
        self.assertEqual(text_of(Body("text/csv", "ä€😀".encode())), "ä€😀")
        message = "expected text/csv in UTF-8, found other bytes"
        self.refused(
            ErrorCode.INVALID_ARGUMENT, message, text_of, Body("text/csv", b"\xff")
        )

    def test_a_model_that_is_another_is_refused(self):
        signature = Signature("predict", [info("x", "float", [-1, 4])], [], False)
        subject = Subject("m", 1, [NamedSignature("serving_default", signature)], [])
        self.assertEqual(signature_of(subject, "serving_default"), signature)
        expect_input(signature, "x", "float", [-1, 4])
        code = ErrorCode.FAILED_PRECONDITION
        self.refused(
            code,
            "the model m has no signature other, only serving_default",
            *(signature_of, subject, "other"),
        )
        self.refused(
            code,
            "the model's input x: expected float [-1, 5], found float [-1, 4]",
            *(expect_input, signature, "x", "float", [-1, 5]),
        )
        self.refused(
            code,
            "the model has no input y, only x",
            *(expect_input, signature, "y", "float", [-1]),
        )


if __name__ == "__main__":
    unittest.main()
