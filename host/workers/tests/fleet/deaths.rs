//! What becomes of runs and models when workers die.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tensorgate_engine::{LostRun, Predictor as _};
use tensorgate_types::{Deadline, ErrorCode};
use tensorgate_workers::WorkerStage;

use crate::house::{House, MAX_WAITING, PATIENCE, expected, gates, request, run};

#[test]
fn a_run_that_is_lost_with_its_worker_is_made_on_another() {
    let house = House::new(2);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let lost = scope.spawn(|| run(&model));
        let status = house.until(|status| status.iter().any(|of| of.running == 1));
        let victim = status.iter().position(|of| of.running == 1).unwrap();
        house.workers[victim].kill();
        house.until(|status| status[1 - victim].running == 1);
        gates[1 - victim].open();
        assert_eq!(lost.join().unwrap().unwrap(), expected());
        let status = house.until(|status| status[victim].stage == WorkerStage::Up);
        assert_eq!(status[victim].restarts, 1);
        let how = status[victim].last_end.as_deref();
        assert_eq!(how, Some("ended with signal: 9 (FAKE)"));
        assert!(status[victim].models[0].is_ready, "it has its model again");
        assert_eq!(status[1 - victim].restarts, 0);
        gates[victim].open();
    });
}

#[test]
fn with_one_worker_a_run_waits_for_it_to_come_back() {
    let house = House::new(1);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let lost = scope.spawn(|| run(&model));
        house.until(|status| status[0].running == 1);
        house.workers[0].kill();
        house.until(|status| status[0].restarts == 1 && status[0].running == 1);
        gates[0].open();
        assert_eq!(lost.join().unwrap().unwrap(), expected());
    });
    assert_eq!(house.starts(), [2]);
}

#[test]
fn a_run_that_ends_two_workers_is_answered_and_not_made_again() {
    let house = House::new(3);
    let poison = house.load("/poison").unwrap();
    let good = house.load("/good").unwrap();
    let error = run(&poison).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "the run was lost twice: worker 0 (fake) ended with signal: 9 (FAKE), then worker 1 \
         (fake) ended with signal: 9 (FAKE)"
    );
    assert_eq!(run(&good).unwrap(), expected(), "others go on");
    let status = house.until(|status| status.iter().all(|of| of.stage == WorkerStage::Up));
    let restarts: Vec<u64> = status.iter().map(|of| of.restarts).collect();
    assert_eq!(restarts, [1, 1, 0]);
}

#[test]
fn a_run_that_is_made_once_says_how_it_was_lost() {
    let house = House::new(2);
    let poison = house.load("/poison").unwrap();
    let error = poison.run_once(&request(Deadline::NEVER)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    let how = "worker 0 (fake) ended with signal: 9 (FAKE)";
    assert_eq!(error.message(), format!("the run was lost: {how}"));
    assert_eq!(LostRun::of(&error).map(|lost| &*lost.how), Some(how));
    assert_eq!(house.fleet.status()[1].restarts, 0);
}

#[test]
fn a_run_does_not_wait_for_longer_than_it_may() {
    let house = House::new(1);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    let poison = house.load("/poison").unwrap();
    // The second and the third end of a young worker are followed by a pause.
    let error = run(&poison).unwrap_err();
    assert!(
        error.message().starts_with("the run was lost twice"),
        "{error}"
    );
    let soon = Deadline::after(Duration::from_millis(50));
    let error = model.run(&request(soon)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "no worker has the model now: worker 0 (fake) ended with signal: 9 (FAKE); try again \
         later"
    );
    gates[0].open();
    assert_eq!(run(&model).unwrap(), expected(), "who may wait is answered");
}

#[test]
fn only_some_wait_for_a_worker_while_another_is_up() {
    let house = House::new(2);
    let slow = house.load_on("/slow-again", 0..1).unwrap();
    let good = house.load_on("/good", 1..2).unwrap();
    house.workers[0].kill();
    house.until(|status| status[0].restarts == 1 && status[0].pid == Some(2));
    thread::scope(|scope| {
        let (send, answers) = mpsc::channel();
        for _ in 0..MAX_WAITING + 3 {
            let (slow, send) = (&slow, send.clone());
            scope.spawn(move || send.send(run(slow)).unwrap());
        }
        for _ in 0..3 {
            let error = answers.recv_timeout(PATIENCE).unwrap().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unavailable);
            let words = "no worker has the model now: worker 0 (fake) ended with";
            assert!(error.message().starts_with(words), "{error}");
        }
        assert_eq!(run(&good).unwrap(), expected(), "others go on");
        house.workers[0].may_load.store(true, Ordering::SeqCst);
        for _ in 0..MAX_WAITING {
            let answer = answers.recv_timeout(PATIENCE).unwrap();
            assert_eq!(answer.unwrap(), expected(), "who waited is answered");
        }
    });
}

#[test]
fn all_may_wait_while_no_worker_is_up() {
    let house = House::new(2);
    let slow = house.load_on("/slow-again", 0..1).unwrap();
    house.workers[0].kill();
    house.until(|status| status[0].restarts == 1 && status[0].pid == Some(2));
    thread::scope(|scope| {
        let runs: Vec<_> = (0..MAX_WAITING + 3)
            .map(|_| scope.spawn(|| run(&slow)))
            .collect();
        house.workers[0].may_load.store(true, Ordering::SeqCst);
        for run in runs {
            assert_eq!(run.join().unwrap().unwrap(), expected());
        }
    });
}

#[test]
fn a_model_that_ends_its_worker_at_load_fails_and_others_stay() {
    let house = House::new(1);
    let good = house.load("/good").unwrap();
    let error = house.load("/kills-loading").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "worker 0 (fake) ended with signal: 9 (FAKE) while it loaded the model"
    );
    assert_eq!(run(&good).unwrap(), expected());
    assert_eq!(house.fleet.status()[0].models.len(), 1);
}

#[test]
fn a_model_that_ends_its_worker_again_and_again_is_tried_once_more() {
    let house = House::new(1);
    let model = house.load("/kills-again").unwrap();
    let good = house.load("/good").unwrap();
    house.workers[0].kill();
    let status = house.until(|status| {
        let mut models = status[0].models.iter();
        models.any(|model| model.error.is_some())
    });
    // Twice, or once more by the time that somebody looks.
    let words = "its process has ended ";
    let error = status[0].models[0].error.as_deref();
    assert!(
        error.is_some_and(|error| error.starts_with(words)),
        "{error:?}"
    );
    let error = run(&model).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    let words =
        format!("no worker has the model now: worker 0 (fake) cannot load it again: {words}");
    assert!(error.message().starts_with(&words), "{error}");
    house.workers[0].may_load.store(true, Ordering::SeqCst);
    assert_eq!(run(&good).unwrap(), expected(), "others go on");
    house.until(|status| status[0].models[0].is_ready);
    assert_eq!(run(&model).unwrap(), expected());
}

#[test]
fn the_end_does_not_wait_for_a_load() {
    let house = House::new(1);
    let model = house.load("/slow-again").unwrap();
    house.workers[0].kill();
    house.until(|status| status[0].restarts == 1 && status[0].pid == Some(2));
    let House { fleet, workers } = house;
    let ended = thread::spawn(move || drop(fleet));
    let give_up = Instant::now() + PATIENCE;
    while !ended.is_finished() {
        assert!(Instant::now() < give_up, "it waits for the load");
        thread::sleep(Duration::from_millis(1));
    }
    workers[0].may_load.store(true, Ordering::SeqCst);
    drop(model);
}
