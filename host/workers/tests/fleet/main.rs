//! The fleet over fake workers: where models and runs go, and what starts and ends processes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod deaths;
mod house;

use std::io::Read as _;
use std::thread;
use std::time::Instant;

use house::{House, expected, gates, request, run};
use tensorgate_engine::Predictor as _;
use tensorgate_engine::fake::{FakeModel, Gate};
use tensorgate_types::{Deadline, ErrorCode};
use tensorgate_workers::WorkerStage;

#[test]
fn a_model_answers_from_a_worker_as_it_does_here() {
    let house = House::new(1);
    let status = house.fleet.status();
    assert_eq!(status[0].stage, WorkerStage::Asleep);
    assert_eq!(house.starts(), [0], "nobody is started for nothing");
    let model = house.load("/good").unwrap();
    assert_eq!(model.signatures(), FakeModel::new().signatures());
    assert_eq!(run(&model).unwrap(), expected());
    let status = &house.fleet.status()[0];
    assert_eq!(status.stage, WorkerStage::Up);
    assert_eq!((status.pid, status.runs, status.running), (Some(1), 1, 0));
    // Two floats went over and two came back, with some words about them.
    for bytes in [status.sent_bytes, status.received_bytes] {
        assert!((50..1000).contains(&bytes), "{bytes}");
    }
    assert_eq!(status.models[0].name, "m:1");
    assert!(status.models[0].is_ready);
    assert_eq!(status.devices[0].name, "worker 0");
}

#[test]
fn runs_go_to_whoever_has_least_to_do() {
    let house = House::new(2);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let one = scope.spawn(|| run(&model));
        house.until(|status| status.iter().map(|of| of.running).sum::<usize>() == 1);
        let two = scope.spawn(|| run(&model));
        house.until(|status| status.iter().all(|of| of.running == 1));
        gates.iter().for_each(Gate::open);
        assert_eq!(one.join().unwrap().unwrap(), expected());
        assert_eq!(two.join().unwrap().unwrap(), expected());
    });
    for _ in 0..10 {
        run(&model).unwrap();
    }
    let runs: Vec<u64> = house.fleet.status().iter().map(|of| of.runs).collect();
    assert_eq!(runs, [6, 6], "idle workers take turns");
    model.run_everywhere(&request(Deadline::NEVER)).unwrap();
    let runs: Vec<u64> = house.fleet.status().iter().map(|of| of.runs).collect();
    assert_eq!(runs, [7, 7]);
}

#[test]
fn a_worker_without_a_model_is_ended_and_started_when_there_is_one() {
    let house = House::new(1);
    let one = house.load("/good").unwrap();
    let two = house.load("/good").unwrap();
    drop(one);
    let status = house.until(|status| status[0].models.len() == 1);
    assert_eq!(status[0].pid, Some(1), "there is another model");
    drop(two);
    let status = house.until(|status| status[0].pid.is_none());
    assert_eq!(status[0].stage, WorkerStage::Asleep);
    assert_eq!(status[0].restarts, 0, "it was told to end");
    let model = house.load("/good").unwrap();
    assert_eq!(run(&model).unwrap(), expected());
    assert_eq!(house.starts(), [2]);
}

#[test]
fn a_model_that_cannot_be_loaded_says_why_and_leaves_nothing() {
    let house = House::new(2);
    let error = house.load("/missing").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(error.message(), "there is no model in /missing");
    house.until(|status| {
        status
            .iter()
            .all(|of| of.pid.is_none() && of.models.is_empty())
    });
    assert!(house.load("/good").is_ok());
}

#[test]
fn a_worker_that_cannot_work_says_why() {
    let house = House::told(1, b"refuse");
    let error = house.load("/good").unwrap_err();
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    assert_eq!(error.message(), "no library");
    let status = house.until(|status| status[0].stage == WorkerStage::Asleep);
    let end = status[0].last_end.as_deref();
    assert_eq!(end, Some("cannot work: no library"));
}

#[test]
fn a_worker_that_does_not_get_ready_is_ended() {
    let house = House::told(1, b"hang");
    let error = house.load("/good").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(error.message(), "it was not ready after 1ms");
    house.until(|status| status[0].pid.is_none());
}

#[test]
fn a_panic_is_the_run_s_own_error() {
    let house = House::new(1);
    let model = house.load("/broken").unwrap();
    let error = run(&model).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(house.fleet.status()[0].restarts, 0);
}

#[test]
fn a_run_whose_time_is_up_is_not_made() {
    let house = House::new(1);
    let model = house.load("/good").unwrap();
    let past = Deadline::at(Instant::now());
    let error = model.run(&request(past)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_eq!(house.fleet.status()[0].runs, 0);
}

#[test]
fn the_fleet_s_end_is_its_workers_end() {
    let house = House::new(2);
    let model = house.load("/good").unwrap();
    let House { fleet, workers } = house;
    drop(fleet);
    let error = run(&model).unwrap_err();
    assert_eq!(error.message(), "the server is shutting down");
    for worker in workers {
        let socket = worker.socket.lock().unwrap();
        let mut end = socket.as_ref().unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0, "it is closed");
    }
}
