//! Both ends, held against each other: what the edge sends is answered by the host's end over a
//! fake house, and heard.

use tensorgate_types::{DType, Error, ErrorCode, ModelSpec, ServableState, VersionChoice};

use super::client::{self, Heard, Run};
use super::*;
use crate::exchange::{ChunkedResponse, HttpRequest};
use crate::fake::{Fake, fixed, signature, strings};
use crate::inference::{Output, OutputData, Reply};

fn spec(name: &str) -> ModelSpec {
    ModelSpec {
        name: name.to_owned(),
        version: VersionChoice::Latest,
    }
}

fn house() -> Fake {
    let mut fake = Fake::default();
    let takes = signature(
        "tensorflow/serving/predict",
        &[("x", DType::FLOAT), ("s?", DType::STRING)],
        &[("y", DType::FLOAT)],
    );
    fake.signatures.insert("serving_default".to_owned(), takes);
    fake.defs = vec![("serving_default".to_owned(), b"\x1a\x01m".to_vec())];
    fake
}

fn ask(fake: &mut Fake, pieces: &[Vec<u8>]) -> (ChunkedResponse, crate::Outcome) {
    fake.message = pieces.concat();
    let request = HttpRequest {
        method: "POST",
        path: PATH,
        headers: &[],
    };
    answer(&request, fake, &&*fake)
}

fn hear(fake: &mut Fake, pieces: &[Vec<u8>]) -> Heard {
    let (response, _) = ask(fake, pieces);
    client::hear(&fake.assemble(&response.body)).expect("it is an answer")
}

