"""The processor as plain Python, and its numbers against the data.

What componentize-py makes of the contract has to be importable: `cargo xtask test --only python`
does that. It needs Python 3.11.
"""

import pathlib
import sys
import unittest

import numpy as np

import data

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "processor/src"))
import scaling  # noqa: E402  (the processor's)

if sys.version_info >= (3, 11):
    from componentize_py_types import Err
    from wit_world.exports.processor import Body, Context, Payload_Body, Payload_Tensors

    import wine
    from tensors import input_of, tensor
    from test_tensors import Tensors  # noqa: F401  (found here, and run)

    CONTEXT = Context("wine_python", 1, "serving_default", [], [])


class Scaling(unittest.TestCase):
    def test_the_processor_has_the_numbers_of_the_training(self):
        wines = data.load()
        self.assertEqual(scaling.FEATURES, wines.names)
        np.testing.assert_allclose(scaling.MEANS, wines.train.mean(axis=0), rtol=1e-8)
        np.testing.assert_allclose(scaling.DEVIATIONS, wines.train.std(axis=0), rtol=1e-8)


@unittest.skipIf(sys.version_info < (3, 11), "the contract's types need Python 3.11")
class Processor(unittest.TestCase):
    def refused(self, text: str, message: str) -> None:
        with self.assertRaises(Err) as raised:
            wine.parse(text)
        self.assertEqual(raised.exception.value.message, message)

    def test_columns_are_found_by_their_names(self):
        names = ["bottle", *reversed(scaling.FEATURES)]
        values = ["no 1", *(str(mean) for mean in reversed(scaling.MEANS))]
        table = f"\ufeff{','.join(names)}\r\n\r\n{','.join(values)}\r\n"
        request = Payload_Body(Body("text/csv", table.encode()))
        step = wine.Processor().preprocess(CONTEXT, request)
        _, made = input_of(step.value.inputs, "standardised", "float", [1, 13])
        self.assertEqual(made, [0.0] * 13)
        outputs = [tensor("probabilities", "float", [1, 3], [0.125, 0.5, 0.375])]
        answer = wine.Processor().postprocess(CONTEXT, outputs)
        self.assertEqual(
            answer.payload.value.bytes, b'{"wines":[{"cultivar":"cultivar 2","probability":0.5}]}'
        )

    def test_tensors_are_answered_with_the_tensors_that_are_wanted(self):
        features = tensor("features", "float", [2, 13], scaling.MEANS * 2)
        wine.Processor().preprocess(CONTEXT, Payload_Tensors([features]))
        outputs = [tensor("probabilities", "float", [2, 3], [0.75, 0, 0.25, 0, 0, 1])]
        context = Context("wine_python", 1, "serving_default", ["cultivar"], [])
        answer = wine.Processor().postprocess(context, outputs)
        self.assertEqual(
            answer.payload.value, [tensor("cultivar", "string", [2], ["cultivar 1", "cultivar 3"])]
        )

    def test_what_is_wrong_is_said_with_its_line(self):
        names = ",".join(scaling.FEATURES)
        row = ",".join(["1"] * 13)
        self.refused("", "line 1: expected a column alcohol, found nothing")
        self.refused("ash,hue\n1,2", "line 1: expected a column alcohol, found ash, hue")
        self.refused(names, "expected 1 to 10000 wines, found 0")
        self.refused(
            f"{names}\n{row}\n1,2", "line 3: expected 13 columns as in line 1, found 2"
        )
        self.refused(
            f"{names}\nlots{row[1:]}", 'line 2: expected a number for alcohol, found "lots"'
        )


if __name__ == "__main__":
    unittest.main()
