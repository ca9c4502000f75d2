//! What the component asks of a host, and when it need not ask.

use std::time::Duration;

use tensorgate_logic::{Output, OutputData, Reply};
use tensorgate_types::{DType, ErrorCode, ModelSpec, VersionChoice};

use crate::fake::{Fake, SentRequest};
use crate::models::{Call, Remote};
use crate::world::{Failure, Response};

/// Field 2 (opened) with version 3, digest "d3", and the signature "s" with an input x.
const OPENED: &[u8] = b"\x12\x12\x08\x03\x12\x02d3\x1a\x0a\x0a\x01s\x1a\x05\x0a\x01x\x10\x01";
/// The same without signatures.
const UNCHANGED: &[u8] = b"\x12\x06\x08\x03\x12\x02d3";
/// Field 4 (ran), version 3.
const RAN: &[u8] = b"\x22\x02\x08\x03";
/// Field 1 (failed): UNAVAILABLE, "busy".
const BUSY: &[u8] = b"\x0a\x08\x08\x0e\x12\x04busy";
/// Field 1 (failed): ABORTED, with version 4, digest "d4".
const STALE: &[u8] = b"\x0a\x0a\x08\x0a\x1a\x06\x08\x04\x12\x02d4";

fn said(body: &[u8]) -> Result<Response, Failure> {
    Ok(Response {
        status: 200,
        content_type: "application/x-protobuf".to_owned(),
        body: body.to_vec(),
    })
}

fn spec() -> ModelSpec {
    ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Latest,
    }
}

fn call() -> Call {
    Call {
        signature: "s".to_owned(),
        api: "predict".to_owned(),
        accept: None,
        outputs: vec![],
        payload: Reply::Tensors(vec![Output {
            name: "x".to_owned(),
            dtype: DType::FLOAT,
            shape: vec![1],
            data: OutputData::Fixed(vec![0; 4]),
        }]),
    }
}

fn is_open(request: &SentRequest) -> bool {
    request.body.first() == Some(&0x0a)
}

/// Opens and runs, as one request of a client does.
fn request(fake: &Fake) -> tensorgate_types::Result<i64> {
    let remote = Remote::new(fake);
    let model = remote.open(spec(), false)?;
    assert!(model.signature("s").is_some() || model.known.version != 3);
    remote.run(&model, call()).map(|(version, _)| version)
}

#[test]
fn asks_for_signatures_once_and_then_runs_only() {
    let fake = Fake::new(|sent| said(if is_open(sent) { OPENED } else { RAN }));
    assert_eq!(request(&fake).unwrap(), 3);
    assert_eq!(request(&fake).unwrap(), 3);
    let sent = fake.sent.borrow();
    let opens: Vec<bool> = sent.iter().map(is_open).collect();
    assert_eq!(opens, [true, false, false]);
    assert_eq!(sent[0].url, "http://host:8501/edge/v1");
    let timeout = sent[0]
        .headers
        .iter()
        .find(|(name, _)| name == "x-tensorgate-timeout");
    assert_eq!(timeout.unwrap().1, "30000000u");
    // The digest goes with the run.
    assert!(sent[2].body.windows(2).any(|two| two == b"d3"));
}

#[test]
fn asks_whether_it_still_holds_when_it_is_old() {
    let fake = Fake::new(|sent| {
        let knows = sent.body.windows(2).any(|two| two == b"d3");
        said(match (is_open(sent), knows) {
            (true, true) => UNCHANGED,
            (true, false) => OPENED,
            (false, _) => RAN,
        })
    });
    request(&fake).unwrap();
    fake.now.set(Duration::from_secs(100));
    request(&fake).unwrap();
    request(&fake).unwrap();
    let opens: Vec<bool> = fake.sent.borrow().iter().map(is_open).collect();
    assert_eq!(opens, [true, false, true, false, false]);
}

#[test]
fn remembers_what_is_true_when_it_is_told_that_it_was_wrong() {
    let mut first = true;
    let fake = Fake::new(move |sent| {
        if is_open(sent) {
            return said(OPENED);
        }
        said(if std::mem::take(&mut first) {
            STALE
        } else {
            RAN
        })
    });
    let error = request(&fake).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Aborted);
    let remote = Remote::new(&fake);
    let model = remote.open(spec(), true).unwrap();
    assert_eq!((model.known.version, &*model.known.digest), (4, "d4"));
    assert_eq!(fake.sent.borrow().len(), 2, "nothing was asked for that");
}

#[test]
fn tries_again_while_the_host_is_busy_or_broken() {
    let mut left = 3;
    let fake = Fake::new(move |sent| {
        left -= 1;
        match left {
            2 => said(BUSY),
            1 => Err(Failure::Broken("reset".to_owned())),
            0 => Ok(Response {
                status: 502,
                content_type: "text/html".to_owned(),
                body: b"<html>".to_vec(),
            }),
            _ => said(if is_open(sent) { OPENED } else { RAN }),
        }
    });
    assert_eq!(request(&fake).unwrap(), 3);
    assert_eq!(fake.sent.borrow().len(), 5);
    assert_eq!(fake.now.get(), Duration::from_millis(1000 + 10 + 20 + 40));
}

