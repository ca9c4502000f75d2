//! Batches whose run is lost with the process that made it: the others are answered, and few
//! processes are lost.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{House, call, floats, half_plus_two, values};
use tensorgate_batching::LaneOptions;
use tensorgate_engine::LostRun;
use tensorgate_types::{Error, ErrorCode};

/// A house in which a run with a thirteen in it ends the process, and how often one has ended.
fn house(options: LaneOptions) -> (House, Arc<AtomicUsize>) {
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ends);
    let house = House::with_behaviour(options, move |call| {
        if !values(&call.inputs[0].1).contains(&13.0) {
            return half_plus_two(call);
        }
        let how = format!("end {}", counted.fetch_add(1, Ordering::Relaxed) + 1);
        Err(Error::unavailable(format!("the run was lost: {how}")).with_source(LostRun { how }))
    });
    (house, ends)
}

#[tokio::test]
async fn only_the_guilty_is_lost_twice() {
    for allowed_batch_sizes in [vec![], vec![8, 1000]] {
        let (house, ends) = house(LaneOptions {
            allowed_batch_sizes,
            ..LaneOptions::default()
        });
        house.hold().await;
        let sent = [1.0, 2.0, 13.0, 4.0].map(|value| (value, house.send(call(&[value]))));
        house.until_queued(4).await;
        house.gate.open();
        for (value, answer) in sent {
            match answer.await {
                Ok(outputs) => assert_eq!(floats(&outputs), [0.5 * value + 2.0]),
                Err(error) => {
                    assert_eq!((value, error.code()), (13.0, ErrorCode::Unavailable));
                    let words = "the run was lost twice: end 1, then end 2";
                    assert_eq!(error.message(), words);
                }
            }
        }
        assert_eq!(ends.load(Ordering::Relaxed), 2);
        assert_eq!(house.belt.stats().retries, 4);
    }
}

#[tokio::test]
async fn a_batch_ends_three_processes_at_most() {
    let (house, ends) = house(LaneOptions::default());
    house.hold().await;
    let sent = [13.0; 6].map(|value| house.send(call(&[value])));
    house.until_queued(6).await;
    house.gate.open();
    let mut messages = Vec::new();
    for answer in sent {
        messages.push(answer.await.unwrap_err().message().to_owned());
    }
    assert_eq!(messages[0], "the run was lost twice: end 1, then end 2");
    assert_eq!(messages[1], "the run was lost twice: end 1, then end 3");
    let words = "the run was lost together with others, 2 of which were lost again: end 1";
    assert!(messages[2..].iter().all(|message| message == words));
    assert_eq!(ends.load(Ordering::Relaxed), 3);
}
