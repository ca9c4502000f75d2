//! The tuner's parts, one by one; `crate::sim` has the whole before a machine.

use super::moves::Move;
use super::*;

const THREADS: usize = 4;

fn tuner(target: u64) -> Tuner {
    let options = LaneOptions {
        max_batch_size: 256,
        ..LaneOptions::default()
    };
    let adaptive = Adaptive {
        latency_target: Duration::from_millis(target),
    };
    Tuner::new(adaptive, &options)
}

fn ridden(rows: usize, took: Duration, longest: Duration) -> Ridden {
    Ridden {
        rows,
        riders: rows,
        took,
        stayed: longest * rows as u32,
        longest,
    }
}

fn score(rate: f64, time: f64) -> Score {
    Score {
        rate,
        time,
        late: 0.0,
        rows: 6.0,
        each: 1.0,
        present: rate * time,
        riders: 400.0,
    }
}

const MILLI: Duration = Duration::from_millis(1);

/// Waits for eight rows, which usually take a millisecond to come.
fn waiting() -> Tuner {
    let mut tuner = tuner(100);
    tuner.current.gather = Some(3);
    tuner.rate = 8_000.0;
    assert_eq!(tuner.setting(THREADS).wait, 2 * MILLI);
    tuner
}

#[test]
fn at_first_nobody_waits() {
    let expected = Setting {
        size: 32,
        enough: 1,
        wait: Duration::ZERO,
        parallel: THREADS,
    };
    assert_eq!(tuner(100).setting(THREADS), expected);
}

#[test]
fn stops_waiting_when_nobody_comes() {
    let mut tuner = waiting();
    let now = Instant::now();
    let in_vain = ridden(1, MILLI, 4 * MILLI);
    for _ in 1..IN_VAIN {
        tuner.record(now, &in_vain, THREADS);
    }
    assert!(!tuner.setting(THREADS).wait.is_zero());
    tuner.record(now, &in_vain, THREADS);
    assert_eq!(tuner.setting(THREADS).wait, Duration::ZERO);
}

#[test]
fn a_batch_that_was_cut_before_its_time_says_nothing_of_waiting() {
    let mut tuner = waiting();
    for _ in 0..2 * IN_VAIN {
        tuner.record(Instant::now(), &ridden(1, MILLI, MILLI), THREADS);
    }
    assert!(!tuner.setting(THREADS).wait.is_zero());
}

#[test]
fn a_pause_makes_it_forget() {
    let mut tuner = waiting();
    let now = Instant::now();
    tuner.record(now, &ridden(8, MILLI, MILLI), THREADS);
    tuner.record(now + PAUSE, &ridden(8, MILLI, MILLI), THREADS);
    assert!(!tuner.setting(THREADS).wait.is_zero());
    let later = now + PAUSE * 2 + 3 * MILLI;
    tuner.record(later, &ridden(8, MILLI, MILLI), THREADS);
    assert_eq!(tuner.setting(THREADS).wait, Duration::ZERO);
}

#[test]
fn two_slices_of_another_load_make_it_forget() {
    for other in [
        score(16_000.0, 0.001),
        score(8_000.0, 0.003),
        Score {
            each: 2.0,
            ..score(8_000.0, 0.001)
        },
    ] {
        let mut tuner = waiting();
        for _ in 0..30 {
            assert!(!tuner.is_another_load(score(8_000.0, 0.001)));
        }
        assert!(!tuner.is_another_load(other), "it may be luck");
        assert!(tuner.is_another_load(other), "{other:?}");
    }
}

#[test]
fn the_target_bounds_what_is_tried() {
    let mut tuner = tuner(20);
    let now = Instant::now();
    // The first run does not count. One row takes a quarter of a millisecond, 32 take eight.
    for _ in 0..3 {
        tuner.record(now, &ridden(1, MILLI / 4, MILLI), THREADS);
        tuner.record(now, &ridden(32, 8 * MILLI, 9 * MILLI), THREADS);
    }
    // Two runs of 32 take 16 ms, two of 64 would take 32.
    assert_eq!(tuner.cap(), 5);
    // A model that misses it with a single row may take twice as long for many.
    let mut tuner = self::tuner(1);
    for _ in 0..3 {
        tuner.record(now, &ridden(1, 5 * MILLI, 6 * MILLI), THREADS);
        tuner.record(now, &ridden(16, 8 * MILLI, 9 * MILLI), THREADS);
    }
    assert_eq!(tuner.cap(), 4);
}

