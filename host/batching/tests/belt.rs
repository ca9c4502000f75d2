//! What a caller of the belt can rely on, with a fake model that is held at a gate.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{House, call, floats, ones, texts};
use tensorgate_batching::{Adaptive, LaneOptions, Splitting};
use tensorgate_engine::RunRequest;
use tensorgate_types::{Deadline, Error, ErrorCode, Priority};

#[tokio::test]
async fn requests_that_wait_together_ride_together() {
    let house = House::new(LaneOptions::default());
    let first = house.send(call(&[1.0]));
    house.until_held().await;
    let others: Vec<_> = [2.0, 3.0, 4.0]
        .map(|value| house.send(call(&[value, value])))
        .into();
    house.until_queued(3).await;
    house.gate.open();
    assert_eq!(floats(&first.await.unwrap()), [2.5]);
    for (other, expected) in others.into_iter().zip([3.0, 3.5, 4.0]) {
        assert_eq!(floats(&other.await.unwrap()), [expected, expected]);
    }
    assert_eq!(house.runs(), [1, 6]);
    let stats = house.belt.stats();
    assert_eq!((stats.batches, stats.riders), (2, 4));
    // The first rode alone: nothing was copied for it.
    assert_eq!(stats.bytes_copied, 6 * 4);
}

#[tokio::test]
async fn different_shapes_ride_in_different_batches() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let sent: Vec<_> = [vec![1, 2], vec![1, 3], vec![2, 2], vec![1, 3]]
        .into_iter()
        .map(|shape| (shape.clone(), house.send(ones(&shape))))
        .collect();
    house.until_queued(4).await;
    house.gate.open();
    for (shape, answer) in sent {
        assert_eq!(answer.await.unwrap()[0][0].1.shape(), shape);
    }
    let mut rows = house.runs();
    rows.sort_unstable();
    assert_eq!(rows, [1, 2, 3]);
}

#[tokio::test]
async fn padding_brings_different_lengths_together() {
    let house = House::new(LaneOptions {
        pad_variable_length_inputs: true,
        ..LaneOptions::default()
    });
    house.hold().await;
    let a = house.send(ones(&[1, 2]));
    let b = house.send(ones(&[2, 3]));
    house.until_queued(2).await;
    house.gate.open();
    // Outputs are as the model gives them, as with the original.
    assert_eq!(a.await.unwrap()[0][0].1.shape(), [1, 3]);
    assert_eq!(b.await.unwrap()[0][0].1.shape(), [2, 3]);
    assert_eq!(house.runs(), [1, 3]);
}

#[tokio::test]
async fn only_the_guilty_fails() {
    let house = House::with_behaviour(LaneOptions::default(), |call| {
        if common::values(&call.inputs[0].1).contains(&13.0) {
            return Err(Error::invalid_argument("thirteen"));
        }
        common::half_plus_two(call)
    });
    house.hold().await;
    let sent: Vec<_> = [1.0, 2.0, 13.0, 4.0, 5.0, 13.0, 7.0, 8.0]
        .map(|value| (value, house.send(call(&[value]))))
        .into();
    house.until_queued(8).await;
    house.gate.open();
    for (value, answer) in sent {
        match answer.await {
            Ok(outputs) => assert_eq!(floats(&outputs), [0.5 * value + 2.0]),
            Err(error) => {
                assert_eq!(value, 13.0);
                assert_eq!(error.message(), "thirteen");
            }
        }
    }
    assert!(house.belt.stats().retries > 0);
}

#[tokio::test]
async fn a_model_that_panics_hurts_its_guilty_request_only() {
    let house = House::with_behaviour(LaneOptions::default(), |call| {
        assert!(
            !common::values(&call.inputs[0].1).contains(&13.0),
            "thirteen"
        );
        common::half_plus_two(call)
    });
    house.hold().await;
    let good = house.send(call(&[1.0]));
    let bad = house.send(call(&[13.0]));
    house.until_queued(2).await;
    house.gate.open();
    assert_eq!(floats(&good.await.unwrap()), [2.5]);
    assert_eq!(bad.await.unwrap_err().code(), ErrorCode::Internal);
    assert!(house.send(call(&[2.0])).await.is_ok());
}

