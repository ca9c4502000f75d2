"""Predict: every element type in every encoding, and the rules of its inputs and outputs.

The server serves tests/models: identity, mixed, half_plus_two, half_plus_version, defaults,
signatures, counter, no_inputs, scalar, unknown_rank.
"""

import ml_dtypes
import numpy as np
import tensorflow as tf

from serving import *

T = types_pb2

# By signature of the model `identity`: type, and values with the extremes of the type.
NUMBERS = {
    "float": (T.DT_FLOAT, np.array([1.5, -0.0, np.inf, -np.inf, 3.4028235e38, 1e-45], np.float32)),
    "double": (T.DT_DOUBLE, np.array([1.5, -0.0, np.inf, 1.7976931348623157e308, 5e-324])),
    "int32": (T.DT_INT32, np.array([0, 1, -1, 2**31 - 1, -(2**31)], np.int32)),
    "uint8": (T.DT_UINT8, np.array([0, 1, 255], np.uint8)),
    "int16": (T.DT_INT16, np.array([0, 1, -1, 32767, -32768], np.int16)),
    "int8": (T.DT_INT8, np.array([0, 1, -1, 127, -128], np.int8)),
    "complex64": (T.DT_COMPLEX64, np.array([1.5 - 2.5j, 0j, -1j], np.complex64)),
    "int64": (T.DT_INT64, np.array([0, -1, 2**63 - 1, -(2**63)], np.int64)),
    "bool": (T.DT_BOOL, np.array([True, False, True])),
    "qint8": (T.DT_QINT8, np.array([0, -1, 127, -128], np.int8)),
    "quint8": (T.DT_QUINT8, np.array([0, 1, 255], np.uint8)),
    "qint32": (T.DT_QINT32, np.array([0, -1, 2**31 - 1, -(2**31)], np.int32)),
    "bfloat16": (T.DT_BFLOAT16, np.array([1.5, -0.0, 3e38, 0], ml_dtypes.bfloat16)),
    "qint16": (T.DT_QINT16, np.array([0, -1, 32767, -32768], np.int16)),
    "quint16": (T.DT_QUINT16, np.array([0, 1, 65535], np.uint16)),
    "uint16": (T.DT_UINT16, np.array([0, 1, 65535], np.uint16)),
    "complex128": (T.DT_COMPLEX128, np.array([1.5 - 2.5j, 1e300j])),
    "half": (T.DT_HALF, np.array([1.5, -0.0, 65504, 6e-8], np.float16)),
    "uint32": (T.DT_UINT32, np.array([0, 1, 2**32 - 1], np.uint32)),
    "uint64": (T.DT_UINT64, np.array([0, 1, 2**64 - 1], np.uint64)),
}
STRINGS = [b"", b"word", b"\x00\xff\xfe not UTF-8", "größe".encode(), b"x" * 300]


