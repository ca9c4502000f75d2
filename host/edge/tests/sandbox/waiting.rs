//! Requests that wait: for a slot, for a model, for nothing.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use tensorgate_edge::{EdgeError, EdgeLimits, GrpcRequest, RestRequest};
use tensorgate_types::Deadline;

use crate::fake::Fake;
use crate::harness::{Sandbox, limits, request};

fn predict() -> RestRequest {
    request("/predict", b"\0\0\x80?")
}

async fn one_slot() -> Sandbox {
    let limits = EdgeLimits {
        slots: 1,
        waiting: 1,
        ..limits()
    };
    Sandbox::with("echo", limits, Fake::waiting()).await
}

/// Lets a request go as far as it can.
async fn start<F: Future>(mut request: Pin<&mut F>, sandbox: &Sandbox, occupancy: (usize, usize)) {
    while sandbox.engine.occupancy() != occupancy {
        let mut context = Context::from_waker(Waker::noop());
        assert!(request.as_mut().poll(&mut context).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_house_has_a_line_and_a_full_line_is_unavailable() {
    let sandbox = one_slot().await;
    let mut first = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
    start(first.as_mut(), &sandbox, (1, 0)).await;
    let mut second = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
    start(second.as_mut(), &sandbox, (1, 1)).await;

    let third = sandbox.gateway.handle(predict(), Deadline::NEVER).await;
    let refused = third.expect_err("no room");
    assert_eq!(
        refused,
        EdgeError::Full {
            slots: 1,
            waiting: 1
        }
    );
    assert_eq!(refused.code().http_status(), 503);

    sandbox.fake.let_run(2);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.expect("an answer").status, 200);
    assert_eq!(second.expect("an answer").status, 200);
    assert_eq!(sandbox.engine.stats().refused_full, 1);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn rest_may_have_some_of_the_slots_and_leaves_the_others() {
    let limits = EdgeLimits {
        slots: 2,
        rest_slots: 1,
        waiting: 0,
        ..limits()
    };
    let sandbox = Sandbox::with("echo", limits, Fake::waiting()).await;
    let mut first = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
    start(first.as_mut(), &sandbox, (1, 0)).await;
    let second = sandbox.gateway.handle(predict(), Deadline::NEVER).await;
    let refused = EdgeError::Full {
        slots: 1,
        waiting: 0,
    };
    assert_eq!(second.err(), Some(refused));
    let call = GrpcRequest::default();
    let answer = sandbox.gateway.handle_grpc(call, Deadline::NEVER).await;
    assert!(answer.is_ok(), "{answer:?}");
    sandbox.fake.let_run(1);
    assert_eq!(first.await.expect("an answer").status, 200);
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_line_is_unavailable() {
    let sandbox = one_slot().await;
    let mut first = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
    start(first.as_mut(), &sandbox, (1, 0)).await;

    let deadline = Deadline::after(Duration::from_millis(1));
    let second = sandbox.gateway.handle(predict(), deadline).await;
    let refused = second.expect_err("no room in time");
    assert_eq!(refused, EdgeError::NoSlotInTime { slots: 1 });
    assert_eq!(refused.code().http_status(), 503);
    assert_eq!(sandbox.engine.stats().refused_late, 1);
}

#[tokio::test]
async fn a_caller_that_leaves_gives_back_slot_and_model() {
    let sandbox = one_slot().await;
    {
        let mut first = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
        start(first.as_mut(), &sandbox, (1, 0)).await;
        while sandbox.fake.held() == 0 {
            let mut context = Context::from_waker(Waker::noop());
            assert!(first.as_mut().poll(&mut context).is_pending());
        }
    }
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn a_deadline_that_passes_in_a_model_is_told_to_the_component() {
    let sandbox = Sandbox::with("echo", limits(), Fake::waiting()).await;
    let deadline = Deadline::after(Duration::from_millis(100));
    let response = sandbox.gateway.handle(predict(), deadline).await;
    let response = response.expect("the component's own words");
    assert_eq!(response.status, 400);
    assert_eq!(
        response.body,
        "ErrorCode::DeadlineExceeded: Timed out waiting for notification"
    );
    sandbox.assert_unharmed().await;
}

#[tokio::test]
async fn waiting_for_a_model_does_not_use_up_the_component_s_time() {
    let limits = EdgeLimits {
        guest_time: Duration::from_millis(300),
        ..limits()
    };
    let sandbox = Sandbox::with("echo", limits.clone(), Fake::waiting()).await;
    let mut call = pin!(sandbox.gateway.handle(predict(), Deadline::NEVER));
    // Longer than the component may take by itself.
    let waited = tokio::time::timeout(2 * limits.guest_time, call.as_mut()).await;
    assert!(waited.is_err(), "still waiting for the model");
    sandbox.fake.let_run(1);
    assert_eq!(call.await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_program_that_sleeps_too_long_uses_up_its_time() {
    let limits = EdgeLimits {
        guest_time: Duration::from_millis(300),
        ..limits()
    };
    let sandbox = Sandbox::with("sleeper", limits, Fake::ready()).await;
    let awake = sandbox.call("/short").await;
    assert_eq!(awake.expect("an answer").body, "awake");
    let result = sandbox.call_beside_ordinary("/", Deadline::NEVER).await;
    let error = result.expect_err("it sleeps for a year");
    assert!(matches!(error, EdgeError::OutOfTime { .. }), "{error:?}");
    assert_eq!(error.code().http_status(), 500);

    let deadline = Deadline::after(Duration::from_millis(50));
    let result = sandbox.call_beside_ordinary("/", deadline).await;
    assert_eq!(result, Err(EdgeError::DeadlinePassed));
    sandbox.assert_unharmed().await;
}