#[test]
fn gives_up_with_the_last_words_after_so_many_attempts_or_at_the_end_of_its_time() {
    let mut fake = Fake::new(|_| said(BUSY));
    fake.set("tensorgate_retries", "2");
    let error = request(&fake).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::Unavailable, "busy")
    );
    assert_eq!(fake.sent.borrow().len(), 3);

    let mut fake = Fake::new(|_| Err(Failure::Broken("nobody listens".to_owned())));
    fake.set("tensorgate_timeout_ms", "15");
    let error = request(&fake).unwrap_err();
    assert_eq!(fake.sent.borrow().len(), 2);
    assert_eq!(
        error.message(),
        "the Tensorgate host http://host:8501 cannot be reached: nobody listens"
    );
}

#[test]
fn answers_of_others_are_told_as_such() {
    for (status, body, code, words) in [
        (
            413,
            r#"{"error": "too large"}"#,
            ErrorCode::ResourceExhausted,
            "too large",
        ),
        (
            404,
            "<html>",
            ErrorCode::Unavailable,
            "answered 404 and not as a Tensorgate host does",
        ),
        (200, "hello", ErrorCode::Unknown, "answered 200 and not as"),
        (302, " ", ErrorCode::Unknown, "host does: no text"),
    ] {
        let fake = Fake::new(move |_| {
            Ok(Response {
                status,
                content_type: "text/html".to_owned(),
                body: body.as_bytes().to_vec(),
            })
        });
        let error = request(&fake).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.message().contains(words), "{error}");
        assert_eq!(fake.sent.borrow().len(), 1);
    }
}

#[test]
fn what_a_host_does_wrong_names_the_host() {
    for (body, words) in [
        (&b""[..], "its answer is empty"),
        (b"\x12\x7f", "cannot parse tensorgate.edge.v1.Response: "),
    ] {
        let fake = Fake::new(move |_| said(body));
        let error = request(&fake).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        let expected = format!("the Tensorgate host http://host:8501: {words}");
        assert!(error.message().starts_with(&expected), "{error}");
    }
    let mut fake = Fake::new(|_| Err(Failure::Late));
    fake.set("tensorgate_timeout_ms", "15");
    let error = request(&fake).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_eq!(
        error.message(),
        "the Tensorgate host http://host:8501 has not answered within the 15 ms that a request \
         may wait for it (tensorgate_timeout_ms)"
    );
}

#[test]
fn gives_answers_again_only_when_it_is_told_to_and_only_for_the_same_question() {
    let mut fake = Fake::new(|sent| said(if is_open(sent) { OPENED } else { RAN }));
    fake.set("tensorgate_answer_ttl_s", "5");
    request(&fake).unwrap();
    request(&fake).unwrap();
    assert_eq!(fake.sent.borrow().len(), 2);
    let remote = Remote::new(&fake);
    let model = remote.open(spec(), true).unwrap();
    remote.run(&model, call()).unwrap();
    assert_eq!(
        fake.sent.borrow().len(),
        3,
        "a bare run is another question"
    );
    fake.now.set(fake.now.get() + Duration::from_secs(6));
    request(&fake).unwrap();
    assert_eq!(fake.sent.borrow().len(), 4);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (name, value, words) in [
        ("tensorgate_url", "host:8501", "http://gpu-box:8501"),
        ("tensorgate_url", "http://host/path", "without a path"),
        ("tensorgate_url", "http://me:word@host", "or a password"),
        (
            "tensorgate_retries",
            "many",
            "the variable tensorgate_retries is a whole number",
        ),
    ] {
        let mut fake = Fake::new(|_| said(RAN));
        fake.set(name, value);
        let error = request(&fake).unwrap_err();
        assert!(error.message().contains(words), "{error}");
        assert!(fake.sent.borrow().is_empty());
    }
}

#[test]
fn with_an_environment_nothing_of_spin_is_touched() {
    let mut fake = Fake::new(|sent| said(if is_open(sent) { OPENED } else { RAN }));
    fake.variables.clear();
    let url = ("TENSORGATE_URL".to_owned(), "http://other:1".to_owned());
    fake.environment = [url].into();
    request(&fake).unwrap();
    request(&fake).unwrap();
    assert_eq!(fake.sent.borrow().len(), 4);
    assert!(fake.store.borrow().is_empty());
}

#[test]
fn spoiled_entries_of_the_store_are_as_if_they_were_not_there() {
    let mut fake = Fake::new(|sent| said(if is_open(sent) { OPENED } else { RAN }));
    fake.set("tensorgate_answer_ttl_s", "5");
    request(&fake).unwrap();
    for cut in [0, 3, 8, 9] {
        let mut store = fake.store.borrow_mut();
        store.values_mut().for_each(|value| value.truncate(cut));
        drop(store);
        request(&fake).unwrap();
    }
}

#[test]
fn who_opens_the_same_again_learns_whether_it_still_holds() {
    let mut is_new = false;
    let fake = Fake::new(move |sent| {
        if !is_open(sent) {
            return said(RAN);
        }
        // Opened (field 2) with version 4 and digest "d4", from the second time on.
        let opened = if is_new {
            b"\x12\x06\x08\x04\x12\x02d4"
        } else {
            OPENED
        };
        is_new = true;
        said(opened)
    });
    request(&fake).unwrap();
    let remote = Remote::new(&fake);
    let opens = |bare| remote.open(spec(), bare).unwrap().known.version;
    // Believed, in both ways; and once more, since it was said just now.
    assert_eq!([opens(false), opens(true), opens(false)], [3, 3, 3]);
    assert_eq!(fake.sent.borrow().len(), 2);
    fake.now.set(fake.now.get() + Duration::from_secs(2));
    assert_eq!(opens(false), 4);
    // What the host has said to this very request it need not say again.
    assert_eq!([opens(false), opens(true)], [4, 4]);
    assert_eq!(fake.sent.borrow().len(), 3);
}