#[test]
fn what_could_not_serve_the_load_is_not_tried() {
    let mut tuner = tuner(100);
    let now = Instant::now();
    // 32 rows in four milliseconds are 8,000 a second for each thread.
    for _ in 0..3 {
        tuner.record(now, &ridden(32, 4 * MILLI, 5 * MILLI), THREADS);
    }
    let half = Point {
        halved: 1,
        ..tuner.current
    };
    assert!(tuner.may_try(half, score(15_000.0, 0.005), THREADS));
    assert!(!tuner.may_try(half, score(17_000.0, 0.005), THREADS));
}

#[test]
fn nobody_is_made_to_wait_for_many_more_than_there_are() {
    let mut tuner = tuner(100);
    let start = tuner.current;
    let gather = |gather| Point {
        gather: Some(gather),
        ..start
    };
    // Five are there at a time; in a millisecond, a hundredth of the target, comes one.
    let seen = score(1_000.0, 0.005);
    assert!(tuner.may_try(gather(3), seen, THREADS));
    assert!(!tuner.may_try(gather(4), seen, THREADS));
    // Twice as many as are gathered already may be.
    tuner.current.gather = Some(3);
    assert!(tuner.may_try(gather(4), seen, THREADS));
    assert!(!tuner.may_try(gather(5), seen, THREADS));
    tuner.current.gather = None;
    // One is there, but in a millisecond come eight.
    let seen = score(8_000.0, 0.000_1);
    assert!(tuner.may_try(gather(3), seen, THREADS));
    assert!(!tuner.may_try(gather(4), seen, THREADS));
}

#[test]
fn a_trial_that_turns_out_too_dear_is_given_up() {
    let mut tuner = tuner(100);
    let before = score(8_000.0, 0.005);
    tuner.phase = Phase::Trying {
        trial: Trial::default(),
        point: Point {
            halved: 1,
            ..tuner.current
        },
        before,
    };
    let now = Instant::now();
    let bearable = ridden(8, MILLI, 15 * MILLI);
    let too_long = ridden(8, MILLI, 20 * MILLI);
    for batch in [bearable, too_long, too_long, bearable] {
        tuner.record(now, &batch, THREADS);
        assert_eq!(tuner.setting(THREADS).parallel, THREADS / 2);
    }
    tuner.record(now, &too_long, THREADS);
    assert_eq!(tuner.setting(THREADS).parallel, THREADS);
}

#[test]
fn a_long_run_is_no_pause() {
    let mut tuner = waiting();
    let now = Instant::now();
    tuner.record(now, &ridden(8, MILLI, MILLI), THREADS);
    let took = PAUSE * 2;
    tuner.record(now + took, &ridden(8, took, took), THREADS);
    assert!(!tuner.setting(THREADS).wait.is_zero());
}

#[test]
fn a_clear_case_needs_one_turn() {
    let noise = Noise::unseen(score(8_000.0, 0.001));
    let here = score(8_000.0, 0.001);
    let table = [
        (score(9_600.0, 0.005), Verdict::Better),
        (score(6_400.0, 0.000_5), Verdict::NotBetter),
        (score(8_400.0, 0.005), Verdict::Open),
        (score(8_000.0, 0.000_5), Verdict::Open),
    ];
    for (tried, expected) in table {
        let verdict = Trial::default().turn(here, tried, here, noise);
        assert_eq!(verdict, expected, "{tried:?}");
    }
}

/// What a trial comes to whose slices are all alike.
fn outcome(here: Score, tried: Score) -> (Verdict, usize) {
    let noise = Noise::unseen(here);
    let mut trial = Trial::default();
    for turn in 1..100 {
        let verdict = trial.turn(here, tried, here, noise);
        if verdict != Verdict::Open {
            return (verdict, turn);
        }
    }
    panic!("a trial ends");
}

/// A setting in force at 8,000 rows per second, and what a trial of another comes to, turn by turn.
fn turns(noise: Noise, tried: &[Score]) -> Vec<Verdict> {
    let here = score(8_000.0, 0.001);
    let mut trial = Trial::default();
    let turn = |tried: &Score| trial.turn(here, *tried, here, noise);
    tried.iter().map(turn).collect()
}

/// Slices that differ by a hundredth, every fourth of which somebody else made a fifth slower.
fn disturbed() -> Noise {
    let usual = score(8_000.0, 0.001);
    let mut noise = Noise::unseen(usual);
    for slice in 0..200 {
        let rate = if slice % 4 == 0 { 6_400.0 } else { 8_080.0 };
        noise.learn(score(rate, 0.001), usual);
    }
    noise
}

