//! The adaptive mode: finds rows per batch, waiting time and runs at once by trying.
//!
//! Time is cut into epochs. In every third epoch another setting of one knob is tried: the epoch
//! before and the one after it run with what is in force, so that a load that grows or shrinks
//! meanwhile shows, and then the trial does not count. A trial that did better is taken.
//!
//! Better is, in this order: fewer answers later than the target; more rows per second; less time
//! per request. When requests come more slowly than they could be served, all settings give the
//! same rows per second, and the third decides: nothing waits without need. When as many clients
//! as there are wait for answers, the second decides.
//!
//! Where several waits in a row bring nobody, waiting ends at once: the load that it was good for
//! is gone.
//!
//! After a round without a find the tuner rests, twice as long each time; a load that has changed
//! wakes it.

use std::time::{Duration, Instant};

use crate::options::{Adaptive, LaneOptions};

/// What rules the batches of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Rows of a batch.
    pub(crate) size: usize,
    /// How long a request may wait for others while a thread is idle.
    pub(crate) wait: Duration,
    /// Batches of this lane that may run at once.
    pub(crate) parallel: usize,
}

/// What the tuner sees of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ridden {
    pub(crate) rows: usize,
    pub(crate) riders: usize,
    /// The run itself.
    pub(crate) took: Duration,
    /// From arrival to answer, all riders together.
    pub(crate) stayed: Duration,
    /// The longest of these.
    pub(crate) longest: Duration,
}

/// An epoch has at least so many batches, and takes at least so long.
const BATCHES: usize = 24;
const LEAST: Duration = Duration::from_millis(80);
/// An epoch ends after this long whatever it has seen.
const MOST: Duration = Duration::from_secs(1);
/// How much more rows per second, or less time, is better and not luck.
const MARGIN: f64 = 0.02;
/// Two epochs with the same setting that differ more than this saw different loads.
const DRIFT: f64 = 0.15;
/// The target is missed when more batches than this have a late answer.
const MISSED: f64 = 0.05;
/// The longest rest, in epochs.
const LONGEST_REST: u32 = 16;
/// Waits that bring nobody, one after the other, before waiting ends.
const IN_VAIN: usize = 8;
/// Waiting times that are tried.
const WAITS: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
];

/// Finds a setting for one lane.
#[derive(Debug)]
pub(crate) struct Tuner {
    target: Duration,
    largest: usize,
    current: Point,
    epoch: Epoch,
    phase: Phase,
    /// Which trial is next in the round, and how many were made since the last find.
    turn: usize,
    fruitless: usize,
    rest: u32,
    resting: u32,
    /// Rows per second when the rest began.
    known_rate: f64,
    /// Waits in a row that brought nobody.
    in_vain: usize,
}

