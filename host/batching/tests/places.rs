//! Rows that lie in places of their lane: a batch of them is not copied, and whatever happens to
//! its members, each gets its own answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod common;

use common::{Answer, House, floats, half_plus_two, tensor, texts, values, words};
use tensorgate_batching::{LaneOptions, Splitting};
use tensorgate_engine::{Call, NamedTensors};
use tensorgate_types::{DType, Deadline, Error, InputView, Priority, Result, Tensor};

/// Floats of one row: 1,600 bytes, 25 times the alignment.
const ROW: usize = 400;
const BYTES: u64 = 4 * ROW as u64;

/// Rows that hold these values, as a request brings them: copied to where the lane says.
fn placed(house: &House, names: &[&str], rows: &[f32]) -> Call {
    let shape = [rows.len() as i64, ROW as i64];
    let views: Vec<InputView<'_>> = names
        .iter()
        .map(|name| InputView {
            name,
            dtype: DType::FLOAT,
            shape: &shape,
        })
        .collect();
    let places = house.lane.places("serving_default", &views);
    let inputs = names.iter().zip(places).map(|(name, mut place)| {
        for row in rows {
            (0..ROW).for_each(|_| place.push(&row.to_le_bytes()));
        }
        let tensor = Tensor::fixed(DType::FLOAT, shape.to_vec(), place.into_elements());
        ((*name).to_owned(), tensor.unwrap())
    });
    Call {
        signature: "serving_default".to_owned(),
        inputs: inputs.collect(),
        outputs: Vec::new(),
    }
}

/// The first value of each row.
fn firsts(outputs: &[NamedTensors]) -> Vec<f32> {
    floats(outputs).chunks(ROW).map(|row| row[0]).collect()
}

async fn assert_answers(sent: Vec<(f32, Answer)>) {
    for (value, answer) in sent {
        assert_eq!(firsts(&answer.await.unwrap()), [0.5 * value + 2.0]);
    }
}

fn send_all(house: &House, values: &[f32]) -> Vec<(f32, Answer)> {
    let sent = values
        .iter()
        .map(|value| (*value, house.send(placed(house, &["x"], &[*value]))));
    sent.collect()
}

#[tokio::test]
async fn a_batch_of_neighbours_is_not_copied() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let one = house.send(placed(&house, &["x"], &[1.0, 2.0]));
    let rest = send_all(&house, &[3.0, 4.0]);
    house.until_queued(3).await;
    house.gate.open();
    assert_eq!(firsts(&one.await.unwrap()), [2.5, 3.0]);
    assert_answers(rest).await;
    assert_eq!(house.runs(), [1, 4]);
    assert_eq!(house.belt.stats().bytes_copied, 0);
}

#[tokio::test]
async fn all_inputs_of_a_request_have_places() {
    let house = House::with_behaviour(LaneOptions::default(), |call| {
        let (a, b) = (values(&call.inputs[0].1), values(&call.inputs[1].1));
        let sums: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + b).collect();
        Ok(vec![(
            "y".to_owned(),
            tensor(call.inputs[0].1.shape(), &sums),
        )])
    });
    house.hold().await;
    let sent = [1.0, 2.0].map(|value| (value, house.send(placed(&house, &["b", "a"], &[value]))));
    house.until_queued(2).await;
    // What holds the thread has one input only: nobody hears of it.
    house.gate.open();
    for (value, answer) in sent {
        assert_eq!(firsts(&answer.await.unwrap()), [2.0 * value]);
    }
    assert_eq!(house.belt.stats().bytes_copied, 0);
}

#[tokio::test]
async fn who_has_gone_leaves_a_hole_and_the_others_are_copied() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let mut sent = send_all(&house, &[1.0, 2.0, 3.0]);
    house.until_queued(3).await;
    let (_, gone) = sent.remove(1);
    gone.abort();
    assert!(gone.await.is_err());
    house.gate.open();
    assert_answers(sent).await;
    let stats = house.belt.stats();
    assert_eq!((stats.abandoned, stats.bytes_copied), (1, 2 * BYTES));
}