#[tokio::test]
async fn a_runtime_that_is_lost_is_not_asked_again_in_halves() {
    let house = House::with_behaviour(LaneOptions::default(), |_| Err(Error::unavailable("lost")));
    house.hold().await;
    let sent = [1.0, 2.0, 3.0, 4.0].map(|value| house.send(call(&[value])));
    house.until_queued(4).await;
    house.gate.open();
    for answer in sent {
        assert_eq!(answer.await.unwrap_err().message(), "lost");
    }
    assert_eq!(house.belt.stats().retries, 0);
}

#[tokio::test]
async fn what_has_no_rows_is_run_alone() {
    let house = House::with_behaviour(LaneOptions::default(), |call| Ok(call.inputs.clone()));
    house.hold().await;
    let scalars = [house.send(ones(&[])), house.send(ones(&[]))];
    let mut empty = call(&[]);
    empty.inputs.clear();
    let nothing = house.send(empty);
    house.until_queued(3).await;
    house.gate.open();
    for scalar in scalars {
        assert_eq!(scalar.await.unwrap()[0][0].1.shape(), [0; 0]);
    }
    assert!(nothing.await.unwrap()[0].is_empty());
    assert_eq!(house.runs().len(), 4);
    assert_eq!(house.belt.stats().bytes_copied, 0);
}

#[tokio::test]
async fn outputs_without_rows_are_found_out_and_remembered() {
    let house = House::with_behaviour(LaneOptions::default(), |call| {
        let sum = common::values(&call.inputs[0].1).iter().sum();
        Ok(vec![("y".to_owned(), common::tensor(&[], &[sum]))])
    });
    house.hold().await;
    for _ in 0..2 {
        let answers = [house.send(call(&[1.0, 2.0])), house.send(call(&[3.0, 4.0]))];
        house.gate.open();
        let mut sums = Vec::new();
        for answer in answers {
            sums.extend(floats(&answer.await.unwrap()));
        }
        assert_eq!(sums, [3.0, 7.0]);
    }
    assert!(house.runs().iter().filter(|rows| **rows > 2).count() <= 1);
}

#[tokio::test]
async fn who_has_gone_does_not_ride() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let gone = house.send(call(&[1.0]));
    let stays = house.send(call(&[2.0]));
    house.until_queued(2).await;
    gone.abort();
    assert_eq!(gone.await.unwrap_err().code(), ErrorCode::Cancelled);
    house.gate.open();
    assert_eq!(floats(&stays.await.unwrap()), [3.0]);
    assert_eq!(house.runs(), [1, 1]);
    assert_eq!(house.belt.stats().abandoned, 1);
}

#[tokio::test]
async fn who_is_out_of_time_is_answered_and_does_not_ride() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let late = house.send_until(call(&[1.0]), Deadline::after(Duration::from_millis(20)));
    let stays = house.send(call(&[2.0]));
    assert_eq!(late.await.unwrap_err().code(), ErrorCode::DeadlineExceeded);
    house.gate.open();
    assert_eq!(floats(&stays.await.unwrap()), [3.0]);
    assert_eq!(house.runs(), [1, 1]);
    let past = Deadline::after(Duration::ZERO);
    let error = house.send_until(call(&[1.0]), past).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
}

