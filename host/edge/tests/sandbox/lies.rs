//! Tensors that are not what they say. What bindings can express is told to the component as an
//! error value; what breaks the rules of the component model is a trap.

use tensorgate_edge::EdgeError;
use tensorgate_types::Deadline;

use crate::harness::Sandbox;

#[tokio::test]
async fn a_tensor_that_lies_is_an_error_value() {
    let sandbox = Sandbox::new("lies").await;
    assert_eq!(
        sandbox.answer("/none", b"").await,
        (200, "believed".to_owned())
    );
    let cases = [
        (
            "short-data",
            "input x: float tensor of shape [2] needs 2 times 4 bytes, got 7",
        ),
        (
            "long-data",
            "input x: float tensor of shape [2] needs 2 times 4 bytes, got 12",
        ),
        ("overflowing-shape", "has too many elements"),
        ("overflowing-bytes", "got 0"),
        ("huge-shape", "got 8"),
        ("negative-dimension", "has the negative dimension -1"),
        ("high-rank", "a tensor has at most 254 dimensions, got 300"),
        (
            "unknown-dtype",
            "a tensor cannot be of type unknown dtype enum (77)",
        ),
        ("resource-dtype", "a tensor cannot be of type resource"),
        (
            "huge-dtype",
            "a tensor cannot be of type unknown dtype enum",
        ),
        ("fixed-strings", "a string tensor needs strings"),
        (
            "wrong-name",
            "Signature input alias: x(feed name: x:0) not found",
        ),
        ("twice", "input size does not match signature"),
        ("no-inputs", "Missing but required: {x}."),
        ("too-many-inputs", "at most 4096 inputs, got 5000"),
        ("too-many-outputs", "at most 4096 outputs, got 5000"),
        (
            "no-such-signature",
            "FailedPrecondition: Serving signature key \"nothing\" not found.",
        ),
        (
            "strings-for-floats",
            "float tensor needs elements of a fixed size",
        ),
        ("offsets-backwards", "InvalidArgument"),
        ("offsets-beyond", "InvalidArgument"),
        ("offsets-not-to-the-end", "InvalidArgument"),
        ("offsets-not-from-zero", "InvalidArgument"),
        (
            "too-few-offsets",
            "2 strings need one offset more than that, got 2",
        ),
        (
            "no-offsets",
            "2 strings need one offset more than that, got 0",
        ),
        (
            "many-strings",
            "strings need one offset more than that, got 2",
        ),
    ];
    for (lie, expected) in cases {
        let (status, text) = sandbox.answer(&format!("/{lie}"), b"").await;
        assert_eq!(status, 400, "{lie}: {text}");
        assert!(text.contains(expected), "{lie}: {text}");
    }
    let refused = sandbox.engine.stats().refused_calls;
    assert_eq!(refused, cases.len() as u64);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn pointers_beyond_a_component_s_memory_are_a_trap() {
    let sandbox = Sandbox::new("raw_lies").await;
    assert_eq!(
        sandbox.answer("/none", b"").await,
        (200, "believed".to_owned())
    );
    for lie in [
        "/data-beyond-memory",
        "/data-wraps-around",
        "/shape-beyond-memory",
        "/shape-not-aligned",
        "/inputs-beyond-memory",
        "/name-beyond-memory",
        "/name-not-utf8",
        "/signature-not-utf8",
        "/no-such-case",
        "/same-bytes-often",
    ] {
        let result = sandbox.call_beside_ordinary(lie, Deadline::NEVER).await;
        let error = result.expect_err(lie);
        assert!(matches!(error, EdgeError::Trap { .. }), "{lie}: {error:?}");
    }
    sandbox.assert_unharmed().await;
}
