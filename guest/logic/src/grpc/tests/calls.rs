//! The methods beside `Predict`.

use std::cell::RefCell;
use std::rc::Rc;

use tensorgate_types::{LogKind, LoggingConfig, ModelConfig, ModelVersionPolicy};

use super::*;
use crate::fake::{fixed, strings};

/// Classifies by `c` and regresses by `r`, two examples at a time.
fn classifier() -> Fake {
    let input = [("inputs", DType::STRING)];
    Fake {
        signatures: [
            (
                "c",
                signature(
                    "tensorflow/serving/classify",
                    &input,
                    &[("classes", DType::STRING), ("scores", DType::FLOAT)],
                ),
            ),
            (
                "r",
                signature(
                    "tensorflow/serving/regress",
                    &input,
                    &[("outputs", DType::FLOAT)],
                ),
            ),
        ]
        .map(|(name, signature)| (name.to_owned(), signature))
        .into(),
        answer: Box::new(|call| {
            Ok(if call.signature == "c" {
                vec![
                    strings("classes", &[2, 2], &["a", "", "c", "d"]),
                    fixed("scores", DType::FLOAT, &[2, 2], &[1.0f32, 0.0, -0.0, 4.0]),
                ]
            } else {
                vec![fixed("outputs", DType::FLOAT, &[2, 1], &[3.0f32, 0.0])]
            })
        }),
        ..Fake::default()
    }
}

fn example(value: i64) -> tf::Example {
    let list = tf::Int64List { value: vec![value] };
    let feature = tf::Feature {
        kind: Some(tf::feature::Kind::Int64List(list)),
    };
    tf::Example {
        features: Some(tf::Features {
            feature: [("f".to_owned(), feature)].into(),
        }),
    }
}

fn input(with_context: bool) -> Option<api::Input> {
    use api::input::Kind;
    let examples = vec![example(1), example(2)];
    let kind = if with_context {
        Kind::ExampleListWithContext(api::ExampleListWithContext {
            examples,
            context: Some(example(9)),
        })
    } else {
        Kind::ExampleList(api::ExampleList { examples })
    };
    Some(api::Input { kind: Some(kind) })
}

fn classes() -> api::ClassificationResult {
    let class = |label: &str, score| api::Class {
        label: label.to_owned(),
        score,
    };
    let row = |classes| api::Classifications { classes };
    api::ClassificationResult {
        classifications: vec![
            row(vec![class("a", 1.0), class("", 0.0)]),
            row(vec![class("c", -0.0), class("d", 4.0)]),
        ],
    }
}

fn values() -> api::RegressionResult {
    let of = |value| api::Regression { value };
    api::RegressionResult {
        regressions: vec![of(3.0), of(0.0)],
    }
}

#[test]
fn examples_are_classified() {
    let mut fake = classifier();
    fake.is_sampled = true;
    for with_context in [false, true] {
        let sent = api::ClassificationRequest {
            model_spec: spec("m", "c"),
            input: input(with_context),
        };
        let got: api::ClassificationResponse = answer(&mut fake, "Classify", &sent);
        assert_eq!(got.model_spec, answered("c"));
        assert_eq!(got.result, Some(classes()));
        let (_, outcome) = call(&mut fake, "Classify", &sent);
        assert_eq!((outcome.api, outcome.rows), ("classify", 2));
        assert_eq!(fake.called_as.borrow().last().unwrap(), "classify");
        let entry = fake.logs.borrow_mut().pop().unwrap();
        assert_eq!(entry.kind, LogKind::Classify);
        let before = if with_context {
            example(9).encode_to_vec()
        } else {
            vec![]
        };
        let expected =
            [1, 2].map(|value| [before.clone(), example(value).encode_to_vec()].concat());
        assert_eq!(
            fake.runs.borrow().last().unwrap()[0].inputs[0].data,
            expected
        );
    }
}

