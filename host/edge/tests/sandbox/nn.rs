//! A processor that knows nothing of this house but `wasi:nn`, against a fake model: names,
//! errors, bad tensors, and what it leaves behind.

use std::pin::pin;
use std::time::Duration;

use tensorgate_edge::Rights;
use tensorgate_types::Deadline;

use crate::fake::Fake;
use crate::harness::text;
use crate::processors::{House, rights};

/// What each body is answered with; the house is as it was after each.
async fn assert_said(rights: Rights, cases: &[(&str, &str)]) {
    assert_said_by("nn", rights, cases).await;
}

async fn assert_said_by(program: &str, rights: Rights, cases: &[(&str, &str)]) {
    let house = House::new(program, rights).await;
    for (told, words) in cases {
        let (status, said) = house.tell(told).await;
        assert_eq!(status, 200, "{told}: {said}");
        assert!(said.contains(words), "{told}: {said}");
        house.assert_unharmed().await;
    }
}

#[tokio::test]
async fn a_component_of_the_standard_runs_models_by_name() {
    let doubled = "y TensorType::Fp32 [2] [2.0, 5.0]";
    assert_said(
        rights(),
        &[
            ("compute m#double 1 2.5", doubled),
            ("compute m@3#double 1 2.5", doubled),
            ("compute m:stable#double 1 2.5", doubled),
            ("numbered m#double 1 2.5", doubled),
            ("chain m#double 1", "y TensorType::Fp32 [1] [4.0]"),
            (
                "dropped m#double 1",
                "y TensorType::Fp32 [1] [2.0], y TensorType::Fp32 [1] [2.0]",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_component_of_the_older_form_runs_models_through_the_adapter() {
    let invalid = "Caller module passed an invalid argument";
    assert_said_by(
        "nn_older",
        rights(),
        &[
            ("compute m#double", "8 bytes [2.0, 5.0]"),
            (
                "contexts m@3#double",
                "4 bytes [2.0], 4 bytes [4.0], 4 bytes [8.0]",
            ),
            ("compute nobody@", invalid),
            ("compute m@4", "Not Found"),
            ("compute other", "Runtime Error"),
            ("compute m#same", "Unsupported Operation"),
            ("load", "Unsupported Operation"),
            ("integers m#double", invalid),
            ("far-input m#double", invalid),
            ("no-input m#double", invalid),
            ("two-inputs m#double", invalid),
            ("far-output m#double", invalid),
            ("small-room m#double", "Too Large"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_an_error_of_the_standard() {
    let serving_default = "ErrorCode::NotFound: model m version 3 has no signature \
                           serving_default; it has double, same (written m#signature)";
    assert_said(
        rights(),
        &[
            ("load", "ErrorCode::UnsupportedOperation: graph.load: "),
            ("load", "use graph.load-by-name, with model, model@3 or"),
            ("compute m 1", serving_default),
            (
                "compute m@4#double 1",
                "ErrorCode::NotFound: Servable not found for request: Specific(m, 4)",
            ),
            ("compute m:canary 1", "ErrorCode::NotFound: "),
            (
                "compute",
                "ErrorCode::InvalidArgument: \"\" names no model; expected model, model@3",
            ),
            (
                "compute m@three 1",
                "ErrorCode::InvalidArgument: \"m@three\" has a version that is no number",
            ),
            (
                "compute other 1",
                "ErrorCode::Security: the processor of model m may not call model other: it is \
                 not granted",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_computed_is_an_error_of_the_standard() {
    assert_said(
        rights(),
        &[
            (
                "compute m#same 1",
                "ErrorCode::UnsupportedOperation: output y is of type string, and wasi:nn has \
                 FP16, FP32, FP64, BF16, U8, I32, I64",
            ),
            (
                "integers m#double 1",
                "ErrorCode::InvalidArgument: input x: the model takes FP32 (float), got I32 \
                 (int32)",
            ),
            (
                "short m#double",
                "ErrorCode::InvalidArgument: input x: float tensor of shape [2] needs 8 bytes, \
                 got 7",
            ),
            ("huge m#double", "has too many elements"),
            (
                "deep m#double",
                "input x: a tensor has at most 254 dimensions, got 300",
            ),
            ("none m#double", "Missing but required: {x}"),
            (
                "unknown m#double 1",
                "ErrorCode::InvalidArgument: Signature input alias: x",
            ),
            (
                "twice m#double 1",
                "ErrorCode::InvalidArgument: input x is there twice",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_component_holds_of_the_standard_is_bounded() {
    let patient = Rights {
        time: Duration::from_secs(20),
        ..rights()
    };
    assert_said(
        patient.clone(),
        &[
            (
                "graphs m#double",
                "ErrorCode::RuntimeError: one request may hold 16 models open",
            ),
            (
                "contexts m#double",
                "ErrorCode::RuntimeError: one request may hold 256 resources at a time",
            ),
            (
                "outputs m#double",
                "ErrorCode::TooLarge: output y has 4194308 bytes, which is more than what is \
                 left of the 33554432 bytes of memory",
            ),
            // What it has dropped does not count.
            ("over-and-over m#double", "done"),
        ],
    )
    .await;
    // A constructor has no errors to say.
    let house = House::new("nn", patient).await;
    for (told, code, words) in [
        ("tensors", 500, "the processor of model m version 3 failed"),
        (
            "memory",
            429,
            "it needs more than the 33554432 bytes of memory that it may have \
             (limits.memory_bytes)",
        ),
    ] {
        let (status, said) = house.tell(told).await;
        assert_eq!(status, code, "{told}: {said}");
        assert!(said.contains(words), "{told}: {said}");
        house.assert_unharmed().await;
    }
}

#[tokio::test]
async fn waiting_for_a_computation_is_not_the_component_s_time() {
    let time = rights().time;
    let house = House::with("nn", rights(), Fake::waiting()).await;
    let mut call = pin!(house.tell("compute m#double 1"));
    // Longer than the component may take by itself.
    let waited = tokio::time::timeout(3 * time, call.as_mut()).await;
    assert!(waited.is_err(), "still waiting for the model");
    house.fake.let_run(1);
    let (status, said) = call.await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said, "y TensorType::Fp32 [1] [2.0]");
    house.assert_unharmed().await;
}

#[tokio::test]
async fn a_deadline_ends_a_computation() {
    let house = House::with("nn", rights(), Fake::waiting()).await;
    let deadline = Deadline::after(Duration::from_millis(100));
    let response = house
        .post("text/plain", "compute m#double 1", deadline)
        .await;
    // Component and client are told at the same time, and either may be the first.
    let told = text(&response);
    let ended = response.status == 504 || told.starts_with("ErrorCode::Timeout: ");
    assert!(ended, "{} {told}", response.status);
    house.assert_unharmed().await;
}
