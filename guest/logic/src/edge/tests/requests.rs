//! Which way requests go, and what of the host is seen through the edge.

use tensorgate_types::processing::Description;
use tensorgate_types::{DType, Error, ErrorCode, ModelSpec, ShapeCheck, VersionChoice};

use super::super::fake::{FakeProcessor, bytes_of, describing, describing_text, numbers};
use super::super::{Edge, FarReply, Whole};
use super::{PREDICT, asked, covering, far, far_covering, message, predict, text};
use crate::fake::signature;
use crate::inference::{Call, Inference, Input, InputData, Model, Range, Reply};
use crate::services::{Chunk, Message, Services};

#[test]
fn what_no_processor_covers_goes_to_the_host_as_it_is() {
    let (far, nobody) = (far(), FakeProcessor::default());
    let (status, body) = predict(&far, &nobody, r#"{"instances": [1.0]}"#);
    assert_eq!(
        (status, &*body),
        (200, "{\n    \"predictions\": [2.5\n    ]\n}")
    );
    assert_eq!(
        *far.runs.borrow(),
        ["seen predict serving_default x=float[1][0, 0, 128, 63] -> "]
    );
    assert_eq!(*far.opened.borrow(), ["seen Latest(m)"]);
    assert_eq!(*nobody.asked.borrow(), ["describe m 3 serving_default"]);
}

#[test]
fn signatures_that_the_hosts_processor_covers_are_seen_as_its_clients_see_them() {
    let (far, nobody) = (far_covering(&["serving_default"]), FakeProcessor::default());
    let (status, _) = predict(&far, &nobody, r#"{"inputs": {"text": ["abc"]}}"#);
    assert_eq!(status, 200);
    let (response, outcome) = asked(
        &far,
        &nobody,
        ("POST", PREDICT),
        &[
            ("content-type", "text/csv; header=absent"),
            ("accept", "text/plain"),
        ],
        "1,2",
    );
    assert_eq!(
        text(&response),
        "{\n    \"outputs\": [\n        2.5\n    ]\n}"
    );
    assert_eq!(outcome.version, Some(3));
    assert_eq!(
        *far.runs.borrow(),
        [
            "seen predict serving_default text=string[1][\"abc\"] -> ",
            "seen predict serving_default text/csv; header=absent 1,2 ->  accept text/plain",
        ]
    );
    // The processor here is to see what the exporter wrote.
    assert_eq!(
        *far.opened.borrow(),
        [
            "seen Latest(m)",
            "bare Latest(m)",
            "seen Latest(m)",
            "bare Latest(m)",
        ]
    );
    assert_eq!(nobody.asked.borrow()[0], "describe m 3 serving_default");
}

#[test]
fn a_body_of_the_hosts_processor_comes_through_with_its_version() {
    let mut far = far_covering(&["serving_default"]);
    far.run = Box::new(|_| {
        Ok(FarReply {
            reply: Reply::Body {
                content_type: "text/plain".to_owned(),
                bytes: b"seven".to_vec(),
            },
            version: 2,
        })
    });
    let csv = [("content-type", "text/csv")];
    let nobody = FakeProcessor::default();
    let (response, outcome) = asked(&far, &nobody, ("POST", PREDICT), &csv, "1,2");
    assert_eq!(text(&response), "seven");
    assert_eq!(response.headers[0].1, "text/plain");
    assert_eq!(outcome.version, Some(2));
    let (status, words) = message(&far, &nobody, r#"{"inputs": {"text": ["abc"]}}"#);
    assert_eq!(
        (status, &*words),
        (
            500,
            "the host answered tensors with a body of the type text/plain"
        )
    );
}

#[test]
fn the_edges_processor_goes_before_the_hosts_and_each_has_its_own() {
    let mut far = far_covering(&["serving_default", "added"]);
    let own = signature("", &[("x", DType::FLOAT)], &[("y", DType::FLOAT)]);
    far.signatures.insert("plain".to_owned(), own);
    let here = covering(describing_text("serving_default"));
    let edge_far = &far;
    let edge = Edge::new(&edge_far, &here, b"");
    let spec = ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Latest,
    };
    let model = (&&edge).open(&spec).unwrap();
    let covered: Vec<String> = model.covered().into_iter().map(|(name, _)| name).collect();
    assert_eq!(covered, ["added", "serving_default"]);
    assert!(model.content_types("serving_default").is_empty());
    assert_eq!(model.content_types("added"), ["text/csv"]);
    assert!(model.content_types("plain").is_empty());
    let (described, shapes) = model.signature("serving_default").unwrap();
    assert_eq!(shapes, ShapeCheck::Strict);
    assert_eq!(described.inputs["text"].shape, Some(vec![-1]));
    assert!(
        model
            .signature("added")
            .is_some_and(|(added, _)| added.inputs.contains_key("text"))
    );
    assert!(model.signature("plain").is_some());
    assert!(model.signature("none").is_none());
    let error = model.run_body("plain", "text/csv", None, None).unwrap_err();
    assert_eq!(error.message(), "no processor covers the signature plain");
}

#[test]
fn a_request_that_the_host_would_refuse_does_not_leave() {
    let mut far = far();
    far.shapes = ShapeCheck::Strict;
    far.signatures
        .get_mut("serving_default")
        .unwrap()
        .inputs
        .get_mut("x")
        .unwrap()
        .shape = Some(vec![-1, 2]);
    let nobody = FakeProcessor::default();
    let (status, words) = message(&far, &nobody, r#"{"instances": [1.0]}"#);
    assert_eq!(status, 400);
    assert_eq!(
        words,
        "Expects input x to be of shape [-1, 2] but [1] is provided"
    );
    for body in [
        r#"{"instances": [{"z": 1.0}]}"#,
        "{",
        r#"{"instances": ["a"]}"#,
    ] {
        assert_eq!(predict(&far, &nobody, body).0, 400, "{body}");
    }
    assert!(far.runs.borrow().is_empty());
}

#[test]
fn errors_of_the_host_are_the_clients_answer() {
    let mut far = far();
    far.run = Box::new(|_| Err(Error::new(ErrorCode::Unavailable, "the host is away")));
    let nobody = FakeProcessor::default();
    let body = r#"{"instances": [1.0]}"#;
    assert_eq!(
        message(&far, &nobody, body),
        (503, "the host is away".to_owned())
    );
    let (response, _) = asked(&far, &nobody, ("GET", "/v1/models/other"), &[], "");
    assert_eq!(response.status, 503);
    let (response, _) = asked(&far, &nobody, ("GET", "/v1/models/m"), &[], "");
    assert!(text(&response).contains("\"state\": \"AVAILABLE\""));
    // Nobody asks a processor for that.
    assert_eq!(nobody.asked.borrow().len(), 1);
}

#[test]
fn a_request_is_handled_anew_when_what_was_known_of_its_model_was_old() {
    let body = r#"{"inputs": {"text": ["abc"]}}"#;
    for (aborts, status) in [(1, 200), (2, 200), (3, 503), (9, 503)] {
        let far = far();
        far.aborts.set(aborts);
        let here = covering(describing_text("serving_default"));
        let (answered, words) = message(&far, &here, body);
        assert_eq!(answered, status, "{aborts}");
        let attempts = if aborts < 3 { aborts as usize + 1 } else { 3 };
        assert_eq!(far.runs.borrow().len(), attempts);
        assert_eq!(far.opened.borrow().len(), attempts);
        let asked = here.asked.borrow();
        let described = asked.iter().filter(|asked| asked.starts_with("describe"));
        assert_eq!(described.count(), attempts);
        if status == 503 {
            assert_eq!(
                words,
                "the model m changed while it was asked, 3 times in a row; try again later \
                 (version 3 is gone)"
            );
        }
    }
}

#[test]
fn what_a_request_says_of_a_new_version_is_what_is_answered() {
    let mut far = far();
    far.aborts.set(1);
    far.run = Box::new(|_| {
        Ok(FarReply {
            version: 4,
            ..numbers(&[("y", 1.0)])
        })
    });
    let here = covering(describing("serving_default"));
    let edge_far = &far;
    let body = br#"{"instances": [1.0]}"#;
    let edge = Edge::new(&edge_far, &here, body);
    let mut attempts = 0;
    let (_, outcome) = edge.handle(|services| {
        attempts += 1;
        if attempts == 2 {
            far.version.set(4);
        }
        let request = crate::rest::Request {
            method: "POST",
            path: PREDICT,
            headers: &[],
            body,
        };
        crate::rest::handle(&request, services)
    });
    assert_eq!((attempts, outcome.version), (2, Some(4)));
    assert_eq!(here.asked.borrow()[2], "describe m 4 serving_default");
}

#[test]
fn an_aborted_of_the_processors_own_is_its_answer() {
    let far = far();
    let mut here = covering(describing("serving_default"));
    here.preprocess = Box::new(|_, _| Err(Error::new(ErrorCode::Aborted, "not today")));
    let answer = message(&far, &here, r#"{"instances": [1.0]}"#);
    assert_eq!(answer, (409, "not today".to_owned()));
    assert_eq!(far.opened.borrow().len(), 1);
}

#[test]
fn runs_are_told_what_they_are_for() {
    let mut far = far();
    let classify = signature(
        "tensorflow/serving/classify",
        &[("inputs", DType::STRING)],
        &[("scores", DType::FLOAT)],
    );
    far.signatures
        .insert("serving_default".to_owned(), classify);
    far.run = Box::new(|_| {
        let scores = crate::fake::fixed("scores", DType::FLOAT, &[1, 1], &[0.5f32]);
        Ok(FarReply {
            reply: Reply::Tensors(vec![scores]),
            version: 3,
        })
    });
    let path = ("POST", "/v1/models/m:classify");
    let body = r#"{"examples": [{}]}"#;
    let (response, _) = asked(&far, &FakeProcessor::default(), path, &[], body);
    assert_eq!(response.status, 200, "{}", text(&response));
    assert_eq!(
        *far.runs.borrow(),
        ["seen classify serving_default inputs=string[1][\"\"] -> scores"]
    );
    // A processor here is told, too, and so is the run behind it.
    let mut here = covering(describing("serving_default"));
    here.preprocess = Box::new(|_, _| {
        Ok(super::super::Step::Run {
            signature: "serving_default".to_owned(),
            inputs: vec![(
                "inputs".to_owned(),
                tensorgate_types::processing::GivenTensor {
                    dtype: DType::STRING.number(),
                    shape: vec![1],
                    data: tensorgate_types::processing::GivenData::Strings {
                        offsets: vec![0, 1],
                        bytes: vec![b'e'].into(),
                    },
                },
            )],
            outputs: vec!["scores".to_owned()],
        })
    });
    let (response, _) = asked(&far, &here, path, &[], body);
    assert_eq!(response.status, 200, "{}", text(&response));
    assert_eq!(
        here.asked.borrow()[1],
        "preprocess m 3 serving_default [\"scores\"] api=classify inputs=string[1][\"\"]"
    );
    assert_eq!(
        far.runs.borrow()[1],
        "seen classify serving_default inputs=string[1][\"e\"] -> scores"
    );
}

#[test]
fn metadata_shows_what_both_processors_describe() {
    let far = far_covering(&["added"]);
    let here = covering(Description {
        content_types: vec!["image/jpeg".to_owned()],
        ..describing_text("serving_default")
    });
    let path = ("GET", "/v1/models/m/metadata");
    let (response, _) = asked(&far, &here, path, &[], "");
    let shown = text(&response);
    assert_eq!(shown.matches("\"text\": {").count(), 2, "{shown}");
    assert!(
        shown.contains("\"added\": {") && !shown.contains("\"x\": {"),
        "{shown}"
    );
}

#[test]
fn the_rest_of_the_house_is_where_the_models_are() {
    let (far, nobody) = (far(), FakeProcessor::default());
    let edge_far = &far;
    let edge = Edge::new(&edge_far, &nobody, b"");
    let services = &&edge;
    assert_eq!(services.settings(), tensorgate_types::Settings::default());
    assert!(!services.log_sampled("m"));
    let error = services.reload(None, &[]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unimplemented);
}

#[test]
fn inputs_may_lie_in_the_message() {
    let (far, nobody) = (far(), FakeProcessor::default());
    let mut own = signature(
        "",
        &[("x", DType::FLOAT), ("s", DType::STRING)],
        &[("y", DType::FLOAT)],
    );
    own.method_name = "any".to_owned();
    let mut far = far;
    far.signatures.insert("serving_default".to_owned(), own);
    let mut body = b"--".to_vec();
    body.extend_from_slice(&1f32.to_le_bytes());
    body.extend_from_slice(b"bba");
    let edge_far = &far;
    let edge = Edge::new(&edge_far, &nobody, &body);
    let spec = ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Specific(3),
    };
    let model = (&&edge).open(&spec).unwrap();
    let part = |offset, length| Range { offset, length };
    let strings = [part(8, 1), part(6, 2)];
    let inputs = |first| {
        [
            Input {
                name: "x",
                dtype: DType::FLOAT,
                shape: &[1],
                data: InputData::InMessage(first),
            },
            Input {
                name: "s",
                dtype: DType::STRING,
                shape: &[2],
                data: InputData::StringsInMessage(&strings),
            },
        ]
    };
    let good = inputs(part(2, 4));
    let call = |inputs| Call {
        signature: "serving_default",
        inputs,
        outputs: &["y"],
    };
    let outputs = model.run(&[call(&good)], 1).unwrap();
    assert_eq!(bytes_of(&outputs[0][0]), 2.5f32.to_le_bytes());
    assert_eq!(
        *far.runs.borrow(),
        ["seen predict serving_default x=float[1][0, 0, 128, 63] s=string[2][\"a\", \"bb\"] -> y"]
    );
    let beyond = inputs(part(u64::MAX, 4));
    let error = model.run(&[call(&beyond)], 1).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OutOfRange);
}

#[test]
fn answers_are_put_together_of_what_is_here() {
    let whole = Whole(b"0123456789");
    assert_eq!((whole.length(), whole.head().len()), (10, 10));
    let part = |offset, length| Range { offset, length };
    assert_eq!(whole.read(part(8, 2)).unwrap(), b"89");
    for beyond in [
        part(8, 3),
        part(11, 0),
        part(1, u64::MAX),
        part(u64::MAX, 1),
    ] {
        assert!(whole.part(beyond).is_err(), "{beyond:?}");
        assert!(whole.read(beyond).is_err(), "{beyond:?}");
    }
    let answer = whole.assemble(vec![
        Chunk::Bytes(b"a".to_vec()),
        Chunk::InMessage(part(1, 2)),
        Chunk::Bytes(b"b".to_vec()),
    ]);
    assert_eq!(answer.unwrap(), b"a12b");
    assert!(whole.assemble(vec![Chunk::Held(0)]).is_err());
}
