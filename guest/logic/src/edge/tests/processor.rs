//! What the processor at the edge may say and give.

use tensorgate_types::processing::{Description, GivenData, GivenTensor};
use tensorgate_types::{DType, Error, ErrorCode, ModelSpec, VersionChoice};

use super::super::fake::{
    FakeProcessor, body, bytes_of, describing, describing_text, given, numbers, run_with, tensors,
};
use super::super::{Answer, Context, Edge, Step};
use super::{PREDICT, asked, covering, far, far_covering, message, never, predict, text};
use crate::inference::{Call, Inference, Input, InputData, Model};

const TEXT: &str = r#"{"inputs": {"text": ["abc"]}}"#;

#[test]
fn a_covered_signature_goes_through_the_processor_and_runs_on_the_bare_model() {
    for far in [far(), far_covering(&["serving_default"])] {
        let here = covering(describing_text("serving_default"));
        let (status, answer) = predict(&far, &here, TEXT);
        assert_eq!(
            (status, &*answer),
            (200, "{\n    \"outputs\": [\n        2.5\n    ]\n}")
        );
        assert_eq!(
            *here.asked.borrow(),
            [
                "describe m 3 serving_default",
                "preprocess m 3 serving_default [] api=predict text=string[1][\"abc\"]",
                "postprocess m 3 serving_default [] api=predict y=float[1][0, 0, 32, 64]",
            ]
        );
        let way = if far.covered.is_empty() {
            "seen"
        } else {
            "bare"
        };
        assert_eq!(
            *far.runs.borrow(),
            [format!(
                "{way} predict serving_default x=float[1][0, 0, 224, 64] -> "
            )]
        );
    }
}