fn a_run<'a>(spec: &'a ModelSpec, known: (i64, &'a str)) -> Run<'a> {
    Run {
        spec,
        known,
        bare: false,
        signature: "serving_default",
        api: "classify",
        accept: None,
        outputs: &[],
    }
}

#[test]
fn what_is_known_of_a_version_arrives() {
    let mut fake = house();
    let Heard::Opened(current) = hear(&mut fake, &client::open(&spec("m"), "")) else {
        panic!("it opens");
    };
    let known = &current.known;
    assert_eq!((known.version, &*known.digest), (3, "d3"));
    let got = &known.signatures["serving_default"];
    assert_eq!(got.signature, fake.signatures["serving_default"]);
    assert_eq!(got.definition, b"\x1a\x01m");
    assert_eq!(known.covered, []);
    assert_eq!(&Known::from_bytes(&current.bytes).unwrap(), known);

    let Heard::Opened(current) = hear(&mut fake, &client::open(&spec("m"), "d3")) else {
        panic!("it opens");
    };
    assert_eq!(&*current.known.digest, "d3");
    assert!(current.known.signatures.is_empty());
}

#[test]
fn tensors_travel_both_ways_as_they_are() {
    let mut fake = house();
    let inputs = vec![
        strings("s", &[2], &["", "ä\0"]),
        fixed("x", DType::FLOAT, &[2, 1], &[1.5f32, f32::NAN]),
        fixed("i", DType::INT64, &[1], &[-7i64]),
        fixed::<f32>("none", DType::FLOAT, &[0, 3], &[]),
    ];
    let spec = spec("m");
    let sent = client::run(&a_run(&spec, (3, "d3")), Reply::Tensors(inputs.clone())).unwrap();
    let Heard::Ran(version, Reply::Tensors(outputs)) = hear(&mut fake, &sent) else {
        panic!("it runs");
    };
    assert_eq!(version, 3);
    let by_name = |mut list: Vec<Output>| {
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list.iter()
            .map(|output| format!("{output:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(by_name(outputs), by_name(inputs));
    assert_eq!(fake.called_as.borrow().as_slice(), ["classify"]);
}

#[test]
fn large_values_never_enter_the_gateway() {
    let mut fake = house();
    fake.head = 4 << 10;
    let values = vec![1.0f32; 1 << 18];
    let inputs = vec![fixed("x", DType::FLOAT, &[1 << 18], &values)];
    let spec = spec("m");
    let sent = client::run(&a_run(&spec, (0, "")), Reply::Tensors(inputs)).unwrap();
    let (response, outcome) = ask(&mut fake, &sent);
    assert_eq!((response.status, outcome.rows), (200, 1 << 18));
    let through: usize = response
        .body
        .iter()
        .map(|chunk| match chunk {
            crate::Chunk::Bytes(bytes) => bytes.len(),
            _ => 0,
        })
        .sum();
    assert!(through < 200, "{through} bytes were copied");
}

#[test]
fn who_knows_another_version_is_told_what_is_true() {
    let mut fake = house();
    let spec = spec("m");
    for known in [(2, "d3"), (3, "other")] {
        let inputs = vec![fixed("x", DType::FLOAT, &[1], &[1.0f32])];
        let sent = client::run(&a_run(&spec, known), Reply::Tensors(inputs)).unwrap();
        let (response, outcome) = ask(&mut fake, &sent);
        assert_eq!((response.status, outcome.code), (409, 10));
        let heard = client::hear(&fake.assemble(&response.body)).unwrap();
        let Heard::Failed(error, Some(current)) = heard else {
            panic!("{heard:?}");
        };
        assert_eq!(error.code(), ErrorCode::Aborted);
        assert_eq!(&*current.known.digest, "d3");
        assert!(current.known.signatures.contains_key("serving_default"));
    }
    assert!(fake.runs.borrow().is_empty());
}

#[test]
fn errors_keep_their_code_and_words() {
    let mut fake = house();
    fake.answer = Box::new(|_| Err(Error::new(ErrorCode::DataLoss, "lost \u{1F600}")));
    let spec_m = spec("m");
    let sent = client::run(&a_run(&spec_m, (3, "d3")), Reply::Tensors(vec![])).unwrap();
    let (response, outcome) = ask(&mut fake, &sent);
    assert_eq!((response.status, outcome.code), (500, 15));
    let heard = client::hear(&fake.assemble(&response.body)).unwrap();
    assert!(matches!(heard, Heard::Failed(error, None) if error.message() == "lost \u{1F600}"));

    let Heard::Failed(error, _) = hear(&mut fake, &client::open(&spec("nobody"), "")) else {
        panic!("there is no such model");
    };
    assert_eq!(error.code(), ErrorCode::NotFound);
    let both = [client::open(&spec("m"), ""), client::status("m", None)].concat();
    let Heard::Failed(error, _) = hear(&mut fake, &both) else {
        panic!("two things were asked");
    };
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    let Heard::Failed(error, _) = hear(&mut fake, &[]) else {
        panic!("nothing was asked");
    };
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
}

#[test]
fn a_run_says_what_it_is_for_and_has_tensors() {
    let mut fake = house();
    let spec_m = spec("m");
    let other = Run {
        api: "train",
        ..a_run(&spec_m, (3, "d3"))
    };
    let sent = client::run(&other, Reply::Tensors(vec![])).unwrap();
    let Heard::Failed(error, None) = hear(&mut fake, &sent) else {
        panic!("there is no such api");
    };
    assert_eq!(
        error.message(),
        "the api \"train\" is none: expected one of predict, classify, regress, multi-inference"
    );

    let input = fixed("x", DType::FLOAT, &[2], &[1.0f32, 2.0]);
    let sent = client::run(&a_run(&spec_m, (3, "d3")), Reply::Tensors(vec![input]));
    let mut sent = sent.unwrap().concat();
    let content = [1.0f32, 2.0].map(f32::to_le_bytes).concat();
    let at = sent.windows(8).position(|bytes| bytes == content);
    // The shape stands before the content, a dimension as a varint.
    let dimension = at.map(|at| sent[..at].iter().rposition(|byte| *byte == 2));
    sent[dimension.flatten().expect("the dimension")] = 3;
    let Heard::Failed(error, None) = hear(&mut fake, &[sent]) else {
        panic!("three elements have another size");
    };
    let words = "the input x is no tensor (float, shape [3], 8 bytes of tensor_content): expected";
    assert!(error.message().starts_with(words), "{error}");
    assert!(fake.runs.borrow().is_empty());
}

#[test]
fn states_of_versions_arrive() {
    let mut fake = house();
    let Heard::Versions(versions) = hear(&mut fake, &client::status("m", None)) else {
        panic!("there are some");
    };
    assert_eq!(versions[0].state, ServableState::Available);
}

#[test]
fn other_paths_and_methods_are_refused() {
    let fake = house();
    for (method, path, status) in [("GET", PATH, 405), ("POST", "/edge/v1/x", 404)] {
        let request = HttpRequest {
            method,
            path,
            headers: &[],
        };
        let (response, _) = answer(&request, &fake, &&fake);
        assert_eq!(response.status, status);
        let heard = client::hear(&fake.assemble(&response.body)).unwrap();
        assert!(matches!(heard, Heard::Failed(..)));
    }
}

#[test]
fn data_that_does_not_fit_is_refused_before_it_is_sent() {
    let spec = spec("m");
    let mut short = fixed("x", DType::FLOAT, &[2], &[1.0f32]);
    let refused = client::run(&a_run(&spec, (3, "")), Reply::Tensors(vec![short.clone()]));
    assert_eq!(
        refused.unwrap_err().message(),
        "the data of input x does not fit its type float and shape [2]"
    );
    short.shape = vec![-1];
    assert!(client::run(&a_run(&spec, (3, "")), Reply::Tensors(vec![short])).is_err());
}

#[test]
fn spoiled_messages_are_an_error_and_nothing_worse() {
    let mut fake = house();
    let spec = spec("m");
    let inputs = vec![
        fixed("x", DType::FLOAT, &[2], &[1.0f32, 2.0]),
        strings("s", &[1], &["text"]),
    ];
    let sent = client::run(&a_run(&spec, (3, "d3")), Reply::Tensors(inputs))
        .unwrap()
        .concat();
    let (response, _) = ask(&mut fake, std::slice::from_ref(&sent));
    let answered = fake.assemble(&response.body);
    for cut in 0..sent.len() {
        ask(&mut fake, &[sent[..cut].to_vec()]);
        let mut flipped = sent.clone();
        flipped[cut] ^= 0xff;
        ask(&mut fake, &[flipped]);
    }
    for cut in 0..answered.len() {
        let _ = client::hear(&answered[..cut]);
        let mut flipped = answered.clone();
        flipped[cut] ^= 0xff;
        let _ = client::hear(&flipped);
    }
    // Lengths that lie.
    let _ = client::hear(&[0x2a, 0xff, 0xff, 0xff, 0xff, 0x07]);
    let bodies = client::run(
        &a_run(&spec, (3, "d3")),
        Reply::Body {
            content_type: "image/png".to_owned(),
            bytes: vec![7; 100],
        },
    );
    let Heard::Failed(error, _) = hear(&mut fake, &bodies.unwrap()) else {
        panic!("no processor takes bodies here");
    };
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    let _ = OutputData::Fixed(vec![]);
}