#[tokio::test]
async fn a_batch_that_fails_is_cut_again() {
    let house = House::with_behaviour(LaneOptions::default(), |call: &Call| -> Result<_> {
        if values(&call.inputs[0].1).contains(&13.0) {
            return Err(Error::invalid_argument("thirteen"));
        }
        half_plus_two(call)
    });
    house.hold().await;
    let mut sent = send_all(&house, &[1.0, 13.0, 3.0, 4.0]);
    house.until_queued(4).await;
    house.gate.open();
    let (_, guilty) = sent.remove(1);
    assert_eq!(guilty.await.unwrap_err().message(), "thirteen");
    assert_answers(sent).await;
    // The whole was not copied; by then all are slices of it, and each half is.
    assert_eq!(house.belt.stats().bytes_copied, 4 * BYTES);
}

#[tokio::test]
async fn the_order_of_places_is_not_that_of_urgency() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let call = || placed(&house, &["x"], &[1.0]);
    let low = house.send_with(call(), Deadline::NEVER, Priority::Low);
    house.until_queued(1).await;
    let rest = send_all(&house, &[2.0]);
    house.until_queued(2).await;
    let high = placed(&house, &["x"], &[3.0]);
    let high = house.send_with(high, Deadline::NEVER, Priority::High);
    house.until_queued(3).await;
    house.gate.open();
    assert_answers(rest).await;
    assert_answers(vec![(1.0, low), (3.0, high)]).await;
    assert_eq!(house.runs(), [1, 3]);
    assert_eq!(house.belt.stats().bytes_copied, 0);
}

#[tokio::test]
async fn padding_rows_are_copied_with_their_batch() {
    let house = House::new(LaneOptions {
        max_batch_size: 4,
        allowed_batch_sizes: vec![4],
        ..LaneOptions::default()
    });
    house.hold().await;
    let sent = send_all(&house, &[1.0, 2.0, 3.0]);
    house.until_queued(3).await;
    let before = house.belt.stats().bytes_copied;
    house.gate.open();
    assert_answers(sent).await;
    assert_eq!(house.runs(), [4, 4]);
    assert_eq!(house.belt.stats().bytes_copied - before, 4 * BYTES);
}

#[tokio::test]
async fn rows_of_a_request_that_is_split_are_shared_or_copied() {
    let house = House::new(LaneOptions {
        max_batch_size: 10,
        splitting: Some(Splitting {
            max_execution_batch_size: 2,
        }),
        ..LaneOptions::default()
    });
    house.hold().await;
    let split = house.send(placed(&house, &["x"], &[1.0, 2.0, 3.0]));
    house.until_queued(1).await;
    let rest = send_all(&house, &[4.0]);
    house.until_queued(2).await;
    house.gate.open();
    assert_eq!(firsts(&split.await.unwrap()), [2.5, 3.0, 3.5]);
    assert_answers(rest).await;
    assert_eq!(house.runs(), [1, 2, 2]);
}

#[tokio::test]
async fn rows_without_places_ride_with_those_that_have_them() {
    let house = House::new(LaneOptions::default());
    house.hold().await;
    let sent = send_all(&house, &[1.0, 2.0]);
    let own = house.send(Call {
        inputs: vec![("x".to_owned(), tensor(&[1, ROW as i64], &[3.0; ROW]))],
        ..placed(&house, &[], &[])
    });
    house.until_queued(3).await;
    house.gate.open();
    assert_answers(sent).await;
    assert_eq!(firsts(&own.await.unwrap()), [3.5]);
    assert_eq!(house.belt.stats().bytes_copied, 3 * BYTES);
}

#[tokio::test]
async fn strings_have_no_places() {
    let house = House::with_behaviour(LaneOptions::default(), |call| Ok(call.inputs.clone()));
    house.hold().await;
    let sent = ["abc", "de"].map(|text| (text, house.send(texts(&[text]))));
    house.until_queued(2).await;
    house.gate.open();
    for (text, answer) in sent {
        assert_eq!(words(&answer.await.unwrap()), [text]);
    }
    assert_eq!(house.belt.stats().bytes_copied, 5);
}