#[test]
fn requests_are_held_against_what_it_describes_before_it_is_asked() {
    let far = far();
    let here = covering(describing_text("serving_default"));
    for (request, words) in [
        (
            r#"{"inputs": {"text": [["a"]]}}"#,
            "Expects input text to be of shape [-1]",
        ),
        (r#"{"inputs": {"x": [1.0]}}"#, ""),
        ("[", "JSON Parse error"),
    ] {
        let (status, said) = message(&far, &here, request);
        assert_eq!(status, 400, "{said}");
        assert!(said.starts_with(words), "{said}");
    }
    let bodies_alone = covering(Description {
        content_types: vec!["text/csv".to_owned()],
        ..describing("csv")
    });
    let (status, said) = message(
        &far,
        &bodies_alone,
        r#"{"signature_name": "csv", "inputs": {}}"#,
    );
    assert_eq!(status, 400);
    assert_eq!(
        said,
        "the signature csv takes no tensors, but bodies of the content types text/csv"
    );
    for processor in [here, bodies_alone] {
        assert!(
            processor
                .asked
                .borrow()
                .iter()
                .all(|asked| asked.starts_with("describe"))
        );
    }
    assert!(far.runs.borrow().is_empty());
}

#[test]
fn what_it_gives_to_its_model_is_checked_as_if_a_client_had_sent_it() {
    let failed = "the processor of model m version 3 failed: ";
    let run = |signature: &str, name: &str, tensor: GivenTensor| Step::Run {
        signature: signature.to_owned(),
        inputs: vec![(name.to_owned(), tensor)],
        outputs: vec![],
    };
    let short = GivenTensor {
        data: GivenData::Fixed(vec![0; 3].into()),
        ..given(1.0)
    };
    for (step, words) in [
        (
            run("other", "x", given(1.0)),
            "what it gives to its model: Serving signature key \\\"other\\\" not found.",
        ),
        (
            run("serving_default", "z", given(1.0)),
            "what it gives to its model: Signature input alias: x(feed name: ) not found in request",
        ),
        (
            run_with(&[]),
            "what it gives to its model: input size does not match signature: 0!=1",
        ),
        (
            run("serving_default", "x", short),
            "input x: float tensor of shape [1] needs 4 bytes, got 3",
        ),
        (run_with(&[("x", 1.0), ("x", 2.0)]), "x is there twice"),
        (
            Step::Run {
                signature: "serving_default".to_owned(),
                inputs: vec![],
                outputs: vec![String::new(); 4097],
            },
            "one call takes at most 4096 outputs, got 4097",
        ),
    ] {
        let far = far();
        let mut here = covering(describing_text("serving_default"));
        here.preprocess = Box::new(move |_, _| Ok(step.clone()));
        let (status, said) = message(&far, &here, TEXT);
        assert_eq!(status, 500, "{said}");
        assert!(said.starts_with(&format!("{failed}{words}")), "{said}");
        assert!(far.runs.borrow().is_empty());
    }
}

#[test]
fn what_it_answers_is_what_it_has_described() {
    let failed = "the processor of model m version 3 failed: ";
    let number = |name: &str| (name.to_owned(), given(1.0));
    let whole = GivenTensor {
        dtype: DType::INT32.number(),
        ..given(1.0)
    };
    for (answer, words) in [
        (tensors(vec![]), "it did not give the output y"),
        (
            tensors(vec![number("y"), number("z")]),
            "it gave the output z, which it has not described",
        ),
        (
            tensors(vec![("y".to_owned(), whole)]),
            "it gave the output y as int32, and described it as float",
        ),
        (tensors(vec![number("y"), number("y")]), "y is there twice"),
        (
            body("text/plain", "seven"),
            "it answered tensors with a body of the type text/plain",
        ),
        (
            body("text", "seven"),
            "\\\"text\\\" is no content type; expected one like application/json, of at most 256 \
             visible characters",
        ),
    ] {
        let far = far();
        let mut here = covering(describing_text("serving_default"));
        here.postprocess = Box::new(move |_, _| Ok(answer.clone()));
        assert_eq!(
            message(&far, &here, TEXT),
            (500, format!("{failed}{words}"))
        );
    }
}

#[test]
fn a_client_gets_the_outputs_that_it_wants() {
    let mut far = far();
    far.run = Box::new(|_| Ok(numbers(&[("y", 1.0)])));
    let mut here = covering(Description {
        outputs: Some(
            ["a", "b"]
                .map(|name| tensorgate_types::processing::NamedInfo {
                    name: name.to_owned(),
                    dtype: DType::FLOAT.number(),
                    shape: None,
                    optional: false,
                })
                .to_vec(),
        ),
        ..describing("serving_default")
    });
    here.postprocess = Box::new(|_, _| {
        Ok(tensors(vec![
            ("b".to_owned(), given(2.0)),
            ("a".to_owned(), given(1.0)),
        ]))
    });
    let edge_far = &far;
    let edge = Edge::new(&edge_far, &here, b"");
    let spec = ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Latest,
    };
    let model = (&&edge).open(&spec).unwrap();
    let one = 1f32.to_le_bytes();
    let inputs = [Input {
        name: "x",
        dtype: DType::FLOAT,
        shape: &[1],
        data: InputData::Fixed(&one),
    }];
    let run = |outputs: &[&str]| {
        let call = Call {
            signature: "serving_default",
            inputs: &inputs,
            outputs,
        };
        let outputs = model.run(&[call], 0).unwrap().remove(0);
        outputs
            .iter()
            .map(|output| (output.name.clone(), bytes_of(output)))
            .collect::<Vec<_>>()
    };
    let a = ("a".to_owned(), 1f32.to_le_bytes().to_vec());
    let b = ("b".to_owned(), 2f32.to_le_bytes().to_vec());
    assert_eq!(run(&[]), [a, b.clone()]);
    assert_eq!(run(&["b"]), [b]);
    assert!(
        here.asked.borrow()[3].starts_with("preprocess m 3 serving_default [\"b\"] api=predict")
    );
}