#[test]
fn one_slice_that_somebody_else_slowed_decides_nothing() {
    use Verdict::{Better, Open};
    let (good, slowed) = (score(8_600.0, 0.005), score(7_400.0, 0.005));
    let verdicts = turns(disturbed(), &[slowed, good, good, good, good]);
    // By the mean it would be no better.
    assert_eq!(verdicts[..2], [Open, Open], "{verdicts:?}");
    assert_eq!(verdicts[3], Better, "{verdicts:?}");
    let lucky = score(8_900.0, 0.005);
    assert_eq!(turns(disturbed(), &[lucky]), [Open]);
}

#[test]
fn where_requests_come_at_random_more_time_is_for_nothing() {
    let here = score(8_000.0, 0.001);
    let slower = score(8_000.0, 0.002);
    // Before anything is known they may.
    assert_eq!(turns(Noise::unseen(here), &[slower]), [Verdict::NotBetter]);
    let mut steady = Noise::unseen(here);
    for _ in 0..50 {
        steady.learn(here, here);
    }
    assert_eq!(turns(steady, &[slower]), [Verdict::Open]);
}

#[test]
fn less_time_decides_where_rows_do_not() {
    let here = score(8_000.0, 0.001);
    assert_eq!(outcome(here, score(8_000.0, 0.000_5)), (Verdict::Better, 2));
    let (verdict, _) = outcome(here, score(8_000.0, 0.002));
    assert_eq!(verdict, Verdict::NotBetter);
    let (verdict, _) = outcome(here, here);
    assert_eq!(verdict, Verdict::NotBetter);
}

#[test]
fn what_misses_the_target_is_not_better() {
    let here = score(8_000.0, 0.001);
    let late = Score {
        late: 0.1,
        ..score(16_000.0, 0.001)
    };
    assert_eq!(outcome(here, late), (Verdict::NotBetter, 1));
    // Unless it is missed already.
    let missed = Score { late: 0.5, ..here };
    let late = Score { late: 0.6, ..late };
    assert_eq!(outcome(missed, late), (Verdict::Better, 1));
}

#[test]
fn a_load_that_grows_is_no_gain() {
    let noise = Noise::unseen(score(8_000.0, 0.001));
    let at = |rate| score(rate, 0.001);
    let mut trial = Trial::default();
    let mut rate = 8_000.0;
    for _ in 0..4 {
        let (before, tried, after) = (at(rate), at(rate * 1.2), at(rate * 1.4));
        let verdict = trial.turn(before, tried, after, noise);
        assert_ne!(verdict, Verdict::Better);
        rate *= 1.4;
    }
}

#[test]
fn steps_are_left_out_where_they_change_nothing() {
    let start = Point::start(256);
    let seen = score(8_000.0, 0.001);
    let full = Score { rows: 32.0, ..seen };
    let with = |step, seen| start.with(step, seen, 2);
    // Eight is what comes by itself.
    assert_eq!(with(Move::Gather(1), seen).unwrap().gather, Some(4));
    assert_eq!(with(Move::NoGathering, seen), None);
    assert_eq!(with(Move::Exactly, seen), None);
    assert_eq!(with(Move::MoreAtOnce, seen), None);
    assert_eq!(with(Move::Larger, seen), None);
    assert_eq!(with(Move::Smaller, seen), None);
    assert_eq!(with(Move::Larger, full).unwrap().size, 6);
    assert_eq!(with(Move::Smaller, full).unwrap().size, 4);
    let fewer = with(Move::FewerAtOnce, seen).unwrap();
    assert_eq!(fewer.with(Move::FewerAtOnce, seen, 2), None);
    assert_eq!(fewer.with(Move::MoreAtOnce, seen, 2), Some(start));
    assert_eq!(with(Move::OneAtOnce, seen), None);
    let one = start.with(Move::OneAtOnce, seen, 16).unwrap();
    assert_eq!(16 >> one.halved, 1);
    assert_eq!(one.with(Move::FewerAtOnce, seen, 16), None);
}

#[test]
fn a_slice_leaves_out_what_was_begun_before_it() {
    let mut slice = Slice::default();
    let (mut now, mut ended) = (Instant::now(), 0);
    for batch in 1..=100 {
        now += MILLI;
        let batch_of = ridden(8, MILLI, 2 * MILLI);
        if let Some(score) = slice.count(now, &batch_of, 100 * MILLI, 0.010) {
            assert!((7_900.0..8_100.0).contains(&score.rate), "{score:?}");
            assert!((15.9..16.1).contains(&score.present), "{score:?}");
            ended = batch;
            break;
        }
    }
    // Ten milliseconds, and 24 batches.
    assert_eq!(ended, 1 + 10 + 24);
}
