"""What the server says of its models, and how it is told of others.

The server serves tests/models: half_plus_two, half_plus_version (both versions, labelled), not_tensors.
"""

from serving import *

from tensorflow.core.protobuf import saved_model_pb2


class Metadata(Case):
    def metadata(self, model_spec, *fields):
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=model_spec, metadata_field=fields
        )
        return self.prediction.GetModelMetadata(request, timeout=PATIENCE)

    def signatures(self, name):
        answer = self.metadata(spec(name), "signature_def")
        found = get_model_metadata_pb2.SignatureDefMap()
        self.assertEqual(list(answer.metadata), ["signature_def"])
        self.assertEqual(
            answer.metadata["signature_def"].type_url,
            "type.googleapis.com/tensorflow.serving.SignatureDefMap",
        )
        self.assertTrue(answer.metadata["signature_def"].Unpack(found))
        return found.signature_def

    def test_signatures_are_those_of_the_file(self):
        for name, version in (("half_plus_two", "00000123"), ("not_tensors", "1")):
            file = os.path.join(os.environ["TENSORGATE_MODELS"], name, version, "saved_model.pb")
            with open(file, "rb") as content:
                model = saved_model_pb2.SavedModel.FromString(content.read())
            written = model.meta_graphs[0].signature_def
            found = self.signatures(name)
            self.assertEqual(sorted(found), sorted(written))
            for signature in written:
                self.assertEqual(found[signature], written[signature])

    def test_it_names_model_and_version_alone(self):
        answer = self.metadata(spec("half_plus_two", "classify_x_to_y"), "signature_def")
        self.assertEqual(answer.model_spec, spec("half_plus_two", version=123))

    def test_a_label_is_resolved(self):
        answer = self.metadata(spec("half_plus_version", label="stable"), "signature_def")
        self.assertEqual(answer.model_spec, spec("half_plus_version", version=2))

    def test_what_it_refuses(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest
        for message, code, text in (
            (request(metadata_field=["signature_def"]), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
            (
                request(model_spec=spec("half_plus_two")),
                Code.INVALID_ARGUMENT,
                "GetModelMetadataRequest must specify at least one metadata_field",
            ),
            (
                request(model_spec=spec("half_plus_two"), metadata_field=["something"]),
                Code.INVALID_ARGUMENT,
                "Metadata field something is not supported",
            ),
            (
                request(model_spec=spec("nobody"), metadata_field=["signature_def"]),
                Code.NOT_FOUND,
                "Servable not found for request: Latest(nobody)",
            ),
        ):
            self.refused(self.prediction.GetModelMetadata, message, code, text)


class Status(Case):
    def status(self, model_spec):
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec)
        answer = self.management.GetModelStatus(request, timeout=PATIENCE)
        return [(one.version, one.state, one.status.error_code) for one in answer.model_version_status]

    AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE

    def test_every_version_the_newest_first(self):
        self.assertEqual(
            self.status(spec("half_plus_version")), [(3, self.AVAILABLE, 0), (2, self.AVAILABLE, 0)]
        )

    def test_one_version(self):
        self.assertEqual(self.status(spec("half_plus_version", version=2)), [(2, self.AVAILABLE, 0)])

    def test_a_label_is_ignored(self):
        self.assertEqual(len(self.status(spec("half_plus_version", label="stable"))), 2)
        self.assertEqual(len(self.status(spec("half_plus_version", label="nothing"))), 2)

    def test_what_it_refuses(self):
        request = get_model_status_pb2.GetModelStatusRequest
        for message, code, text in (
            (request(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
            (
                request(model_spec=spec("nobody")),
                Code.NOT_FOUND,
                "Could not find any versions of model nobody",
            ),
            (
                request(model_spec=spec("half_plus_version", version=50)),
                Code.NOT_FOUND,
                "Could not find version 50 of model half_plus_version",
            ),
        ):
            self.refused(self.management.GetModelStatus, message, code, text)


class Reload(Case):
    """The server began with half_plus_two. `TENSORGATE_MODELS` has the directories of all."""

    def config(self, *models):
        message = model_management_pb2.ReloadConfigRequest()
        message.config.model_config_list.SetInParent()
        for name, base, more in models:
            path = os.path.join(os.environ["TENSORGATE_MODELS"], base)
            config = message.config.model_config_list.config.add(
                name=name, base_path=path, model_platform="tensorflow"
            )
            parse(more, config)
        return message

    BOTH = "model_version_policy { all {} }"

    def reload(self, *models):
        answer = self.management.HandleReloadConfigRequest(self.config(*models), timeout=PATIENCE)
        self.assertEqual(answer.status.error_code, 0)
        return answer

    def ask(self, name, **version):
        answer = self.predict(predict_request(spec(name, **version), {"x": 0.0}))
        return list(answer.outputs["y"].float_val)

    def gone(self, name):
        """Removed models are unloaded when nobody waits for it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                self.ask(name)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), Code.NOT_FOUND)
                return
        self.fail(f"{name} is still served")

    def setUp(self):
        self.reload(("half_plus_two", "half_plus_two", ""))

    def test_a_new_model_is_there_when_the_call_returns(self):
        self.reload(
            ("half_plus_two", "half_plus_two", ""), ("second", "half_plus_version", "")
        )
        self.assertEqual(self.ask("second"), [3.0])
        self.assertEqual(self.ask("half_plus_two"), [2.0])

    def test_a_model_that_is_no_longer_named_goes(self):
        self.reload(("second", "half_plus_version", ""))
        self.gone("half_plus_two")
        self.assertEqual(self.ask("second"), [3.0])

    def test_the_same_configuration_again_changes_nothing(self):
        self.reload(("half_plus_two", "half_plus_two", ""))
        self.assertEqual(self.ask("half_plus_two"), [2.0])

    def test_a_policy_is_changed(self):
        self.reload(("m", "half_plus_version", ""))
        self.refused(
            self.prediction.Predict,
            predict_request(spec("m", version=2), {"x": 0.0}),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(m, 2)",
        )
        self.reload(("m", "half_plus_version", "model_version_policy { specific { versions: 2 } }"))
        end = time.monotonic() + PATIENCE
        while self.ask("m") != [2.0]:
            self.assertLess(time.monotonic(), end)

    def test_a_label_comes_with_its_version_in_one_call(self):
        labels = "version_labels { key: 'stable' value: 2 } version_labels { key: 'canary' value: 3 }"
        self.reload(("labelled", "half_plus_version", self.BOTH + labels))
        self.assertEqual(self.ask("labelled", label="stable"), [2.0])
        self.assertEqual(self.ask("labelled", label="canary"), [3.0])
        # And is moved, and is taken away.
        self.reload(
            ("labelled", "half_plus_version", self.BOTH + "version_labels { key: 'stable' value: 3 }")
        )
        self.assertEqual(self.ask("labelled", label="stable"), [3.0])
        self.refused(
            self.prediction.Predict,
            predict_request(spec("labelled", label="canary"), {"x": 0.0}),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: canary",
        )

    def test_metrics_are_counted_over_the_reload(self):
        request = self.config(("half_plus_two", "half_plus_two", ""), ("n", "half_plus_version", ""))
        request.metric_names.append("/tensorflow/cc/saved_model/load_attempt_count")
        answer = self.management.HandleReloadConfigRequest(request, timeout=PATIENCE)
        self.assertEqual(
            [metric.name for metric in answer.metric],
            ["/tensorflow/cc/saved_model/load_attempt_count"],
        )

    def test_what_it_refuses_and_that_nothing_has_changed_then(self):
        other = model_management_pb2.ReloadConfigRequest()
        other.config.custom_model_config.SetInParent()
        relative = self.config(("m", "half_plus_two", ""))
        relative.config.model_config_list.config[0].base_path = "models/m"
        unknown = self.config(("m", "half_plus_two", ""))
        unknown.config.model_config_list.config[0].model_platform = "other"
        nothing = self.config(("m", "half_plus_two", ""))
        nothing.config.model_config_list.config[0].model_platform = ""
        both = self.config(("m", "half_plus_two", ""))
        both.config.model_config_list.config[0].model_type = 1
        for request, code, text in (
            (
                self.config(("m", "half_plus_two", ""), ("m", "half_plus_version", "")),
                Code.INVALID_ARGUMENT,
                "Illegal to list model m multiple times in config list",
            ),
            (
                relative,
                Code.INVALID_ARGUMENT,
                "Expected model m to have an absolute path or URI; got base_path()=models/m",
            ),
            (unknown, Code.INVALID_ARGUMENT, "Model m requests unsupported platform other"),
            (
                nothing,
                Code.INVALID_ARGUMENT,
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                "ModelServerConfig::model_platform, model name is m",
            ),
            (
                both,
                Code.INVALID_ARGUMENT,
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                "ModelServerConfig::model_platform",
            ),
            (
                other,
                Code.INVALID_ARGUMENT,
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported",
            ),
            (
                self.config(
                    ("m", "half_plus_two", "version_labels { key: 'stable' value: 7 }"),
                ),
                Code.FAILED_PRECONDITION,
                "Request to assign label to version 7 of model m, which is not currently available "
                "for inference",
            ),
        ):
            with self.subTest(text):
                self.refused_beginning(
                    self.management.HandleReloadConfigRequest, request, code, text
                )
                self.assertEqual(self.ask("half_plus_two"), [2.0])
                self.refused(
                    self.prediction.Predict,
                    predict_request(spec("m"), {"x": 0.0}),
                    Code.NOT_FOUND,
                    "Servable not found for request: Latest(m)",
                )

    def test_a_model_that_cannot_be_loaded_is_rolled_back(self):
        self.refused_beginning(
            self.management.HandleReloadConfigRequest,
            self.config(("broken", "broken", "")),
            Code.UNKNOWN,
            "1 model(s) did not become available: {{{name: broken version: 1} due to error: ",
        )
        self.assertEqual(self.ask("half_plus_two"), [2.0])