#[test]
fn bodies_of_its_content_types_are_its_own_affair() {
    let mut here = covering(Description {
        content_types: vec!["image/*".to_owned()],
        ..describing("serving_default")
    });
    let jpeg = [("content-type", "Image/JPEG"), ("accept", "text/plain")];
    let far = far();
    let (response, outcome) = asked(&far, &here, ("POST", PREDICT), &jpeg, "JFIF");
    assert_eq!(
        text(&response),
        "{\n    \"outputs\": [\n        2.5\n    ]\n}"
    );
    assert_eq!((outcome.version, outcome.rows), (Some(3), 1));
    assert_eq!(
        here.asked.borrow()[1],
        "preprocess m 3 serving_default [] api=predict accept=text/plain Image/JPEG JFIF"
    );
    // An answer of its own shape.
    here.postprocess = Box::new(|_, _| Ok(body("text/plain; charset=utf-8", "a cat")));
    let (response, _) = asked(&far, &here, ("POST", PREDICT), &jpeg[..1], "JFIF");
    assert_eq!((response.status, &*text(&response)), (200, "a cat"));
    assert_eq!(response.headers[0].1, "text/plain; charset=utf-8");
    assert!(here.asked.borrow()[4].contains("[] api=predict Image/JPEG"));
    // Tensors that it has not described.
    here.postprocess = Box::new(|_, _| Ok(tensors(vec![("z".to_owned(), given(1.0))])));
    let (response, _) = asked(&far, &here, ("POST", PREDICT), &jpeg, "JFIF");
    assert_eq!(response.status, 500);
    assert!(text(&response).contains("failed: it gave the output z"));
}

#[test]
fn it_may_answer_without_a_run_and_name_another_version() {
    let far = far();
    let mut here = covering(describing("serving_default"));
    here.preprocess = Box::new(|_, _| {
        Ok(Step::Answer(Answer {
            version: Some(9),
            ..tensors(vec![("y".to_owned(), given(4.0))])
        }))
    });
    here.postprocess = Box::new(|_, _| never("postprocess"));
    let one = r#"{"instances": [1.0]}"#;
    let (response, outcome) = asked(&far, &here, ("POST", PREDICT), &[], one);
    assert_eq!(text(&response), "{\n    \"predictions\": [4.0\n    ]\n}");
    assert_eq!(outcome.version, Some(9));
    assert!(far.runs.borrow().is_empty());
}

#[test]
fn its_errors_are_the_clients_answer() {
    let one = r#"{"instances": [1.0]}"#;
    let far = far();
    let mut here = covering(describing("serving_default"));
    here.postprocess = Box::new(|_, _| Err(Error::not_found("no such label")));
    assert_eq!(message(&far, &here, one), (404, "no such label".to_owned()));
    here.preprocess = Box::new(|_: &Context<'_>, _| {
        Err(Error::new(ErrorCode::InvalidArgument, "é".repeat(5000)))
    });
    let (status, said) = message(&far, &here, one);
    assert_eq!(status, 400);
    assert!(
        said.ends_with("é...TRUNCATED") && said.len() < 4200,
        "{}",
        said.len()
    );
}

#[test]
fn one_that_does_not_want_the_model_makes_requests_fail_and_says_why() {
    let one = r#"{"instances": [1.0]}"#;
    let far = far();
    let mut here = FakeProcessor {
        describe: Box::new(|_| Err(Error::invalid_argument("there is no input text"))),
        ..FakeProcessor::default()
    };
    assert_eq!(
        message(&far, &here, one),
        (
            400,
            "the processor at the edge refuses model m version 3: there is no input text"
                .to_owned()
        )
    );
    here.describe = Box::new(|_| Ok(vec![describing("other")]));
    let (status, said) = message(&far, &here, one);
    assert_eq!(status, 500);
    assert!(
        said.starts_with(
            "the processor of model m version 3 failed: what it says of itself cannot be: \
             signature other: the model has no signature of this name"
        ),
        "{said}"
    );
    assert!(far.runs.borrow().is_empty());
    // Whether it lives is asked of the host alone.
    let (response, _) = asked(&far, &here, ("GET", "/v1/models/m"), &[], "");
    assert_eq!(response.status, 200);
}

#[test]
fn it_is_asked_once_what_it_is() {
    let far = far();
    let here = covering(describing("serving_default"));
    let edge_far = &far;
    let edge = Edge::new(&edge_far, &here, b"");
    for version in [VersionChoice::Latest, VersionChoice::Specific(3)] {
        let name = "m".to_owned();
        let spec = ModelSpec { name, version };
        assert!((&&edge).open(&spec).is_ok());
    }
    assert_eq!(here.asked.borrow().len(), 1);
    assert_eq!(far.opened.borrow().len(), 2);
}
