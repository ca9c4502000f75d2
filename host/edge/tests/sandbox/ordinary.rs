//! Programs that behave.

use std::sync::Arc;

use tensorgate_edge::{EdgeLimits, RestRequest};
use tensorgate_types::Deadline;

use crate::fake::Fake;
use crate::harness::{Sandbox, limits, request};

#[tokio::test]
async fn a_request_goes_in_whole_and_its_answer_comes_out_whole() {
    let sandbox = Sandbox::new("echo").await;
    let response = sandbox
        .gateway
        .handle(request("/a?b=c", b"12345"), Deadline::NEVER)
        .await
        .expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(
        response.headers,
        [("content-type".to_owned(), "text/plain".to_owned())]
    );
    assert_eq!(
        response.body,
        "POST /a?b=c [content-type=text/plain] 5 bytes"
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn each_byte_of_a_tensor_is_copied_once() {
    let sandbox = Sandbox::new("echo").await;
    let floats: Vec<u8> = (0..250_000)
        .flat_map(|i| (i as f32).to_le_bytes())
        .collect();
    let expected: Vec<u8> = (0..250_000)
        .flat_map(|i| (i as f32 * 2.0).to_le_bytes())
        .collect();
    let before = sandbox.engine.stats();
    let call = RestRequest {
        path: "/predict".to_owned(),
        body: floats.into(),
        ..RestRequest::default()
    };
    let response = sandbox.gateway.handle(call, Deadline::NEVER).await;
    assert_eq!(response.expect("an answer").body, expected);
    let after = sandbox.engine.stats();
    // In: the request with its path, the outputs. Out: the inputs, the answer's body.
    assert_eq!(after.bytes_to_guests - before.bytes_to_guests, 2_000_008);
    assert_eq!(
        after.bytes_from_guests - before.bytes_from_guests,
        2_000_000
    );
}

#[tokio::test]
async fn strings_of_any_bytes_go_to_a_model_and_come_back() {
    let sandbox = Sandbox::new("echo").await;
    assert_eq!(
        sandbox.answer("/strings", b"a\n\nbc\xff").await,
        (200, "[0, 1, 1, 4] [97, 98, 99, 255]".to_owned())
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_component_learns_what_a_model_takes_and_gives() {
    let sandbox = Sandbox::new("echo").await;
    let (status, text) = sandbox.answer("/signature", b"").await;
    assert_eq!(status, 200);
    for part in [
        "method-name: \"tensorflow/serving/predict\"",
        "name: \"x\", dtype: 1, shape: Some([-1])",
        "strict-shapes: false",
        " true ",
        "double:5,same:0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (status, text) = sandbox.answer("/status", b"").await;
    assert_eq!(status, 200);
    assert!(
        text.contains("version: 3, state: 30, error: None"),
        "{text}"
    );
    assert!(
        text.contains("version: 2, state: 50, error: Some"),
        "{text}"
    );
    assert!(text.contains("damaged"), "{text}");
}

#[tokio::test]
async fn a_model_s_error_is_a_value_for_the_component() {
    let sandbox = Sandbox::new("echo").await;
    assert_eq!(sandbox.answer("/open/m", b"").await, (200, "3".to_owned()));
    let (status, text) = sandbox.answer("/open/other", b"").await;
    assert_eq!(status, 400);
    assert_eq!(
        text,
        "ErrorCode::NotFound: Servable not found for request: other/labels/stable"
    );
}

#[tokio::test]
async fn a_request_is_reported_once_and_with_short_names() {
    let sandbox = Sandbox::new("echo").await;
    sandbox.answer("/x", b"").await;
    let reports = sandbox.fake.reports();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].rows, 1);
    assert_eq!(reports[0].version, Some(3));
    assert_eq!(reports[0].model, "é".repeat(128));
}

#[tokio::test]
async fn no_instance_serves_twice() {
    let sandbox = Sandbox::new("echo").await;
    for _ in 0..20 {
        assert_eq!(sandbox.answer("/count", b"").await, (200, "1".to_owned()));
    }
    let stats = sandbox.engine.stats();
    assert_eq!((stats.requests, stats.instances), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_slots_are_all_answered() {
    let limits = EdgeLimits {
        slots: 2,
        waiting: 200,
        ..limits()
    };
    let sandbox = Arc::new(Sandbox::with("echo", limits, Fake::ready()).await);
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let sandbox = Arc::clone(&sandbox);
            tokio::spawn(async move { sandbox.call("/count").await })
        })
        .collect();
    for call in calls {
        let response = call.await.expect("no panic").expect("an answer");
        assert_eq!(response.body, "1");
    }
    assert_eq!(sandbox.engine.stats().instances, 200);
    sandbox.assert_unharmed().await;
}
