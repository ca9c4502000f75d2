"""The processor as plain Python: README.md says how these are run."""

import unittest

from componentize_py_types import Err
from wit_world.exports.processor import Body, Context, Payload_Body, Payload_Tensors

import app
from tensors import tensor

CONTEXT = Context("half_plus_two", 1, "serving_default", [], [])


class Csv(unittest.TestCase):
    def test_a_line_becomes_a_number_and_a_number_a_line(self):
        processor = app.Processor()
        body = Body("text/csv", b"kitchen,1\n\nhall,-2.5\r\n")
        step = processor.preprocess(CONTEXT, Payload_Body(body))
        self.assertEqual(step.value.inputs, [tensor("x", "float", [2], [1, -2.5])])
        answer = processor.postprocess(CONTEXT, [tensor("y", "float", [2], [2.5, 0.75])])
        self.assertEqual(
            answer.payload.value.bytes, b'[{"name":"kitchen","y":2.5},{"name":"hall","y":0.75}]'
        )

    def test_tensors_go_through_as_they_are(self):
        processor = app.Processor()
        x = tensor("x", "float", [1], [1])
        step = processor.preprocess(CONTEXT, Payload_Tensors([x]))
        self.assertEqual(step.value.inputs, [x])
        y = tensor("y", "float", [1], [2.5])
        self.assertEqual(processor.postprocess(CONTEXT, [y]).payload, Payload_Tensors([y]))

    def test_a_line_that_is_none_is_named(self):
        for csv, message in [
            ("kitchen,1\nhall", "line 2: expected a name, a comma and a number, found \"hall\""),
            ("12", "line 1: expected a name, a comma and a number, found \"12\""),
            ("", "expected lines of CSV, found none"),
        ]:
            with self.assertRaises(Err) as raised:
                app.parse(csv)
            self.assertEqual(raised.exception.value.message, message)


if __name__ == "__main__":
    unittest.main()
