//! The tuner before machines that are formulas.

use super::*;

const THREADS: usize = 2;

/// What a machine does with a setting: rows per second, and seconds from arrival to answer.
type Plant = fn(Setting) -> (f64, f64);

fn tuner(target: Duration) -> Tuner {
    let options = LaneOptions {
        max_batch_size: 256,
        ..LaneOptions::default()
    };
    let adaptive = Adaptive {
        latency_target: target,
    };
    Tuner::new(adaptive, &options)
}

/// Lets the tuner see `seconds` of a plant.
fn watch(tuner: &mut Tuner, start: Instant, seconds: f64, plant: Plant) -> (Instant, usize) {
    let end = start + Duration::from_secs_f64(seconds);
    let (mut now, mut changes, mut last) = (start, 0, tuner.setting(THREADS));
    while now < end {
        let setting = tuner.setting(THREADS);
        changes += usize::from(setting != last);
        last = setting;
        let (rate, time) = plant(setting);
        let rows = 16;
        now += Duration::from_secs_f64(rows as f64 / rate);
        let time = Duration::from_secs_f64(time);
        let ridden = Ridden {
            rows,
            riders: rows,
            took: time / 2,
            stayed: time * rows as u32,
            longest: time,
        };
        tuner.record(now, &ridden, THREADS);
    }
    (now, changes)
}

#[test]
fn takes_the_knobs_where_more_rows_are_run() {
    let mut tuner = tuner(Duration::from_millis(100));
    // Best with one batch at a time that waits for a millisecond.
    let plant: Plant = |setting| {
        let wait = setting.wait.as_secs_f64() * 1e3;
        let rate = 20_000.0 / setting.parallel as f64 * (1.0 - 0.3 * (wait - 1.0).abs().min(2.0));
        (rate, 0.005)
    };
    watch(&mut tuner, Instant::now(), 10.0, plant);
    assert_eq!(tuner.current.spare, 1);
    assert_eq!(WAITS[tuner.current.wait], Duration::from_millis(1));
}

#[test]
fn waits_for_nothing_when_requests_come_slowly() {
    let mut tuner = tuner(Duration::from_millis(100));
    tuner.current.wait = 5;
    let plant: Plant = |setting| (5_000.0, 0.001 + setting.wait.as_secs_f64());
    watch(&mut tuner, Instant::now(), 10.0, plant);
    assert_eq!(tuner.current.wait, 0);
    assert_eq!(tuner.current.spare, 0);
}

#[test]
fn stops_waiting_when_nobody_comes() {
    let mut tuner = tuner(Duration::from_millis(100));
    tuner.current.wait = 5;
    let ridden = Ridden {
        rows: 1,
        riders: 1,
        took: Duration::from_millis(1),
        stayed: Duration::from_millis(3),
        longest: Duration::from_millis(3),
    };
    let now = Instant::now();
    for _ in 1..IN_VAIN {
        tuner.record(now, &ridden, THREADS);
    }
    assert_eq!(tuner.current.wait, 5);
    tuner.record(now, &ridden, THREADS);
    assert_eq!(tuner.setting(THREADS).wait, Duration::ZERO);
}

#[test]
fn the_target_comes_first() {
    let mut tuner = tuner(Duration::from_millis(20));
    // The larger the batch, the more rows and the later the answers.
    let plant: Plant = |setting| {
        let size = setting.size as f64;
        (1_000.0 + 10.0 * size, size * 0.000_25)
    };
    watch(&mut tuner, Instant::now(), 20.0, plant);
    let size = tuner.setting(THREADS).size;
    assert_eq!(size, 64, "the largest power of two within the target");
}

#[test]
fn rests_when_there_is_nothing_to_find_and_wakes_when_the_load_changes() {
    let mut tuner = tuner(Duration::from_millis(100));
    let steady: Plant = |_| (10_000.0, 0.002);
    let (now, _) = watch(&mut tuner, Instant::now(), 60.0, steady);
    let (now, changes) = watch(&mut tuner, now, 10.0, steady);
    assert!(changes < 40, "{changes} changes in ten seconds of rest");
    // Half as many threads give twice the rows now.
    let changed: Plant = |setting| (40_000.0 / setting.parallel as f64, 0.002);
    watch(&mut tuner, now, 10.0, changed);
    assert_eq!(tuner.current.spare, 1);
}

#[test]
fn a_load_that_changes_during_a_trial_proves_nothing() {
    let mut tuner = tuner(Duration::from_millis(100));
    let at_first = tuner.current;
    let start = Instant::now();
    let mut now = start;
    // Each epoch brings half as much again as the one before.
    for epoch in 0..30 {
        let rate = 1_000.0 * 1.5_f64.powi(epoch);
        for _ in 0..BATCHES {
            now += LEAST / BATCHES as u32 + Duration::from_micros(10);
            let ridden = Ridden {
                rows: (rate * LEAST.as_secs_f64() / BATCHES as f64) as usize + 1,
                riders: 1,
                took: Duration::from_millis(1),
                stayed: Duration::from_millis(2),
                longest: Duration::from_millis(2),
            };
            tuner.record(now, &ridden, THREADS);
        }
    }
    assert_eq!(tuner.current, at_first);
}
