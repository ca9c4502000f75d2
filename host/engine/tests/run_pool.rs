//! What a caller of the run pool can rely on, with a fake model. The clock is paused: it jumps to
//! the next timer when nothing else is left to do, so a deadline passes exactly while a run is
//! held at its gate.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tensorgate_engine::fake::{FakeModel, Gate};
use tensorgate_engine::{Call, NamedTensors, RunPool, RunPoolOptions, RunRequest};
use tensorgate_types::{DType, Deadline, Error, ErrorCode, Result, Tensor, TensorData};

fn pool(threads: usize, queue: usize) -> RunPool {
    RunPool::new(RunPoolOptions { threads, queue }).unwrap()
}

fn request(deadline: Deadline) -> RunRequest {
    let x = Tensor::from_slice(DType::FLOAT, vec![3], &[1.0f32, 2.0, 5.0]).unwrap();
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), x)],
        outputs: vec![],
    };
    RunRequest::one(call, deadline)
}

fn soon() -> Deadline {
    // Far enough for the real clock not to reach it during a test; the paused one jumps there.
    Deadline::after(Duration::from_secs(3600))
}

fn floats(outputs: &[NamedTensors]) -> Vec<f32> {
    let TensorData::Fixed(bytes) = outputs[0][0].1.data() else {
        panic!("strings");
    };
    bytes
        .chunks(4)
        .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}

/// Polls once, so that the run is handed over.
async fn hand_over<F: Future<Output = Result<Vec<NamedTensors>>>>(mut run: std::pin::Pin<&mut F>) {
    let first = std::future::poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
    assert!(first.is_pending(), "{first:?}");
}

/// Waits for what run threads do after they have answered.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn runs_a_model_and_gives_its_outputs() {
    let pool = pool(1, 1);
    let outputs = pool
        .run(Arc::new(FakeModel::new()), request(Deadline::NEVER))
        .await;
    assert_eq!(floats(&outputs.unwrap()), [2.5, 3.0, 4.5]);
    assert_eq!(pool.stats().finished, 1);
}

#[tokio::test]
async fn several_calls_are_one_run_with_a_list_of_outputs_each() {
    let pool = pool(1, 1);
    let gate = Gate::new();
    gate.open();
    let mut several = request(Deadline::NEVER);
    several.calls.push(several.calls[0].clone());
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let outputs = pool.run(model, several).await.unwrap();
    assert_eq!(outputs.len(), 2);
    assert_eq!(floats(&outputs[1..]), [2.5, 3.0, 4.5]);
    assert_eq!(gate.arrivals(), 1);
}

#[tokio::test]
async fn runs_on_a_thread_of_its_own_with_a_name() {
    let model = FakeModel::new().with_behaviour(|_| {
        let name = std::thread::current().name().unwrap_or("").to_owned();
        Err(Error::not_found(name))
    });
    let error = pool(1, 1)
        .run(Arc::new(model), request(Deadline::NEVER))
        .await
        .unwrap_err();
    assert_eq!(error.message(), "tg-run-0");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlives_its_deadline_is_reported_then_and_counted_until_it_ends() {
    let pool = pool(2, 1);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));

    let mut run = pin!(pool.run(Arc::clone(&model), request(soon())));
    hand_over(run.as_mut()).await;
    gate.wait_for_arrivals(1);
    let error = run.await.unwrap_err();

    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_eq!(error.message(), "Timed out waiting for notification");
    let stats = pool.stats();
    assert_eq!((stats.running, stats.overdue, stats.expired), (1, 1, 1));
    // The thread's handle keeps the model, though its caller has been answered.
    assert_eq!(Arc::strong_count(&model), 2);

    gate.open();
    until(|| pool.overdue() == 0 && Arc::strong_count(&model) == 1);
    assert_eq!(pool.stats().finished, 1);
}

