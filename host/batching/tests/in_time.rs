//! Who cannot be answered in time is told so at once, and nobody else is.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

use std::time::Duration;

use common::{House, call, values};
use tensorgate_batching::LaneOptions;
use tensorgate_engine::Call;
use tensorgate_types::{Deadline, ErrorCode, Priority};

#[tokio::test]
async fn who_cannot_be_answered_in_time_is_refused_early() {
    let house = House::with_behaviour(LaneOptions::default(), |call| {
        std::thread::sleep(Duration::from_millis(100));
        common::half_plus_two(call)
    });
    house.gate.open();
    // The first run says nothing of those to come.
    house.send(call(&[1.0])).await.unwrap();
    house.send(call(&[1.0])).await.unwrap();
    let soon = Deadline::after(Duration::from_millis(10));
    let error = house.send_until(call(&[1.0]), soon).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
    assert_eq!(
        error.message(),
        "Run() timeout exceeded while waiting in batching queue"
    );
    assert_eq!(house.runs(), [1, 1]);
}

/// Runs `call` often enough for the belt to know how long it takes, and then holds the thread.
async fn known(house: &House, call: Call) {
    // The first run does not count.
    house.gate.allow(3);
    for _ in 0..3 {
        house.send(call.clone()).await.unwrap();
    }
    drop(house.send(common::call(&[-1.0])));
    while house.gate.arrivals() < 4 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_behind_too_many_is_refused_early() {
    let house = House::with_behaviour(
        LaneOptions {
            max_batch_size: 2,
            max_enqueued_batches: 1000,
            ..LaneOptions::default()
        },
        |call| {
            // Nothing but the first runs is waited for.
            if values(&call.inputs[0].1)[0] > 0.0 {
                std::thread::sleep(Duration::from_millis(50));
            }
            common::half_plus_two(call)
        },
    );
    known(&house, call(&[1.0, 1.0])).await;
    let waiting: Vec<_> = (0..400).map(|_| house.send(call(&[0.0, 0.0]))).collect();
    house.until_queued(400).await;
    // 400 runs of 50 ms, and half of that at best: 10 s, and still more than a second when the
    // machine was busy for a second and a half meanwhile.
    let soon = || Deadline::after(Duration::from_secs(1));
    let error = house.send_until(call(&[0.0]), soon()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
    assert_eq!(
        error.message(),
        "Run() timeout exceeded while waiting in batching queue"
    );
    assert_eq!(house.belt.stats().expired, 1);
    // Who goes before them has time, and so has who does not mind.
    let urgent = house.send_with(call(&[0.0]), soon(), Priority::High);
    house.until_queued(401).await;
    let patient = Deadline::after(Duration::from_secs(60));
    let patient = house.send_until(call(&[0.0]), patient);
    house.until_queued(402).await;
    house.gate.open();
    urgent.await.unwrap();
    patient.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
}

#[tokio::test]
async fn those_who_have_gone_are_in_nobody_s_way() {
    let house = House::with_behaviour(
        LaneOptions {
            max_batch_size: 1,
            max_enqueued_batches: 1000,
            ..LaneOptions::default()
        },
        |call| {
            std::thread::sleep(Duration::from_millis(50));
            common::half_plus_two(call)
        },
    );
    known(&house, call(&[1.0])).await;
    let gone: Vec<_> = (0..400).map(|_| house.send(call(&[1.0]))).collect();
    house.until_queued(400).await;
    gone.iter().for_each(common::Answer::abort);
    // All of them are ended before it is this task's turn again.
    tokio::task::yield_now().await;
    let stays = house.send_until(call(&[2.0]), Deadline::after(Duration::from_secs(2)));
    house.until_queued(1).await;
    assert_eq!(house.belt.stats().abandoned, 400);
    house.gate.open();
    stays.await.unwrap();
}