/// A setting by the steps of its knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    /// Rows are 2 to this, or the largest there may be.
    size: u32,
    wait: usize,
    /// Threads left unused.
    spare: usize,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The setting in force, before a trial.
    Before,
    Trial {
        before: Score,
        point: Point,
    },
    /// The setting in force, after it.
    After {
        before: Score,
        trial: Score,
        point: Point,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Epoch {
    start: Option<Instant>,
    batches: usize,
    rows: usize,
    riders: usize,
    late: usize,
    stayed: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Score {
    /// Rows per second.
    rate: f64,
    /// Seconds per request.
    time: f64,
    /// Share of batches with an answer later than the target.
    late: f64,
}

impl Tuner {
    pub(crate) fn new(adaptive: Adaptive, options: &LaneOptions) -> Self {
        let largest = options.execution_batch_size();
        Self {
            target: adaptive.latency_target,
            largest,
            current: Point {
                size: steps(largest),
                wait: 0,
                spare: 0,
            },
            epoch: Epoch::default(),
            phase: Phase::Before,
            turn: 0,
            fruitless: 0,
            rest: 1,
            resting: 0,
            known_rate: 0.0,
            in_vain: 0,
        }
    }

    /// What is in force, or on trial.
    pub(crate) fn setting(&self, threads: usize) -> Setting {
        let point = match self.phase {
            Phase::Trial { point, .. } => point,
            Phase::Before | Phase::After { .. } => self.current,
        };
        Setting {
            size: 1_usize
                .checked_shl(point.size)
                .map_or(self.largest, |size| size.min(self.largest)),
            wait: WAITS[point.wait].min(self.target / 4),
            parallel: threads.saturating_sub(point.spare).max(1),
        }
    }

    /// A batch was run.
    pub(crate) fn record(&mut self, now: Instant, ridden: &Ridden, threads: usize) {
        let alone = ridden.riders == 1 && !self.setting(threads).wait.is_zero();
        self.in_vain = if alone { self.in_vain + 1 } else { 0 };
        if self.in_vain >= IN_VAIN {
            self.current.wait = 0;
            self.phase = Phase::Before;
            self.epoch = Epoch::default();
            self.in_vain = 0;
            return;
        }
        let epoch = &mut self.epoch;
        let start = *epoch.start.get_or_insert(now);
        epoch.batches += 1;
        epoch.rows += ridden.rows;
        epoch.riders += ridden.riders;
        epoch.stayed += ridden.stayed;
        epoch.late += usize::from(ridden.longest > self.target);
        let length = now.saturating_duration_since(start);
        let full = epoch.batches >= BATCHES && length >= LEAST;
        if full || (length >= MOST && epoch.batches > 1) {
            let score = epoch.score(length);
            *epoch = Epoch {
                // The batch that ended the epoch starts the next: rates are counted between ends.
                start: Some(now),
                ..Epoch::default()
            };
            self.step(score, threads);
        }
    }

    fn step(&mut self, score: Score, threads: usize) {
        match self.phase {
            Phase::Before if self.resting > 0 => {
                self.resting -= 1;
                if differ(score.rate, self.known_rate) > 2.0 * DRIFT || score.late > MISSED {
                    self.resting = 0;
                    self.rest = 1;
                    self.fruitless = 0;
                }
            }
            Phase::Before => {
                if let Some(point) = self.next_trial(threads) {
                    let before = score;
                    self.phase = Phase::Trial { before, point };
                } else {
                    self.lie_down(score);
                }
            }
            Phase::Trial { before, point } => {
                self.phase = Phase::After {
                    before,
                    trial: score,
                    point,
                }
            }
            Phase::After {
                before,
                trial,
                point,
            } => {
                self.phase = Phase::Before;
                let steady = differ(before.rate, score.rate) < DRIFT;
                if steady && trial.is_better_than(before) && trial.is_better_than(score) {
                    self.current = point;
                    self.fruitless = 0;
                    self.rest = 1;
                    // The same direction once more.
                    self.turn = self.turn.wrapping_sub(1);
                } else {
                    self.fruitless += 1;
                    if self.fruitless >= TRIALS.len() {
                        self.lie_down(score);
                    }
                }
            }
        }
    }

    fn lie_down(&mut self, score: Score) {
        self.fruitless = 0;
        self.known_rate = score.rate;
        self.resting = self.rest;
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    /// The next setting to try, beside the one in force; `None` when none is left of this round.
    fn next_trial(&mut self, threads: usize) -> Option<Point> {
        for _ in 0..TRIALS.len() {
            let trial = TRIALS[self.turn % TRIALS.len()];
            self.turn = self.turn.wrapping_add(1);
            let here = self.current;
            let point = match trial {
                Trial::FewerAtOnce => Point {
                    spare: here.spare + 1,
                    ..here
                },
                Trial::MoreAtOnce => Point {
                    spare: here.spare.wrapping_sub(1),
                    ..here
                },
                Trial::LongerWait => Point {
                    wait: here.wait + 1,
                    ..here
                },
                Trial::MuchLongerWait => Point {
                    wait: here.wait + 3,
                    ..here
                },
                Trial::ShorterWait => Point {
                    wait: here.wait.wrapping_sub(1),
                    ..here
                },
                Trial::NoWait => Point { wait: 0, ..here },
                Trial::Smaller => Point {
                    size: here.size.wrapping_sub(1),
                    ..here
                },
                Trial::Larger => Point {
                    size: here.size.saturating_add(1),
                    ..here
                },
            };
            let possible = point.spare < threads.max(1)
                && point.wait < WAITS.len()
                && WAITS[point.wait] <= self.target / 4
                && point.size <= steps(self.largest);
            if possible && point != here {
                return Some(point);
            }
            self.fruitless += 1;
        }
        None
    }
}

#[derive(Debug, Clone, Copy)]
enum Trial {
    FewerAtOnce,
    LongerWait,
    MuchLongerWait,
    Smaller,
    MoreAtOnce,
    ShorterWait,
    NoWait,
    Larger,
}

const TRIALS: [Trial; 8] = [
    Trial::FewerAtOnce,
    Trial::LongerWait,
    Trial::MuchLongerWait,
    Trial::Smaller,
    Trial::MoreAtOnce,
    Trial::ShorterWait,
    Trial::NoWait,
    Trial::Larger,
];

impl Epoch {
    fn score(&self, length: Duration) -> Score {
        let seconds = length.as_secs_f64().max(1e-6);
        Score {
            rate: self.rows as f64 / seconds,
            time: self.stayed.as_secs_f64() / self.riders.max(1) as f64,
            late: self.late as f64 / self.batches.max(1) as f64,
        }
    }
}

impl Score {
    fn is_better_than(self, other: Self) -> bool {
        // A late batch in a hundred is what a 99th percentile allows.
        let (late, other_late) = (self.late.max(0.01), other.late.max(0.01));
        if (late - other_late).abs() > 0.02 {
            return late < other_late;
        }
        if late > MISSED {
            // Both miss the target: on the way to it, whatever that costs.
            return self.time < other.time * (1.0 - 2.0 * MARGIN);
        }
        let gain = self.rate / other.rate.max(1e-9) - 1.0;
        if gain.abs() > MARGIN {
            return gain > 0.0;
        }
        self.time < other.time * (1.0 - 2.0 * MARGIN)
    }
}

fn differ(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.max(b).max(1e-9)
}

/// The power of two that is at least `size`.
fn steps(size: usize) -> u32 {
    size.max(1).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests;
