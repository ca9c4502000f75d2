//! Runs that a processor does not stand and wait for.

use std::sync::Arc;

use tensorgate_edge::{ProcessorStats, Rights};

use crate::fake::Fake;
use crate::processors::{House, rights};

async fn house() -> Arc<House> {
    let two = Rights {
        concurrency: 2,
        ..rights()
    };
    Arc::new(House::with("runs", two, Fake::waiting()).await)
}

fn stats(house: &House) -> ProcessorStats {
    let (_, stats) = house.processors.stats().pop().expect("one model");
    stats
}

/// Asks, and looks what is under way before it lets the runs compute.
async fn told_while(house: &Arc<House>, words: &'static str, running: usize) -> (u16, String) {
    let asked = tokio::spawn({
        let house = Arc::clone(house);
        async move { house.tell(words).await }
    });
    house.fake.until_running(running).await;
    house.fake.let_run(running);
    asked.await.expect("no panic")
}

#[tokio::test]
async fn begun_runs_are_under_way_together() {
    let house = house().await;
    let (status, answer) = told_while(&house, "begin 3", 3).await;
    assert_eq!((status, answer.as_str()), (200, "[0.0] [2.0] [4.0]"));
    house.fake.until_running(0).await;
}

#[tokio::test]
async fn a_run_that_is_dropped_is_given_up() {
    let house = house().await;
    let (status, answer) = told_while(&house, "drop 4", 1).await;
    assert_eq!((status, answer.as_str()), (200, "[6.0]"));
    house.fake.until_running(0).await;
    // What was not waited for ends with its request.
    let (status, answer) = house.tell("leave 5").await;
    assert_eq!((status, answer.as_str()), (200, "left"));
    house.fake.until_running(0).await;
}

#[tokio::test]
async fn what_is_under_way_is_bounded() {
    let house = house().await;
    let (status, answer) = house.tell("begin 17").await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("16 runs under way"), "{answer}");
    // Of 32 MiB.
    let (status, answer) = house.tell("large 8").await;
    assert_eq!((status, answer.as_str()), (200, "8 begun"));
    let tight = Rights {
        memory: 8 << 20,
        ..rights()
    };
    let tight = House::with("runs", tight, Fake::waiting()).await;
    let (status, answer) = tight.tell("large 8").await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("do not fit into the memory"), "{answer}");
    tight.fake.until_running(0).await;
}

#[tokio::test]
async fn mistakes_are_told_and_leave_nothing() {
    let house = house().await;
    let (status, answer) = told_while(&house, "twice", 1).await;
    assert_eq!(status, 200);
    assert_eq!(answer, "true this run has given its outputs already");
    // More often than it could have runs, places or memory.
    let (status, answer) = house.tell("unfit 100").await;
    assert_eq!((status, answer.as_str()), (200, "200 refused"));
    let (status, answer) = told_while(&house, "begin 2", 2).await;
    assert_eq!((status, answer.as_str()), (200, "[0.0] [2.0]"));
}

#[tokio::test]
async fn a_mirrored_run_costs_the_request_nothing() {
    let house = house().await;
    // It is answered while the model stands still.
    let (status, answer) = house.tell("mirror 3").await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = answer.lines().collect();
    let refused = "as many mirrored runs are under way as the processor may have";
    assert!(
        matches!(lines[..], ["taken", "taken", last] if last.starts_with(refused)),
        "{answer}"
    );
    house.fake.until_running(2).await;
    let (_, answer) = house.tell("mirror 1").await;
    assert!(answer.starts_with(refused), "{answer}");
    house.fake.let_run(2);
    house.fake.until_running(0).await;
    // A place is free a little after its run has ended.
    let mut tries = 0;
    while house.tell("mirror 1").await.1 != "taken" {
        tries += 1;
        assert!(tries < 10_000, "the places are never free");
    }
    house.fake.let_run(1);
    house.fake.until_running(0).await;
    let stats = stats(&house);
    assert_eq!((stats.mirrored, stats.mirrors_failed), (3, 0));
    assert!(stats.mirrors_shed >= 2, "{stats:?}");
    house.fake.until_let_go().await;
}