#[test]
fn examples_are_regressed() {
    let mut fake = classifier();
    let sent = api::RegressionRequest {
        model_spec: spec("m", "r"),
        input: input(false),
    };
    let got: api::RegressionResponse = answer(&mut fake, "Regress", &sent);
    assert_eq!(got.model_spec, answered("r"));
    assert_eq!(got.result, Some(values()));
    assert_eq!(*fake.called_as.borrow(), ["regress"]);
}

#[test]
fn the_last_kind_of_input_counts_and_pieces_of_one_kind_add_up() {
    let mut fake = classifier();
    let piece = |with_context| {
        api::RegressionRequest {
            model_spec: None,
            input: input(with_context),
        }
        .encode_to_vec()
    };
    let head = api::RegressionRequest {
        model_spec: spec("m", "r"),
        input: None,
    };
    for (pieces, expected) in [
        (vec![piece(true), piece(false)], 2),
        (vec![piece(false), piece(false)], 4),
        (vec![piece(false), piece(true)], 2),
    ] {
        let message = [head.encode_to_vec(), pieces.concat()].concat();
        let (_, outcome) = call_bytes(&mut fake, "Regress", message);
        assert_eq!(outcome.rows, expected);
    }
}

#[test]
fn requests_without_examples_models_or_signatures_are_refused() {
    let mut fake = classifier();
    let of = |model_spec, input| api::ClassificationRequest { model_spec, input };
    for (sent, expected) in [
        (of(None, None), "INVALID_ARGUMENT: Missing ModelSpec"),
        (
            of(spec("m", ""), None),
            "INVALID_ARGUMENT: No signature was found with the name: serving_default",
        ),
        (
            of(spec("m", "c"), None),
            "INVALID_ARGUMENT: Input is empty.",
        ),
        (
            of(spec("m", "r"), input(false)),
            "INVALID_ARGUMENT: Expected classification signature outputs to contain at least one \
             of \"classes\" or \"scores\". Signature was: ",
        ),
        (
            of(spec("q", "c"), input(false)),
            "NOT_FOUND: Servable not found for request: Latest(q)",
        ),
    ] {
        assert_eq!(error(&mut fake, "Classify", &sent), expected);
    }
}

fn task(name: &str, signature: &str, method: &str) -> api::InferenceTask {
    api::InferenceTask {
        model_spec: spec(name, signature),
        method_name: format!("tensorflow/serving/{method}"),
    }
}

#[test]
fn several_tasks_are_one_run() {
    let mut fake = classifier();
    let sent = api::MultiInferenceRequest {
        tasks: vec![task("m", "r", "regress"), task("m", "c", "classify")],
        input: input(false),
    };
    let got: api::MultiInferenceResponse = answer(&mut fake, "MultiInference", &sent);
    use api::inference_result::Result as Of;
    let result = |signature, result| api::InferenceResult {
        model_spec: answered(signature),
        result: Some(result),
    };
    assert_eq!(
        got.results,
        [
            result("r", Of::RegressionResult(values())),
            result("c", Of::ClassificationResult(classes())),
        ]
    );
    let runs = fake.runs.borrow();
    assert_eq!(runs.len(), 1);
    let names: Vec<_> = runs[0].iter().map(|call| &*call.signature).collect();
    assert_eq!(names, ["r", "c"]);
}

#[test]
fn tasks_that_do_not_fit_together_are_refused() {
    let mut fake = classifier();
    let regress = || task("m", "r", "regress");
    for (tasks, expected) in [
        (vec![], "INVALID_ARGUMENT: ModelSpec has no name specified."),
        (
            vec![regress(), task("", "c", "classify")],
            "INVALID_ARGUMENT: Found ModelSpec with an empty model name.",
        ),
        (
            vec![regress(), task("n", "c", "classify")],
            "INVALID_ARGUMENT: All ModelSpecs in a MultiInferenceRequest must access the same \
             model name.",
        ),
        (
            vec![regress(), regress()],
            "INVALID_ARGUMENT: Duplicate evaluation of signature: r",
        ),
        (
            vec![task("m", "", "regress")],
            "INVALID_ARGUMENT: Requested signature not found in model graph: serving_default",
        ),
        (
            vec![task("m", "r", "predict")],
            "UNIMPLEMENTED: Unsupported signature method_name: tensorflow/serving/predict",
        ),
        (
            vec![task("m", "c", "regress")],
            "INVALID_ARGUMENT: Expected one output Tensor.",
        ),
    ] {
        let sent = api::MultiInferenceRequest {
            tasks,
            input: input(false),
        };
        assert_eq!(error(&mut fake, "MultiInference", &sent), expected);
    }
}

