//! Programs that are broken or mean it badly. Each costs its own request an error, and ordinary
//! requests on the same engine, and here on the same thread, are answered meanwhile.

use std::net::TcpListener;
use std::time::Duration;

use tensorgate_edge::{EdgeError, EdgeLimits};
use tensorgate_types::{Deadline, ErrorCode};

use crate::fake::Fake;
use crate::harness::{Sandbox, limits, request, text};

#[tokio::test]
async fn an_endless_loop_uses_up_its_time() {
    let limits = EdgeLimits {
        guest_time: Duration::from_millis(500),
        ..limits()
    };
    let sandbox = Sandbox::with("endless_loop", limits, Fake::ready()).await;
    for path in ["/", "/calls", "/model"] {
        let result = sandbox.call_beside_ordinary(path, Deadline::NEVER).await;
        let error = result.expect_err("it does not end");
        assert!(matches!(error, EdgeError::OutOfTime { .. }), "{error:?}");
        assert_eq!(error.code(), ErrorCode::Internal);
    }
    assert_eq!(sandbox.engine.stats().out_of_time, 3);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn an_endless_loop_is_cut_at_its_deadline() {
    let limits = EdgeLimits {
        guest_time: Duration::from_secs(600),
        ..limits()
    };
    let sandbox = Sandbox::with("endless_loop", limits, Fake::ready()).await;
    let deadline = Deadline::after(Duration::from_millis(100));
    let result = sandbox.call_beside_ordinary("/", deadline).await;
    assert_eq!(result, Err(EdgeError::DeadlinePassed));
    assert_eq!(sandbox.engine.stats().deadlines, 1);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn deep_recursion_ends_with_the_stack() {
    let sandbox = Sandbox::new("deep_recursion").await;
    let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
    let error = result.expect_err("there is no end");
    assert!(
        matches!(error, EdgeError::StackOverflow { .. }),
        "{error:?}"
    );
    assert_eq!(sandbox.engine.stats().stack_overflows, 1);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_memory_bomb_meets_its_limit() {
    let sandbox = Sandbox::new("memory_bomb").await;
    let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
    let error = result.expect_err("there is not that much");
    assert!(matches!(error, EdgeError::OutOfMemory { .. }), "{error:?}");
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
    assert_eq!(sandbox.engine.stats().out_of_memory, 1);

    let (status, held) = sandbox.answer("/polite", b"").await;
    assert_eq!(status, 200);
    let held: usize = held.trim_end_matches(" MiB").parse().expect("a number");
    assert!((32..64).contains(&held), "{held} of 64 MiB");
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn outputs_beyond_a_component_s_memory_are_out_of_memory_however_large() {
    // For the larger ones its allocator gives up before it asks for memory.
    for bytes in [65 << 20, 3 << 30, 5 << 30] {
        let sandbox = Sandbox::new("echo").await;
        sandbox.fake.puff(bytes);
        let result = sandbox
            .call_beside_ordinary("/predict", Deadline::NEVER)
            .await;
        let error = result.expect_err("there is not that much");
        let EdgeError::OutOfMemory { answering, .. } = error else {
            panic!("{bytes}: {error:?}");
        };
        assert!(answering);
    }
}

#[tokio::test]
async fn a_trap_tells_the_log_why_and_the_client_nothing() {
    let sandbox = Sandbox::new("traps").await;
    for path in ["/panic", "/abort", "/exit", "/out-of-bounds"] {
        let result = sandbox.call_beside_ordinary(path, Deadline::NEVER).await;
        let error = result.expect_err("it trapped");
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(error.public_message(), "the request handler failed");
        let EdgeError::Trap { fault } = error else {
            panic!("{path}: {error:?}");
        };
        assert_eq!(
            fault.output.contains("the program says why"),
            path == "/panic",
            "{fault:?}"
        );
    }
    assert_eq!(sandbox.engine.stats().traps, 4);
    assert_eq!(sandbox.answer("/", b"").await, (200, "fine".to_owned()));
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_the_component_s_fault() {
    let sandbox = Sandbox::new("huge_output").await;
    for path in [
        "/headers",
        "/header-size",
        "/header-name",
        "/header-value",
        "/header-reserved",
        "/status",
    ] {
        let result = sandbox.call_beside_ordinary(path, Deadline::NEVER).await;
        let error = result.expect_err("nobody can send that");
        assert!(matches!(error, EdgeError::BadResponse(_)), "{error:?}");
        assert_eq!(error.code(), ErrorCode::Internal);
    }
    let error = sandbox.call("/body").await.expect_err("too large");
    assert!(
        matches!(error, EdgeError::ResponseTooLarge { .. }),
        "{error:?}"
    );
    let stats = sandbox.engine.stats();
    assert_eq!((stats.bad_responses, stats.large_responses), (6, 1));
    assert_eq!(sandbox.answer("/", b"").await, (200, "fine".to_owned()));
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_it_is_copied() {
    static BODY: [u8; 17 << 20] = [0; 17 << 20];
    let sandbox = Sandbox::new("echo").await;
    let result = sandbox
        .gateway
        .handle(request("/", &BODY), Deadline::NEVER)
        .await;
    let error = result.expect_err("too large");
    assert!(
        matches!(error, EdgeError::RequestTooLarge { .. }),
        "{error:?}"
    );
    let stats = sandbox.engine.stats();
    assert_eq!((stats.refused_large, stats.bytes_to_guests), (1, 0));
}

#[tokio::test]
async fn handles_that_a_component_does_not_own_are_a_trap() {
    let sandbox = Sandbox::new("foreign_handles").await;
    assert_eq!(sandbox.answer("/own", b"").await, (200, "3".to_owned()));
    for path in [
        "/zero",
        "/next",
        "/far",
        "/last",
        "/dropped",
        "/dropped-twice",
        "/drop-foreign",
    ] {
        let result = sandbox.call_beside_ordinary(path, Deadline::NEVER).await;
        let error = result.expect_err("not its handle");
        assert!(matches!(error, EdgeError::Trap { .. }), "{path}: {error:?}");
        assert_eq!(sandbox.fake.held(), 0, "{path}");
    }
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_request_holds_only_so_many_models() {
    let sandbox = Sandbox::new("many_models").await;
    let result = sandbox.call_beside_ordinary("/keep", Deadline::NEVER).await;
    assert_eq!(
        text(&result.expect("an answer")),
        "opened 16, refused Some(\"ErrorCode::ResourceExhausted\")"
    );
    assert_eq!(
        sandbox.answer("/drop", b"").await,
        (200, "opened 5000, refused None".to_owned())
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_component_has_no_files_no_network_and_no_environment() {
    // A real listener, so that a connection would succeed if it were allowed.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let sandbox = Sandbox::new("wasi_everything").await;
    let address: &'static str = address.leak();
    let (status, text) = sandbox.answer("/", address.as_bytes()).await;
    assert_eq!(status, 200);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "read denied",
            "read here denied",
            "list denied",
            "write denied",
            "connect denied",
            "listen denied",
            "send denied",
            "look up denied",
            "variables 0",
            "arguments 0",
            "stdin 0",
            "time true",
            "elapsed true",
            "random 1",
        ]
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn megabytes_of_output_are_swallowed_and_their_end_is_kept() {
    let sandbox = Sandbox::new("prints").await;
    let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
    assert_eq!(text(&result.expect("an answer")), "8192");
    let error = sandbox.call("/panic").await.expect_err("it panicked");
    let EdgeError::Trap { fault } = error else {
        panic!("{error:?}");
    };
    assert!(fault.output.contains("after 8192 lines"), "{fault:?}");
    assert!(fault.output.len() <= 4096);
    sandbox.assert_unharmed().await;
}
