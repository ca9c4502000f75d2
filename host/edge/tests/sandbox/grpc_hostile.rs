//! gRPC calls of programs that are broken or mean it badly. Each costs its own request an error.

use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{EdgeError, EdgeLimits};
use tensorgate_types::{ErrorCode, ModelVersionPolicy};

use crate::fake::Fake;
use crate::harness::{Sandbox, limits};

#[tokio::test]
async fn ranges_beyond_the_message_are_refused_by_name() {
    let sandbox = Sandbox::new("ranges").await;
    let max = u64::MAX;
    let cases = [
        ("read 0 11".to_owned(), "no 11 bytes from 0"),
        ("read 11 0".to_owned(), "no 0 bytes from 11"),
        (
            format!("read {max} 1"),
            "no 1 bytes from 18446744073709551615",
        ),
        (
            "run same 0 12 0".to_owned(),
            "input x: the message has 10 bytes, and no 12 bytes from 0",
        ),
        ("run same 8 4 0".to_owned(), "no 4 bytes from 8"),
        (
            format!("run same {max} 4 0"),
            "no 4 bytes from 18446744073709551615",
        ),
        (
            format!("run same 4 {max} 0"),
            "no 18446744073709551615 bytes from 4",
        ),
        (
            "strings 0 1 9 2".to_owned(),
            "input x: the message has 10 bytes, and no 2 bytes from 9",
        ),
        (
            format!("strings {max} {max}"),
            "no 18446744073709551615 bytes",
        ),
    ];
    let refused = cases.len() as u64;
    for (method, expected) in cases {
        let error = sandbox.grpc(&method, &b"0123456789"[..]).await;
        let error = error.expect_err(&method);
        assert!(error.message().contains(expected), "{method}: {error}");
        assert_eq!(error.code(), ErrorCode::OutOfRange, "{method}: {error}");
    }
    assert_eq!(sandbox.engine.stats().refused_calls, refused);
    let error = sandbox.grpc("read 0 1048577", vec![0; 2 << 20]).await;
    let error = error.expect_err("too much at a time");
    assert_eq!(
        error.message(),
        "at most 1048576 bytes are read at a time, got 1048577"
    );
    let whole = sandbox.grpc("read 5 1048576", vec![0; 2 << 20]).await;
    assert_eq!(whole.map(|bytes| bytes.len()).unwrap(), 1 << 20);
    // As many bytes as there are, and not as many as the tensor needs.
    let error = sandbox.grpc("run same 0 10 0", &b"0123456789"[..]).await;
    assert_eq!(
        error.expect_err("2 floats").message(),
        "input x: float tensor of shape [2] needs 2 times 4 bytes, got 10"
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn lies_about_calls_are_values_that_name_the_limit() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let cases = [
        (
            "a-million-ranges",
            "may take 68108864 bytes of copies from its message",
        ),
        (
            "a-million-ranges-for-one-string",
            "1 strings need as many parts of the message",
        ),
        (
            "copies-of-the-message",
            "may take 68108864 bytes of copies from its message",
        ),
        ("too-many-calls", "one run takes 1 to 256 calls, got 1000"),
        ("no-calls", "one run takes 1 to 256 calls, got 0"),
        ("hold-for-ever", "the server sends at most 50331648"),
        ("unheard-of", "this program knows no unheard-of"),
    ];
    for (method, expected) in cases {
        let call = sandbox.call_grpc(method, vec![0; 1_000_000]);
        let answer = sandbox.beside_ordinary(call).await.expect(method);
        let error = answer.expect_err(method);
        assert!(error.message().contains(expected), "{method}: {error}");
    }
    let believed = sandbox.grpc("a-million-empty-ranges", Bytes::new()).await;
    assert_eq!(believed.unwrap(), b"believed");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn an_answer_of_what_is_not_there_is_the_component_s_fault() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let held = sandbox.grpc("hold", &b"held"[..]).await;
    assert_eq!(held.unwrap(), b"held");
    let cases = [
        ("held-never-given", "none of the number 7"),
        (
            "held-of-another",
            "0 outputs with the host, and none of the number 0",
        ),
        (
            "range-beyond",
            "the message has 4 bytes, and no 4 bytes from 1",
        ),
        ("range-overflows", "no 18446744073709551615 bytes"),
        ("too-many-chunks", "16384 pieces, got 100000"),
    ];
    for (method, expected) in cases {
        let call = sandbox.call_grpc(method, &b"1234"[..]);
        let error = sandbox.beside_ordinary(call).await.expect_err(method);
        let EdgeError::BadResponse(what) = &error else {
            panic!("{method}: {error:?}");
        };
        assert!(what.contains(expected), "{method}: {what}");
        assert_eq!(error.code(), ErrorCode::Internal);
    }
    let error = sandbox.call_grpc("message-often", vec![0; 1 << 20]).await;
    assert_eq!(
        error.expect_err("too large"),
        EdgeError::ResponseTooLarge {
            size: 100 << 20,
            limit: limits().grpc_response_bytes
        }
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_loop_in_a_call_uses_up_its_time_and_a_trap_ends_it() {
    let limits = EdgeLimits {
        guest_time: Duration::from_millis(300),
        ..limits()
    };
    let sandbox = Sandbox::with("grpc_hostile", limits, Fake::ready()).await;
    for method in ["loop", "loop-of-reads"] {
        let call = sandbox.call_grpc(method, vec![0; 1000]);
        let error = sandbox.beside_ordinary(call).await.expect_err(method);
        assert!(matches!(error, EdgeError::OutOfTime { .. }), "{error:?}");
    }
    let call = sandbox.call_grpc("trap", Bytes::new());
    let error = sandbox.beside_ordinary(call).await.expect_err("a trap");
    assert_eq!(error.public_message(), "the request handler failed");
    let EdgeError::Trap { fault } = error else {
        panic!("{error:?}");
    };
    assert!(fault.output.contains("the program says why"));
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_status_is_cut_to_what_clients_take() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let error = sandbox.grpc("long-status", Bytes::new()).await;
    let error = error.expect_err("a status");
    assert_eq!(error.code(), ErrorCode::Aborted);
    assert!(error.message().ends_with("xxx...TRUNCATED"));
    assert!(error.message().len() < 8 << 10);
}

#[tokio::test]
async fn a_request_changes_the_configuration_once() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let answer = sandbox.grpc("reload-often", Bytes::new()).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer),
        r#"Ok([("/a", 1)]), then 1000 refused"#
    );
    let reloads = sandbox.fake.reloads();
    assert_eq!(reloads.len(), 1);
    let config = &reloads[0].as_ref().expect("a list")[0];
    assert_eq!(config.base_path, "/models/m");
    assert_eq!(
        config.version_policy,
        Some(ModelVersionPolicy::Specific(vec![1, 2]))
    );
    assert_eq!(config.version_labels, [("stable".to_owned(), 1)]);
    assert_eq!(sandbox.engine.stats().refused_calls, 1000);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_request_is_drawn_once_and_written_down_once() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let message = Bytes::from_static(b"message");
    let answer = sandbox.grpc("log-often", message.clone()).await.unwrap();
    assert_eq!(answer, b"drawn 1000 times");
    assert_eq!(sandbox.fake.draws(), 1);
    let entries = sandbox.fake.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].model, "m");
    assert_eq!(entries[0].request[0].as_ptr(), message.as_ptr());
    assert_eq!(entries[0].response, ["answer"]);
    // The one before it was asked, and all after the first.
    assert_eq!(sandbox.engine.stats().refused_calls, 1000);
}

#[tokio::test]
async fn a_component_knows_what_the_operator_has_set() {
    let sandbox = Sandbox::new("grpc_hostile").await;
    let answer = sandbox.grpc("settings", Bytes::new()).await.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "Settings { tensor-content: true, check-method-names: false }"
    );
}