#[tokio::test]
async fn the_urgent_go_first() {
    let house = House::new(LaneOptions {
        max_batch_size: 1,
        ..LaneOptions::default()
    });
    house.hold().await;
    let order = [
        (Priority::Low, 1.0),
        (Priority::Normal, 2.0),
        (Priority::High, 3.0),
        (Priority::Normal, 4.0),
        (Priority::High, 5.0),
    ];
    let mut sent = Vec::new();
    for (number, (priority, value)) in order.into_iter().enumerate() {
        sent.push(house.send_with(call(&[value]), Deadline::NEVER, priority));
        house.until_queued(number + 1).await;
    }
    house.gate.open();
    for answer in sent {
        answer.await.unwrap();
    }
    assert_eq!(house.first_values()[1..], [3.0, 5.0, 2.0, 4.0, 1.0]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_sheds_the_lowest() {
    let house = House::new(LaneOptions {
        max_batch_size: 2,
        max_enqueued_batches: 2,
        ..LaneOptions::default()
    });
    house.hold().await;
    let mut waiting = Vec::new();
    for number in 0..4 {
        waiting.push(house.send_with(call(&[number as f32]), Deadline::NEVER, Priority::Low));
        house.until_queued(number + 1).await;
    }
    let refused = house.send_with(call(&[9.0]), Deadline::NEVER, Priority::Low);
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    assert_eq!(
        refused.message(),
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches \
         enqueued and max_enqueued_batches is 2"
    );
    let urgent = house.send(call(&[8.0]));
    // The one that came last gave its place.
    let shed = waiting.pop().unwrap().await.unwrap_err();
    assert!(shed.message().contains("a higher priority"), "{shed}");
    house.gate.open();
    assert_eq!(floats(&urgent.await.unwrap()), [6.0]);
    for (number, answer) in waiting.into_iter().enumerate() {
        assert_eq!(floats(&answer.await.unwrap()), [0.5 * number as f32 + 2.0]);
    }
    let stats = house.belt.stats();
    assert_eq!((stats.shed, stats.refused_queue_full), (1, 1));
}

#[tokio::test]
async fn more_rows_than_allowed_are_refused() {
    let house = House::new(LaneOptions {
        max_batch_size: 3,
        ..LaneOptions::default()
    });
    house.gate.open();
    let error = house.send(call(&[0.0; 4])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    assert_eq!(
        error.message(),
        "Task size 4 is larger than maximum input batch size 3"
    );
}

#[tokio::test]
async fn the_adaptive_mode_runs_large_requests_by_themselves() {
    let house = House::new(LaneOptions {
        max_batch_size: 3,
        adaptive: Some(Adaptive {
            latency_target: Duration::from_millis(100),
        }),
        ..LaneOptions::default()
    });
    house.gate.open();
    assert_eq!(
        floats(&house.send(call(&[1.0; 4])).await.unwrap()),
        [2.5; 4]
    );
    assert_eq!(house.runs(), [4]);
}

#[tokio::test]
async fn large_requests_are_split_and_put_together() {
    let house = House::new(LaneOptions {
        max_batch_size: 100,
        splitting: Some(Splitting {
            max_execution_batch_size: 4,
        }),
        ..LaneOptions::default()
    });
    house.hold().await;
    let values: Vec<f32> = (0..11).map(|value| value as f32).collect();
    let small = house.send(call(&[20.0]));
    house.until_queued(1).await;
    let large = house.send(call(&values));
    house.until_queued(2).await;
    house.gate.open();
    assert_eq!(floats(&small.await.unwrap()), [12.0]);
    let expected: Vec<f32> = values.iter().map(|value| 0.5 * value + 2.0).collect();
    assert_eq!(floats(&large.await.unwrap()), expected);
    assert_eq!(house.runs(), [1, 4, 4, 4]);
}

#[tokio::test]
async fn a_queue_that_splits_says_how_much_room_it_has() {
    let house = House::new(LaneOptions {
        max_batch_size: 100,
        max_enqueued_batches: 2,
        splitting: Some(Splitting {
            max_execution_batch_size: 4,
        }),
        ..LaneOptions::default()
    });
    house.hold().await;
    let waits = house.send(call(&[0.0; 5]));
    house.until_queued(1).await;
    let error = house.send(call(&[0.0; 6])).await.unwrap_err();
    assert_eq!(
        error.message(),
        "The batch scheduling queue to which this task was submitted is full; task size is 6 but \
         scheduling capacity is only 3 (num_enqueued_batches=2, max_enqueued_batches=2, \
         open_batch_size=1, max_execution_batch_size=4)"
    );
    house.gate.open();
    waits.await.unwrap();
}

#[tokio::test]
async fn batches_are_padded_to_allowed_sizes_and_cut_back() {
    let house = House::new(LaneOptions {
        max_batch_size: 8,
        allowed_batch_sizes: vec![2, 8],
        ..LaneOptions::default()
    });
    house.gate.open();
    assert_eq!(floats(&house.send(call(&[1.0])).await.unwrap()), [2.5]);
    let three = house.send(call(&[1.0, 2.0, 3.0])).await.unwrap();
    assert_eq!(floats(&three), [2.5, 3.0, 3.5]);
    assert_eq!(house.runs(), [2, 8]);
}

#[tokio::test]
async fn a_batch_that_is_full_does_not_wait() {
    let house = House::new(LaneOptions {
        max_batch_size: 2,
        // Nobody waits so long: the test would time out.
        batch_timeout: Duration::from_secs(3600),
        ..LaneOptions::default()
    });
    house.gate.open();
    let (a, b) = (house.send(call(&[1.0])), house.send(call(&[2.0])));
    assert_eq!(floats(&a.await.unwrap()), [2.5]);
    assert_eq!(floats(&b.await.unwrap()), [3.0]);
    assert_eq!(house.runs(), [2]);
}

#[tokio::test]
async fn when_there_is_a_hurry_nobody_waits_for_others() {
    let house = House::new(LaneOptions {
        batch_timeout: Duration::from_secs(3600),
        ..LaneOptions::default()
    });
    house.gate.open();
    let waits = house.send(call(&[1.0]));
    house.until_queued(1).await;
    house.belt.hurry();
    assert_eq!(floats(&waits.await.unwrap()), [2.5]);
    assert_eq!(floats(&house.send(call(&[2.0])).await.unwrap()), [3.0]);
}

#[tokio::test]
async fn a_batch_that_is_not_full_waits_no_longer_than_it_may() {
    let house = House::new(LaneOptions {
        batch_timeout: Duration::from_millis(1),
        ..LaneOptions::default()
    });
    house.gate.open();
    assert_eq!(floats(&house.send(call(&[1.0])).await.unwrap()), [2.5]);
}

#[tokio::test]
async fn several_signatures_of_one_request_are_one_run() {
    let house = House::new(LaneOptions::default());
    house.gate.open();
    let request = RunRequest {
        calls: vec![call(&[1.0]), call(&[2.0])],
        deadline: Deadline::NEVER,
    };
    let belt = Arc::clone(&house.belt);
    let outputs = belt
        .run(
            &house.lane,
            Arc::clone(&house.model),
            request,
            Priority::Normal,
        )
        .await
        .unwrap();
    assert_eq!(floats(&outputs[1..]), [3.0]);
}

#[tokio::test]
async fn strings_ride_too() {
    let house = House::with_behaviour(LaneOptions::default(), |call| Ok(call.inputs.clone()));
    house.hold().await;
    let a = house.send(texts(&["a", "bc"]));
    let b = house.send(texts(&["", "def", "g"]));
    house.until_queued(2).await;
    house.gate.open();
    assert_eq!(common::words(&a.await.unwrap()), ["a", "bc"]);
    assert_eq!(common::words(&b.await.unwrap()), ["", "def", "g"]);
    assert_eq!(house.runs(), [1, 5]);
}

#[tokio::test]
async fn threads_are_shared_by_weight() {
    let house = House::with_behaviour(
        LaneOptions {
            max_batch_size: 1,
            max_enqueued_batches: 1000,
            weight: 3.0,
            ..LaneOptions::default()
        },
        |call| {
            // Long beside what a busy machine adds.
            std::thread::sleep(Duration::from_millis(4));
            common::half_plus_two(call)
        },
    );
    let light = house.other_lane(
        "light",
        LaneOptions {
            max_batch_size: 1,
            max_enqueued_batches: 1000,
            ..LaneOptions::default()
        },
    );
    house.hold().await;
    let mut sent = Vec::new();
    for _ in 0..80 {
        sent.push(house.send(call(&[1.0])));
        sent.push(house.send_on(&light, call(&[2.0])));
    }
    house.until_queued(160).await;
    house.gate.open();
    for answer in sent {
        answer.await.unwrap();
    }
    // Of the first 80 runs, three in four are the heavy model's; luck moves that by some.
    let order = house.first_values();
    let heavy = order[1..81].iter().filter(|value| **value == 1.0).count();
    assert!((45..=75).contains(&heavy), "{heavy}");
}

#[tokio::test]
async fn when_every_thread_is_overdue_new_requests_are_refused() {
    let house = House::new(LaneOptions::default());
    let late = house.send_until(call(&[1.0]), Deadline::after(Duration::from_millis(20)));
    house.until_held().await;
    late.await.unwrap_err();
    let error = house.send(call(&[1.0])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.message().contains("past their deadline"), "{error}");
    assert_eq!(house.belt.stats().overdue, 1);
    house.gate.open();
    house.until(|stats| stats.running == 0).await;
    assert!(house.send(call(&[1.0])).await.is_ok());
}