class Encodings(Case):
    """How tensors travel."""

    def identity(self, signature, tensor):
        answer = self.predict(predict_request(spec("identity", signature), {"x": tensor}))
        self.assertEqual(list(answer.outputs), ["y"])
        return answer.outputs["y"]

    def test_every_type_in_its_own_field(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                sent = typed(dtype, values, values.shape)
                # Equal messages: the answer is in the field of its type, one value per element.
                self.assertEqual(self.identity(signature, sent), sent)

    def test_every_type_as_tensor_content(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                # Twelve dimensions less than numpy has, and the last one repeated.
                values = np.tile(values, [2, 1, 3, 1])
                expected = typed(dtype, values, values.shape)
                self.assertEqual(self.identity(signature, raw(dtype, values)), expected)

    def test_strings_in_their_field_and_packed(self):
        expected = typed(T.DT_STRING, STRINGS, [len(STRINGS)])
        self.assertEqual(self.identity("string", expected), expected)
        self.assertEqual(self.identity("string", packed_strings(STRINGS)), expected)

    def test_what_the_official_helper_makes(self):
        for signature, (dtype, values) in NUMBERS.items():
            if signature.startswith(("qint", "quint")):
                continue
            with self.subTest(signature):
                for value in (values, values[:1], values[0], values[:0]):
                    answer = self.identity(signature, tf.make_tensor_proto(value, dtype))
                    np.testing.assert_array_equal(tf.make_ndarray(answer), value)
        answer = self.identity("string", tf.make_tensor_proto([[b"a", b"b"], [b"c", b"\xff"]]))
        self.assertEqual(tf.make_ndarray(answer).tolist(), [[b"a", b"b"], [b"c", b"\xff"]])

    def test_nan_keeps_its_bits(self):
        values = np.array([0x7FC00001, 0xFFC12345], np.uint32).view(np.float32)
        answer = self.identity("float", raw(T.DT_FLOAT, values))
        self.assertTrue(np.isnan(list(answer.float_val)).all())

    def test_a_short_field_is_filled_with_its_last_value(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                sent = typed(dtype, values[:2], [2, 3])
                expected = np.concatenate([values[:2], np.repeat(values[1:2], 4)]).reshape(2, 3)
                self.assertEqual(self.identity(signature, sent), typed(dtype, expected, [2, 3]))
        answer = self.identity("string", typed(T.DT_STRING, [b"a", b"b"], [4]))
        self.assertEqual(list(answer.string_val), [b"a", b"b", b"b", b"b"])

    def test_an_empty_field_means_zeros(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                zeros = np.zeros([2, 2], values.dtype)
                answer = self.identity(signature, shaped(dtype, [2, 2]))
                self.assertEqual(answer, typed(dtype, zeros, [2, 2]))
        answer = self.identity("string", shaped(T.DT_STRING, [2]))
        self.assertEqual(list(answer.string_val), [b"", b""])

    def test_surplus_values_are_ignored(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                answer = self.identity(signature, typed(dtype, values, [2]))
                self.assertEqual(answer, typed(dtype, values[:2], [2]))

    def test_a_value_in_another_types_field_is_not_there(self):
        sent = shaped(T.DT_FLOAT, [2])
        sent.double_val.extend([1.5, 2.5])
        self.assertEqual(list(self.identity("float", sent).float_val), [0, 0])

    def test_tensor_content_wins_over_a_typed_field(self):
        sent = raw(T.DT_FLOAT, np.array([1, 2], np.float32))
        sent.float_val.extend([7, 8])
        self.assertEqual(list(self.identity("float", sent).float_val), [1, 2])

    def test_narrow_integers_are_cut_to_their_bits(self):
        for signature, dtype, cut in (
            ("uint8", T.DT_UINT8, 44),
            ("int8", T.DT_INT8, 44),
            ("uint16", T.DT_UINT16, 300),
        ):
            sent = shaped(dtype, [1])
            sent.int_val.append(300)
            self.assertEqual(list(self.identity(signature, sent).int_val), [cut])

    def test_scalars_and_empty_tensors_and_many_dimensions(self):
        for shape in ([], [0], [3, 0, 2], [1] * 8, [2, 1, 2, 1, 2]):
            values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
            sent = typed(T.DT_FLOAT, values, shape)
            self.assertEqual(self.identity("float", sent), sent)

    def test_without_a_shape_or_of_unknown_rank_it_is_a_scalar(self):
        absent = tensor_pb2.TensorProto(dtype=T.DT_FLOAT, float_val=[2.5])
        unknown = tensor_pb2.TensorProto(dtype=T.DT_FLOAT, float_val=[2.5])
        unknown.tensor_shape.unknown_rank = True
        for sent in (absent, unknown):
            answer = self.identity("float", sent)
            self.assertEqual(answer, typed(T.DT_FLOAT, 2.5, []))

    def test_what_is_no_tensor_is_refused_by_name(self):
        negative = typed(T.DT_FLOAT, [1], [-1])
        huge = shaped(T.DT_FLOAT, [2**40, 2**40])
        content = raw(T.DT_FLOAT, np.array([1, 2], np.float32))
        content.tensor_content += b"\0"
        strings = packed_strings([b"word"])
        strings.tensor_content += b"more"
        for tensor in (negative, huge, content, strings, shaped(T.DT_INVALID, [1])):
            self.refused(
                self.prediction.Predict,
                predict_request(spec("identity"), {"x": tensor}),
                Code.INVALID_ARGUMENT,
                "tensor parsing error: x",
            )

    def test_another_type_than_the_signatures_is_refused(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.predict(
                predict_request(spec("identity"), {"x": typed(T.DT_STRING, [b"word"], [1])})
            )
        self.assertEqual(caught.exception.code(), Code.INVALID_ARGUMENT)
        self.assertIn("float", caught.exception.details())
        self.assertIn("string", caught.exception.details())


class Content(Case):
    """With `--enable_serialization_as_tensor_content`."""

    def test_answers_are_tensor_content_alone(self):
        for signature, (dtype, values) in NUMBERS.items():
            with self.subTest(signature):
                request = predict_request(
                    spec("identity", signature), {"x": typed(dtype, values, values.shape)}
                )
                self.assertEqual(self.predict(request).outputs["y"], raw(dtype, values))
        request = predict_request(
            spec("identity", "string"), {"x": typed(T.DT_STRING, STRINGS, [len(STRINGS)])}
        )
        self.assertEqual(self.predict(request).outputs["y"], packed_strings(STRINGS))

    def test_rest_is_as_ever(self):
        import requests

        answer = requests.post(
            f"{os.environ['TENSORGATE_REST']}/v1/models/identity:predict",
            json={"inputs": [1.5, 2.5]},
            timeout=PATIENCE,
        )
        self.assertEqual(answer.json(), {"outputs": [1.5, 2.5]})


class Inputs(Case):
    """Which inputs a request must have."""

    def test_half_plus_two(self):
        answer = self.predict(predict_request(spec("half_plus_two"), {"x": [1.0, 2.0, 5.0]}))
        self.assertEqual(list(answer.outputs["y"].float_val), [2.5, 3.0, 4.5])

    def test_shapes_are_not_checked(self):
        # The signature says [-1, 1].
        for shape in ([], [3], [3, 1], [1, 3, 1]):
            sent = typed(T.DT_FLOAT, np.ones(shape), shape)
            answer = self.predict(predict_request(spec("half_plus_two"), {"x": sent}))
            self.assertEqual(answer.outputs["y"], typed(T.DT_FLOAT, np.full(shape, 2.5), shape))

    def test_several_inputs_and_outputs_of_several_types(self):
        request = predict_request(
            spec("mixed"),
            {
                "a": floats(0.5, 1.5),
                "b": typed(T.DT_INT64, [1, 2], [2]),
                "c": typed(T.DT_STRING, [b"x", b"yz"], [2]),
            },
        )
        outputs = self.predict(request).outputs
        self.assertEqual(list(outputs["total"].float_val), [1.5, 3.5])
        # Another name of the same tensor.
        self.assertEqual(list(outputs["total_again"].float_val), [1.5, 3.5])
        self.assertEqual(list(outputs["parity"].bool_val), [False, True])
        self.assertEqual(list(outputs["joined"].string_val), [b"1-x", b"2-yz"])
        self.assertEqual(list(outputs["length"].int_val), [1, 2])

    def test_a_signature_of_classify_or_regress_can_be_called(self):
        record = example(x=4.0).SerializeToString()
        for signature, output in (("regress_x_to_y", "outputs"), ("classify_x_to_y", "scores")):
            request = predict_request(
                spec("half_plus_two", signature), {"inputs": typed(T.DT_STRING, [record], [1])}
            )
            self.assertEqual(list(self.predict(request).outputs[output].float_val), [4.0])

    def test_defaults_stand_in_for_inputs_that_are_not_there(self):
        def ask(**inputs):
            answer = self.predict(predict_request(spec("defaults"), inputs))
            return list(answer.outputs["y"].float_val)

        self.assertEqual(ask(x=[1.0, 2.0]), [11.0, 21.0])
        self.assertEqual(ask(x=[1.0, 2.0], factor=2.0), [3.0, 5.0])
        self.assertEqual(ask(x=[1.0, 2.0], factor=2.0, offset=0.5), [2.5, 4.5])

    def test_an_input_without_a_default_is_missed(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("defaults"), {"factor": 2.0, "offset": 1.0}),
            Code.INVALID_ARGUMENT,
            "Signature input alias: x(feed name: x:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {factor,offset}, or default input alias "
            "set: factor,offset",
        )

    def test_too_few_and_too_many_inputs(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("signatures", "add"), {"x": [1.0]}),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 1!=2 len({x}) != len({x,y}). Sent extra: {}. "
            "Missing but required: {y}.",
        )
        self.refused(
            self.prediction.Predict,
            predict_request(spec("signatures", "negate"), {"x": [1.0], "a": [1.0], "b": [1.0]}),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 3!=1 len({a,b,x}) != len({x}). "
            "Sent extra: {a,b}. Missing but required: {}.",
        )

    def test_a_wrong_name(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_two"), {"z": [1.0]}),
            Code.INVALID_ARGUMENT,
            "Signature input alias: x(feed name: x:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {z}, or default input alias set: ",
        )

    def test_a_signature_without_inputs(self):
        answer = self.predict(predict_request(spec("no_inputs")))
        self.assertEqual(list(answer.outputs["value"].float_val), [3.0, 5.0])
        self.assertEqual(list(answer.outputs["name"].string_val), [b"constant"])

    def test_state_is_kept_between_requests(self):
        def call(signature, inputs=None):
            answer = self.predict(predict_request(spec("counter", signature), inputs))
            return answer.outputs["output"]

        # Declared as DT_FLOAT_REF: what comes is the type itself.
        self.assertEqual(call("reset_counter"), typed(T.DT_FLOAT, 0.0, []))
        self.assertEqual(list(call("incr_counter").float_val), [1.0])
        self.assertEqual(list(call("incr_counter_by", {"delta": 2.5}).float_val), [3.5])
        self.assertEqual(list(call("get_counter").float_val), [3.5])

    def test_fields_that_only_other_servers_know_are_ignored(self):
        request = predict_request(spec("half_plus_two"), {"x": [1.0]})
        request.client_id = b"somebody"
        request.request_options.deterministic_mode = 1
        request.predict_streamed_options.request_state = 1
        # And a field that nobody knows.
        unknown = predict_pb2.PredictRequest.FromString(
            request.SerializeToString() + b"\xfa\x3f\x04some"
        )
        self.assertEqual(list(self.predict(unknown).outputs["y"].float_val), [2.5])


class Outputs(Case):
    """Which outputs a request gets, and who says that it answered."""

    INPUTS = {
        "a": floats(0.5),
        "b": typed(T.DT_INT64, [1], [1]),
        "c": typed(T.DT_STRING, [b"x"], [1]),
    }

    def test_an_output_filter_picks_outputs(self):
        for wanted in (["total"], ["parity", "total"], ["total", "parity"], ["total_again"]):
            answer = self.predict(predict_request(spec("mixed"), self.INPUTS, wanted))
            self.assertEqual(sorted(answer.outputs), sorted(wanted))

    def test_an_output_that_there_is_not(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_two"), {"x": [1.0]}, ["z"]),
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        )

    def test_an_output_that_is_wanted_twice(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_two"), {"x": [1.0]}, ["y", "y"]),
            Code.INVALID_ARGUMENT,
            "duplicate output tensor alias: y",
        )

    def test_the_answer_names_model_signature_and_version(self):
        answer = self.predict(predict_request(spec("half_plus_two"), {"x": [1.0]}))
        self.assertEqual(answer.model_spec, spec("half_plus_two", "serving_default", 123))

    def test_a_label_is_never_echoed(self):
        request = predict_request(spec("half_plus_version", label="stable"), {"x": [1.0]})
        answer = self.predict(request)
        self.assertEqual(answer.model_spec, spec("half_plus_version", "serving_default", 2))
        self.assertEqual(list(answer.outputs["y"].float_val), [2.5])

    def test_a_version_by_number_and_the_highest_without(self):
        def ask(**version):
            answer = self.predict(predict_request(spec("half_plus_version", **version), {"x": 0.0}))
            return answer.model_spec.version.value, list(answer.outputs["y"].float_val)

        self.assertEqual(ask(version=2), (2, [2.0]))
        self.assertEqual(ask(version=3), (3, [3.0]))
        self.assertEqual(ask(label="canary"), (3, [3.0]))
        self.assertEqual(ask(), (3, [3.0]))


class Lookup(Case):
    """Models, versions, labels and signatures that there are not."""

    def test_no_model_spec(self):
        self.refused(
            self.prediction.Predict,
            predict_pb2.PredictRequest(),
            Code.INVALID_ARGUMENT,
            "Missing ModelSpec",
        )

    def test_no_name(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec(""), {"x": [1.0]}),
            Code.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        )

    def test_no_such_model(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("nobody"), {"x": [1.0]}),
            Code.NOT_FOUND,
            "Servable not found for request: Latest(nobody)",
        )

    def test_no_such_version(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_two", version=50), {"x": [1.0]}),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(half_plus_two, 50)",
        )

    def test_no_such_label(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_version", label="nothing"), {"x": [1.0]}),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: nothing",
        )

    def test_no_such_signature(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("half_plus_two", "nothing"), {"x": [1.0]}),
            Code.FAILED_PRECONDITION,
            'Serving signature key "nothing" not found.',
        )

    def test_a_long_error_is_cut(self):
        name = "n" * 2000
        with self.assertRaises(grpc.RpcError) as caught:
            self.predict(predict_request(spec(name), {"x": [1.0]}))
        whole = f"Servable not found for request: Latest({name})"
        self.assertEqual(caught.exception.details(), whole[:1024] + "...TRUNCATED")

    def test_an_error_that_is_not_ascii(self):
        self.refused(
            self.prediction.Predict,
            predict_request(spec("größe 100%\n"), {"x": [1.0]}),
            Code.NOT_FOUND,
            "Servable not found for request: Latest(größe 100%\n)",
        )


class Labels(Case):
    """The server serves `second`: versions 2, labelled stable, and 3, labelled canary."""

    def test_a_label_chooses_the_version(self):
        for label, version, expected in (("stable", 2, 2.5), ("canary", 3, 3.5)):
            answer = self.predict(predict_request(spec("second", label=label), {"x": [1.0]}))
            self.assertEqual(answer.model_spec.version.value, version)
            self.assertEqual(list(answer.outputs["y"].float_val), [expected])
