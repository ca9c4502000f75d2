//! Deadlines and handles with a model that takes its time, on the run pool.

use std::sync::Arc;
use std::time::Duration;

use tensorgate_engine::{Predictor, RunPool, RunPoolOptions, RunRequest};
use tensorgate_tensorflow::SavedModel;
use tensorgate_types::{DType, Deadline, ErrorCode};

use crate::support::{floats, load, numbers, output, request, tensor};

/// More steps than anybody waits for.
const ENDLESS: i64 = i64::MAX;

fn pool(threads: usize) -> RunPool {
    RunPool::new(RunPoolOptions { threads, queue: 8 }).unwrap()
}

fn steps(steps: i64, deadline: Deadline) -> RunRequest {
    RunRequest {
        deadline,
        ..request(
            "serving_default",
            &[("steps", tensor(DType::INT64, &[], &[steps]))],
        )
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_loop_is_stopped_by_tensorflow_at_the_deadline() {
    let pool = pool(1);
    let model = Arc::new(load("slow"));
    let quick = pool
        .run(Arc::clone(&model), steps(10, Deadline::NEVER))
        .await
        .unwrap();
    assert_eq!(numbers::<i64>(output(&quick[0], "steps")), [10]);

    let soon = Deadline::after(Duration::from_millis(50));
    let error = pool
        .run(Arc::clone(&model), steps(ENDLESS, soon))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "DEADLINE_EXCEEDED: Timed out waiting for notification"
    );
    // It would go on for ever if TensorFlow did not know of the deadline.
    until(|| pool.stats().running == 0 && pool.overdue() == 0).await;
    let again = pool.run(model, steps(10, Deadline::NEVER)).await.unwrap();
    assert_eq!(numbers::<i64>(output(&again[0], "steps")), [10]);
}

#[test]
fn the_session_itself_says_that_the_time_is_up() {
    let model = load("slow");
    let error = model
        .run(&steps(ENDLESS, Deadline::after(Duration::from_millis(20))))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "DEADLINE_EXCEEDED: Timed out waiting for notification"
    );
    let passed = model.run(&steps(1, Deadline::after(Duration::ZERO)));
    assert_eq!(passed.unwrap_err().code(), ErrorCode::DeadlineExceeded);
    let in_time = model
        .run(&steps(3, Deadline::after(Duration::from_secs(60))))
        .unwrap();
    assert_eq!(numbers::<i64>(output(&in_time[0], "steps")), [3]);
}

#[tokio::test]
async fn one_long_operation_answers_at_the_deadline_and_keeps_its_thread_and_its_model() {
    let pool = pool(1);
    let model = Arc::new(load("slow"));
    let weak = Arc::downgrade(&model);
    let wanted = RunRequest {
        deadline: Deadline::after(Duration::from_millis(5)),
        ..request("one_op", &[("size", tensor(DType::INT32, &[], &[2000]))])
    };
    // The only handle: the run must keep the model alive until its kernel has ended.
    let error = pool.run(model, wanted).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    until(|| weak.strong_count() == 0 && pool.stats().running == 0).await;
    assert_eq!(pool.overdue(), 0);
}

#[tokio::test]
async fn a_model_is_unloaded_when_its_last_run_has_ended() {
    let pool = pool(2);
    let model: Arc<SavedModel> = Arc::new(load("slow"));
    let weak = Arc::downgrade(&model);
    let soon = Deadline::after(Duration::from_millis(100));
    let runs = [
        pool.run(Arc::clone(&model), steps(ENDLESS, soon)),
        pool.run(model, steps(ENDLESS, soon)),
    ];
    for run in runs {
        assert_eq!(run.await.unwrap_err().code(), ErrorCode::DeadlineExceeded);
    }
    until(|| weak.strong_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_a_model() {
    let pool = Arc::new(pool(2));
    let model = Arc::new(load("unknown_rank"));
    let callers = (0u16..8).map(|caller| {
        let (pool, model) = (Arc::clone(&pool), Arc::clone(&model));
        tokio::spawn(async move {
            for round in 0..200u16 {
                let value = f32::from(caller * 1000 + round);
                let wanted = request("serving_default", &[("x", floats(&[2], &[value, 1.0]))]);
                let outputs = pool.run(Arc::clone(&model), wanted).await.unwrap();
                assert_eq!(
                    numbers::<f32>(output(&outputs[0], "doubled")),
                    [2.0 * value, 2.0]
                );
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(pool.stats().finished, 1600);
    assert_eq!(model.signatures().len(), 1);
}
