"""Classify, Regress and MultiInference over tf.Examples.

The server serves tests/models: half_plus_two, estimator, odd_examples.
"""

from serving import *

BATCH = examples(example(x=0.0), example(x=4.0), example(x=-2.0))
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


class Classify(Case):
    def classify(self, model_spec, given=BATCH):
        request = classification_pb2.ClassificationRequest(model_spec=model_spec, input=given)
        return self.prediction.Classify(request, timeout=PATIENCE)

    def test_scores_without_classes_have_empty_labels(self):
        answer = self.classify(spec("half_plus_two", "classify_x_to_y"))
        self.assertEqual(
            answer,
            parse(
                """
                model_spec {
                  name: "half_plus_two" signature_name: "classify_x_to_y" version { value: 123 }
                }
                result {
                  classifications { classes { score: 2 } }
                  classifications { classes { score: 4 } }
                  classifications { classes { score: 1 } }
                }
                """,
                classification_pb2.ClassificationResponse(),
            ),
        )

    def test_classes_and_scores(self):
        given = examples(example(age=0.0), example(age=[0.0], city=b"here"))
        answer = self.classify(spec("estimator"), given)
        self.assertEqual(answer.model_spec, spec("estimator", "serving_default", 1))
        for classifications in answer.result.classifications:
            labels = [one.label for one in classifications.classes]
            scores = [one.score for one in classifications.classes]
            self.assertEqual((labels, scores), (["young", "old"], [0.5, 0.5]))
        self.assertEqual(len(answer.result.classifications), 2)

    def test_classes_without_scores_score_nothing(self):
        answer = self.classify(spec("odd_examples", "classes_only"))
        for classifications in answer.result.classifications:
            self.assertEqual(
                [(one.label, one.score) for one in classifications.classes], [("word", 0.0)] * 3
            )

    def test_a_context_is_merged_into_every_example(self):
        # The example's own feature wins; what it has not comes from the context.
        given = examples(example(x=4.0), example(), context=example(x=0.0))
        answer = self.classify(spec("half_plus_two", "classify_x_to_y"), given)
        scores = [one.classes[0].score for one in answer.result.classifications]
        self.assertEqual(scores, [4.0, 2.0])

    def test_signatures_that_are_no_classification(self):
        for signature, text in (
            ("classify_two_inputs", "Expected one input Tensor."),
            ("classify_three_outputs", "Expected one or two output Tensors, found 3"),
            ("classify_other_input", "No classification inputs found in SignatureDef: "),
            (
                "classify_other_output",
                'Expected classification signature outputs to contain at least one of "classes" '
                'or "scores". Signature was: ',
            ),
        ):
            with self.subTest(signature):
                self.refused_beginning(
                    self.prediction.Classify,
                    classification_pb2.ClassificationRequest(
                        model_spec=spec("odd_examples", signature), input=BATCH
                    ),
                    Code.INVALID_ARGUMENT,
                    text,
                )

    def test_outputs_that_are_no_classification(self):
        for signature, text in (
            ("classify_flat", "Expected Tensor shape: [batch_size num_classes] but got "),
            ("classify_numbers", "Expected classes Tensor of DT_STRING. Got: "),
            ("classify_doubles", "Expected scores Tensor of DT_FLOAT. Got: "),
            ("classify_short", "Expected scores output batch size of 3. Got: 2"),
            ("classify_uneven", "Tensors class and score should match in dim_size(1). Got 2 vs. 3"),
        ):
            with self.subTest(signature):
                self.refused_beginning(
                    self.prediction.Classify,
                    classification_pb2.ClassificationRequest(
                        model_spec=spec("odd_examples", signature), input=BATCH
                    ),
                    Code.INVALID_ARGUMENT,
                    text,
                )

    def test_what_it_refuses_before_it_runs(self):
        request = classification_pb2.ClassificationRequest
        for message, code, text in (
            (request(input=BATCH), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
            (
                request(model_spec=spec("half_plus_two", "nothing"), input=BATCH),
                Code.INVALID_ARGUMENT,
                "No signature was found with the name: nothing",
            ),
            (
                request(model_spec=spec("nobody"), input=BATCH),
                Code.NOT_FOUND,
                "Servable not found for request: Latest(nobody)",
            ),
            (
                request(model_spec=spec("half_plus_two", "classify_x_to_y")),
                Code.INVALID_ARGUMENT,
                "Input is empty.",
            ),
            (
                request(model_spec=spec("half_plus_two", "classify_x_to_y"), input=examples()),
                Code.INVALID_ARGUMENT,
                "Input is empty.",
            ),
        ):
            self.refused(self.prediction.Classify, message, code, text)


class Regress(Case):
    def regress(self, model_spec, given=BATCH):
        request = regression_pb2.RegressionRequest(model_spec=model_spec, input=given)
        return self.prediction.Regress(request, timeout=PATIENCE)

    def test_a_value_per_example(self):
        answer = self.regress(spec("half_plus_two", "regress_x_to_y2"))
        self.assertEqual(
            answer,
            parse(
                """
                model_spec {
                  name: "half_plus_two" signature_name: "regress_x_to_y2" version { value: 123 }
                }
                result { regressions { value: 3 } regressions { value: 5 } regressions { value: 2 } }
                """,
                regression_pb2.RegressionResponse(),
            ),
        )

    def test_values_may_be_a_vector_or_a_column(self):
        for signature in ("regress", "regress_flat"):
            answer = self.regress(spec("odd_examples", signature))
            self.assertEqual([one.value for one in answer.result.regressions], [0.5] * 3)

    def test_a_context_is_merged_into_every_example(self):
        given = examples(example(x=4.0), example(x2=1.0), context=example(x=0.0))
        answer = self.regress(spec("half_plus_two", "regress_x_to_y"), given)
        self.assertEqual([one.value for one in answer.result.regressions], [4.0, 2.0])

    def test_what_is_no_regression(self):
        for signature, text in (
            ("regress_two_outputs", "Expected one output Tensor."),
            (
                "regress_wide",
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got ",
            ),
            ("regress_short", "Input batch size did not match output batch size: 3 vs. 2"),
            ("regress_doubles", "Expected output Tensor of DT_FLOAT.  Got: "),
        ):
            with self.subTest(signature):
                self.refused_beginning(
                    self.prediction.Regress,
                    regression_pb2.RegressionRequest(
                        model_spec=spec("odd_examples", signature), input=BATCH
                    ),
                    Code.INVALID_ARGUMENT,
                    text,
                )

    def test_what_it_refuses_before_it_runs(self):
        request = regression_pb2.RegressionRequest
        for message, code, text in (
            (request(input=BATCH), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
            (
                request(model_spec=spec("half_plus_two", "nothing"), input=BATCH),
                Code.INVALID_ARGUMENT,
                "No signature was found with the name: nothing",
            ),
            (
                request(model_spec=spec("half_plus_two", "regress_x_to_y")),
                Code.INVALID_ARGUMENT,
                "Input is empty.",
            ),
        ):
            self.refused(self.prediction.Regress, message, code, text)

    def test_an_example_without_its_feature_is_the_models_error(self):
        self.refused_beginning(
            self.prediction.Regress,
            regression_pb2.RegressionRequest(
                model_spec=spec("half_plus_two", "regress_x_to_y"),
                input=examples(example(other=1.0)),
            ),
            Code.INVALID_ARGUMENT,
            "",
        )


class MultiInference(Case):
    @staticmethod
    def request(*tasks, given=BATCH):
        message = inference_pb2.MultiInferenceRequest(input=given)
        for model_spec, method in tasks:
            message.tasks.add(model_spec=model_spec, method_name=method)
        return message

    def test_several_signatures_in_one_answer(self):
        request = self.request(
            (spec("half_plus_two", "regress_x_to_y"), REGRESS),
            (spec("half_plus_two", "classify_x_to_y"), CLASSIFY),
            (spec("half_plus_two", "regress_x_to_y2"), REGRESS),
        )
        results = self.prediction.MultiInference(request, timeout=PATIENCE).results
        self.assertEqual(
            [one.model_spec for one in results],
            [
                spec("half_plus_two", name, 123)
                for name in ("regress_x_to_y", "classify_x_to_y", "regress_x_to_y2")
            ],
        )
        values = lambda one: [regression.value for regression in one.regression_result.regressions]
        self.assertEqual(values(results[0]), [2.0, 4.0, 1.0])
        self.assertEqual(values(results[2]), [3.0, 5.0, 2.0])
        scores = results[1].classification_result.classifications
        self.assertEqual([one.classes[0].score for one in scores], [2.0, 4.0, 1.0])

    def test_what_it_refuses(self):
        regress = (spec("half_plus_two", "regress_x_to_y"), REGRESS)
        for request, code, text in (
            (self.request(), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
            (
                self.request(regress, (spec("estimator", "regression"), REGRESS)),
                Code.INVALID_ARGUMENT,
                "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
            ),
            (
                self.request(regress, (spec("", "regress_x_to_y2"), REGRESS)),
                Code.INVALID_ARGUMENT,
                "Found ModelSpec with an empty model name.",
            ),
            (
                self.request(regress, regress),
                Code.INVALID_ARGUMENT,
                "Duplicate evaluation of signature: regress_x_to_y",
            ),
            (
                self.request((spec("half_plus_two", "nothing"), REGRESS)),
                Code.INVALID_ARGUMENT,
                "Requested signature not found in model graph: nothing",
            ),
            (
                self.request((spec("half_plus_two", "regress_x_to_y"), "predict")),
                Code.UNIMPLEMENTED,
                "Unsupported signature method_name: predict",
            ),
            (
                self.request(regress, given=examples()),
                Code.INVALID_ARGUMENT,
                "Input is empty.",
            ),
            (
                self.request((spec("nobody", "regress_x_to_y"), REGRESS)),
                Code.NOT_FOUND,
                "Servable not found for request: Latest(nobody)",
            ),
        ):
            with self.subTest(text):
                self.refused(self.prediction.MultiInference, request, code, text)


class MethodNames(Case):
    """With `--enable_signature_method_name_check`."""

    def test_a_signature_answers_its_own_method_alone(self):
        self.refused(
            self.prediction.Classify,
            classification_pb2.ClassificationRequest(
                model_spec=spec("odd_examples", "as_predict"), input=BATCH
            ),
            Code.INVALID_ARGUMENT,
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/predict",
        )
        answer = self.prediction.Classify(
            classification_pb2.ClassificationRequest(
                model_spec=spec("odd_examples", "classify"), input=BATCH
            ),
            timeout=PATIENCE,
        )
        self.assertEqual(len(answer.result.classifications), 3)

    def test_predict_calls_all_three(self):
        record = example(x=4.0).SerializeToString()
        for signature in ("as_predict", "classify", "regress"):
            self.predict(
                predict_request(
                    spec("odd_examples", signature),
                    {"inputs": typed(types_pb2.DT_STRING, [record], [1])},
                )
            )


class NoMethodNames(Case):
    """Without `--enable_signature_method_name_check`."""

    def test_a_signature_answers_any_method_that_fits(self):
        answer = self.prediction.Classify(
            classification_pb2.ClassificationRequest(
                model_spec=spec("odd_examples", "as_predict"), input=BATCH
            ),
            timeout=PATIENCE,
        )
        self.assertEqual(len(answer.result.classifications), 3)