#[tokio::test(start_paused = true)]
async fn new_work_is_refused_while_every_thread_is_overdue() {
    let pool = pool(1, 8);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let mut run = pin!(pool.run(Arc::clone(&model), request(soon())));
    hand_over(run.as_mut()).await;
    gate.wait_for_arrivals(1);
    assert!(run.await.is_err());

    let refused = pool.run(Arc::clone(&model), request(Deadline::NEVER)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert_eq!(
        refused.message(),
        "all 1 run threads are busy with runs that are past their deadline; try again later"
    );
    assert_eq!(pool.stats().refused_overdue, 1);

    gate.open();
    until(|| pool.overdue() == 0);
    let outputs = pool.run(model, request(Deadline::NEVER)).await;
    assert_eq!(floats(&outputs.unwrap()), [2.5, 3.0, 4.5]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_expires_in_the_queue_is_never_started() {
    let pool = pool(1, 8);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let mut first = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
    hand_over(first.as_mut()).await;
    gate.wait_for_arrivals(1);

    let error = pool.run(Arc::clone(&model), request(soon())).await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::DeadlineExceeded);

    gate.open();
    assert!(first.await.is_ok());
    until(|| pool.stats().skipped == 1);
    assert_eq!(gate.arrivals(), 1);
}

#[tokio::test]
async fn a_deadline_that_has_passed_starts_nothing() {
    let pool = pool(1, 1);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let error = pool
        .run(model, request(Deadline::after(Duration::ZERO)))
        .await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::DeadlineExceeded);
    assert_eq!(gate.arrivals(), 0);
}

#[tokio::test]
async fn a_fraction_of_a_millisecond_is_a_limit_too() {
    let pool = pool(1, 1);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    // Ends only if the limit holds: nobody opens the gate.
    let limit = Deadline::after(Duration::from_micros(900));
    let error = pool.run(model, request(limit)).await;
    assert_eq!(error.unwrap_err().code(), ErrorCode::DeadlineExceeded);
    gate.open();
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_waiting_run_along() {
    let pool = pool(1, 8);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let mut first = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
    hand_over(first.as_mut()).await;
    gate.wait_for_arrivals(1);
    {
        let mut second = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
        hand_over(second.as_mut()).await;
    }
    gate.open();
    assert!(first.await.is_ok());
    until(|| pool.stats().skipped == 1);
    assert_eq!(gate.arrivals(), 1);
}

#[tokio::test]
async fn refuses_when_the_queue_is_full_and_says_how_full() {
    let pool = pool(1, 1);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    let mut running = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
    hand_over(running.as_mut()).await;
    gate.wait_for_arrivals(1);
    let mut waiting = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
    hand_over(waiting.as_mut()).await;

    let refused = pool.run(Arc::clone(&model), request(Deadline::NEVER)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert_eq!(
        refused.message(),
        "the run queue is full: 1 runs wait for 1 threads; try again later"
    );
    let stats = pool.stats();
    assert_eq!((stats.queued, stats.refused_queue_full), (1, 1));

    gate.open();
    assert!(running.await.is_ok());
    assert!(waiting.await.is_ok());
}

#[tokio::test]
async fn a_panic_is_that_requests_error_and_the_thread_lives_on() {
    let pool = pool(1, 1);
    let model = FakeModel::new().with_behaviour(|_| panic!("kernel went mad"));
    let error = pool
        .run(Arc::new(model), request(Deadline::NEVER))
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(error.message(), "the run of the model failed unexpectedly");
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("kernel went mad"));

    let outputs = pool
        .run(Arc::new(FakeModel::new()), request(Deadline::NEVER))
        .await;
    assert_eq!(floats(&outputs.unwrap()), [2.5, 3.0, 4.5]);
    assert_eq!(pool.stats().panicked, 1);
}

#[tokio::test]
async fn an_error_of_the_model_passes_through() {
    let model = FakeModel::new().with_behaviour(|_| Err(Error::unimplemented("no such kernel")));
    let error = pool(1, 1)
        .run(Arc::new(model), request(Deadline::NEVER))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "UNIMPLEMENTED: no such kernel");
}

#[tokio::test]
async fn dropping_the_pool_ends_idle_threads_and_lets_busy_ones_finish() {
    let pool = pool(2, 8);
    let gate = Gate::new();
    let model = Arc::new(FakeModel::new().with_gate(&gate));
    {
        let mut run = pin!(pool.run(Arc::clone(&model), request(Deadline::NEVER)));
        hand_over(run.as_mut()).await;
        gate.wait_for_arrivals(1);
    }
    // Comes back though the run is still held at the gate.
    drop(pool);
    assert_eq!(Arc::strong_count(&model), 2);
    gate.open();
    until(|| Arc::strong_count(&model) == 1);
}