#[test]
fn metadata_is_what_the_exporter_wrote() {
    let mut fake = classifier();
    // A field that this build does not know.
    let def = b"\x9A\x3E\x01x".to_vec();
    fake.defs = vec![("s".to_owned(), def.clone())];
    let of = |model_spec, fields: &[&str]| api::GetModelMetadataRequest {
        model_spec,
        metadata_field: fields.iter().map(ToString::to_string).collect(),
    };
    let sent = of(spec("m", "ignored"), &["signature_def"]);
    let got: api::GetModelMetadataResponse = answer(&mut fake, "GetModelMetadata", &sent);
    assert_eq!(got.model_spec, answered(""));
    let any = &got.metadata["signature_def"];
    assert_eq!(
        any.type_url,
        "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    );
    assert!(any.value.ends_with(&def));
    let map = api::SignatureDefMap::decode(&*any.value).unwrap();
    assert!(map.signature_def.keys().eq(["s"]));

    for (sent, expected) in [
        (
            of(None, &["signature_def"]),
            "INVALID_ARGUMENT: Missing ModelSpec",
        ),
        (
            of(spec("q", ""), &[]),
            "INVALID_ARGUMENT: GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (
            of(spec("q", ""), &["signature_def", "graph"]),
            "INVALID_ARGUMENT: Metadata field graph is not supported",
        ),
        (
            of(spec("q", ""), &["signature_def"]),
            "NOT_FOUND: Servable not found for request: Latest(q)",
        ),
    ] {
        assert_eq!(error(&mut fake, "GetModelMetadata", &sent), expected);
    }
}

#[test]
fn status_lists_versions_from_the_newest() {
    let mut fake = classifier();
    let of = |model_spec| api::GetModelStatusRequest { model_spec };
    let got: api::GetModelStatusResponse = answer(&mut fake, "GetModelStatus", &of(spec("m", "")));
    let status = |version, state, error_code, message: &str| api::ModelVersionStatus {
        version,
        state,
        status: Some(api::StatusProto {
            error_code,
            error_message: message.to_owned(),
        }),
    };
    let ended = status(4, 50, 5, "no \"saved_model.pb\"");
    assert_eq!(got.model_version_status, [ended, status(3, 30, 0, "")]);
    let got: api::GetModelStatusResponse = answer(&mut fake, "GetModelStatus", &of(answered("")));
    assert_eq!(got.model_version_status.len(), 1);
    for (sent, expected) in [
        (of(None), "INVALID_ARGUMENT: Missing ModelSpec"),
        (
            of(spec("q", "")),
            "NOT_FOUND: Could not find any versions of model q",
        ),
        (
            of(Some(api::ModelSpec {
                version_choice: Some(api::model_spec::VersionChoice::Version(7)),
                ..spec("m", "").unwrap()
            })),
            "NOT_FOUND: Could not find version 7 of model m",
        ),
    ] {
        assert_eq!(error(&mut fake, "GetModelStatus", &sent), expected);
    }
}

/// One that says everything of itself, and one that says nothing.
fn two_models() -> api::ModelConfigList {
    use api::file_system_storage_path_source_config::{
        ServableVersionPolicy, servable_version_policy as policy,
    };
    api::ModelConfigList {
        config: vec![
            api::ModelConfig {
                name: "m".to_owned(),
                base_path: "/m".to_owned(),
                model_platform: "tensorflow".to_owned(),
                model_version_policy: Some(ServableVersionPolicy {
                    policy_choice: Some(policy::PolicyChoice::Specific(policy::Specific {
                        versions: vec![1, 3],
                    })),
                }),
                version_labels: [("stable".to_owned(), 3)].into(),
                logging_config: Some(api::LoggingConfig {
                    log_collector_config: Some(api::LogCollectorConfig {
                        r#type: "file".to_owned(),
                        filename_prefix: "/tmp/log".to_owned(),
                    }),
                    sampling_config: Some(api::SamplingConfig {
                        sampling_rate: 0.5,
                        ..api::SamplingConfig::default()
                    }),
                    ..api::LoggingConfig::default()
                }),
                ..api::ModelConfig::default()
            },
            api::ModelConfig::default(),
        ],
    }
}

#[test]
fn another_set_of_models_is_handed_on() {
    use api::model_server_config::Config;
    let seen = Rc::new(RefCell::new(None));
    let mut fake = classifier();
    let record = Rc::clone(&seen);
    fake.reload = Box::new(move |models, metrics| {
        *record.borrow_mut() = models;
        Ok(metrics.iter().map(|name| (name.clone(), 0)).collect())
    });
    let list = two_models();
    let of = |config| api::ReloadConfigRequest {
        config: Some(api::ModelServerConfig { config }),
        metric_names: vec!["/a/b".to_owned()],
    };
    let sent = of(Some(Config::ModelConfigList(list)));
    let got: api::ReloadConfigResponse = answer(&mut fake, "HandleReloadConfigRequest", &sent);
    assert_eq!(got.status, Some(api::StatusProto::default()));
    assert_eq!(
        got.metric,
        [api::Metric {
            name: "/a/b".to_owned(),
            value_increase: Some(api::metric::ValueIncrease::Int64ValueIncrease(0)),
        }]
    );
    let expected = ModelConfig {
        name: "m".to_owned(),
        base_path: "/m".to_owned(),
        model_type: 0,
        model_platform: "tensorflow".to_owned(),
        version_policy: Some(ModelVersionPolicy::Specific(vec![1, 3])),
        version_labels: vec![("stable".to_owned(), 3)],
        logging: Some(LoggingConfig {
            collector: "file".to_owned(),
            filename_prefix: "/tmp/log".to_owned(),
            sampling_rate: 0.5,
        }),
    };
    assert_eq!(*seen.borrow(), Some(vec![expected, ModelConfig::default()]));

    let custom = Config::CustomModelConfig(Default::default());
    for sent in [
        of(None),
        of(Some(custom)),
        api::ReloadConfigRequest::default(),
    ] {
        assert_eq!(
            error(&mut fake, "HandleReloadConfigRequest", &sent),
            "INVALID_ARGUMENT: ServerModelConfig type not supported by HandleReloadConfigRequest. \
             Only ModelConfigList is currently supported"
        );
    }
    fake.reload = Box::new(|_, _| Err(Error::failed_precondition("no such label")));
    let sent = of(Some(Config::ModelConfigList(
        api::ModelConfigList::default(),
    )));
    assert_eq!(
        error(&mut fake, "HandleReloadConfigRequest", &sent),
        "FAILED_PRECONDITION: no such label"
    );
}

#[test]
fn unknown_methods_are_unimplemented() {
    let fake = classifier();
    for method in [
        "/tensorflow.serving.SessionService/SessionRun",
        "/tensorflow.serving.PredictionService/PredictStreamed",
        "/tensorflow.serving.ModelService/Predict",
        "Predict",
        "",
    ] {
        let (answer, outcome) = handle(method, &fake, &&fake);
        assert_eq!(
            answer.unwrap_err().to_string(),
            format!("UNIMPLEMENTED: unknown method {method}")
        );
        assert_eq!((outcome.code, outcome.api), (12, ""));
    }
}
