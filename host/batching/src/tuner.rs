//! The adaptive mode: finds rows per batch, for how many of them requests wait, and runs at once.
//!
//! What rules at first can do no harm: nobody waits, and a batch takes what is there when a thread
//! is free. From there a setting beside the one in force is tried for slices of time that take
//! turns with it ([`trial`]), and stays if it did better. After a round without a find the tuner
//! rests, twice as long each time.
//!
//! Better is, in this order: fewer answers later than the target; more rows per second; less time
//! per request. When requests come more slowly than they could be served, all settings give the
//! same rows per second, and the third decides: nothing waits without need. When as many clients
//! as there are wait for answers, the second decides.
//!
//! What was measured says what is not worth a trial, or would be too dear: how long requests wait
//! for others follows from how many come in a second; no batch is larger than the target allows
//! by what runs take; where requests meet nobody, there is nothing to try.
//!
//! A load that is another than before (rows of a request, rows per second, times) makes the tuner
//! start again at once, and so do several waits in a row that did not bring what they were for.

mod moves;
mod slice;
mod trial;

use std::time::{Duration, Instant};

use crate::options::{Adaptive, LaneOptions};
use crate::pace::Pace;
use moves::{MOVES, Point, steps};
use slice::{MOST, Score, Slice};
use trial::{MISSED, Noise, Trial, Verdict, gain};

/// What rules the batches of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Rows of a batch at most.
    pub(crate) size: usize,
    /// When so many rows are there, nobody waits for more.
    pub(crate) enough: usize,
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

/// A batch has so many rows at first, as a power of two. Where runs are dear to begin, 32 rows
/// have most of what there is to gain; where more do better, that is found in some slices.
const START: u32 = 5;
/// Waits in a row that do not bring what they are for, before the load is taken for another.
const IN_VAIN: usize = 8;
/// The same for a setting on trial: it is given up.
const IN_VAIN_ON_TRIAL: usize = 2;
/// Batches of a trial that take too long, before it is given up.
const TOO_DEAR: usize = 3;
/// How long a wait may be, in times that so many rows usually take to come: half of the usual
/// rate is no reason to break off.
const PATIENCE: f64 = 2.0;
/// A rate that differs by more than this, as a logarithm, is another load, unless rates vary.
const OTHER: f64 = 0.35;
/// The first rest and the longest. A round of trials takes some tenths of a second, so that most
/// requests meet none; what was missed is found within the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(8);
/// After a pause of this length nothing is known of the load any more.
const PAUSE: Duration = MOST;

/// Finds a setting for one lane.
#[derive(Debug)]
pub(crate) struct Tuner {
    target: Duration,
    largest: usize,
    current: Point,
    phase: Phase,
    slice: Slice,
    /// How much slices differ by luck; none before the first one.
    noise: Option<Noise>,
    /// What runs took.
    pace: Pace,
    /// The largest size that the target allows, as a power of two.
    cap: u32,
    /// What is usual with the setting in force; none when it is new.
    usual: Option<Score>,
    /// Rows per second lately.
    rate: f64,
    /// Slices in a row that are of another load.
    strange: usize,
    /// Waits in a row that did not bring what they were for.
    in_vain: usize,
    /// Batches of this trial that took too long.
    too_dear: usize,
    last: Option<Instant>,
    /// Which move is next in the round, and how many were made since the last find.
    turn: usize,
    fruitless: usize,
    rest: Duration,
    rests_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The setting in force.
    Steady,
    /// Another one.
    Trying {
        trial: Trial,
        point: Point,
        before: Score,
    },
    /// The one in force, after the other.
    Comparing {
        trial: Trial,
        point: Point,
        before: Score,
        tried: Score,
    },
}

impl Tuner {
    pub(crate) fn new(adaptive: Adaptive, options: &LaneOptions) -> Self {
        let largest = options.execution_batch_size();
        Self {
            target: adaptive.latency_target,
            largest,
            current: Point::start(largest),
            phase: Phase::Steady,
            slice: Slice::default(),
            noise: None,
            pace: Pace::default(),
            cap: steps(largest as f64),
            usual: None,
            rate: 0.0,
            strange: 0,
            in_vain: 0,
            too_dear: 0,
            last: None,
            turn: 0,
            fruitless: 0,
            rest: FIRST_REST,
            rests_until: None,
        }
    }

    /// What is in force, or on trial.
    pub(crate) fn setting(&self, threads: usize) -> Setting {
        let point = match self.phase {
            Phase::Trying { point, .. } => point,
            Phase::Steady | Phase::Comparing { .. } => self.current,
        };
        let size = self.rows(point.size.min(self.cap));
        let gather = point.gather.map(|gather| self.rows(gather).min(size));
        Setting {
            size,
            enough: gather.unwrap_or(1),
            wait: gather.map_or(Duration::ZERO, |rows| self.wait_for(rows)),
            parallel: (threads >> point.halved.min(usize::BITS - 1)).max(1),
        }
    }

    /// A batch was run.
    pub(crate) fn record(&mut self, now: Instant, ridden: &Ridden, threads: usize) {
        let last = self.last.replace(now);
        // A run that takes long is no pause.
        let idle = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if idle.saturating_sub(ridden.took) > PAUSE {
            self.start_again();
        }
        self.pace.record(now, ridden.rows, ridden.took);
        if self.has_failed(ridden, threads) {
            return;
        }
        let usual = self.usual.map_or(0.0, |usual| usual.time);
        if let Some(score) = self.slice.count(now, ridden, self.target, usual) {
            self.slice = Slice::default();
            self.cap = self.cap();
            self.step(score, now, threads);
        }
    }

    /// Whether what rules is at once seen to be wrong: a trial is given up, and what is in force
    /// is forgotten.
    fn has_failed(&mut self, ridden: &Ridden, threads: usize) -> bool {
        let setting = self.setting(threads);
        if setting.wait.is_zero() || ridden.rows >= setting.enough {
            self.in_vain = 0;
        } else if ridden.longest.saturating_sub(ridden.took) >= setting.wait {
            self.in_vain += 1;
        }
        match self.phase {
            Phase::Trying { before, .. } => {
                self.too_dear += usize::from(self.is_too_dear(ridden, before));
                let failed = self.in_vain >= IN_VAIN_ON_TRIAL || self.too_dear >= TOO_DEAR;
                if failed {
                    self.slice = Slice::default();
                    self.phase = Phase::Steady;
                    self.usual = Some(before);
                    (self.in_vain, self.too_dear) = (0, 0);
                }
                failed
            }
            Phase::Steady | Phase::Comparing { .. } => {
                self.too_dear = 0;
                let failed = self.in_vain >= IN_VAIN;
                if failed {
                    self.start_again();
                }
                failed
            }
        }
    }

    /// Whether a batch on trial was later than the target, or than `may_try` promises.
    fn is_too_dear(&self, ridden: &Ridden, before: Score) -> bool {
        let mean = ridden.stayed.as_secs_f64() / ridden.riders.max(1) as f64;
        let promised = 3.0 * before.time + PATIENCE * self.nothing().as_secs_f64();
        mean > promised || (ridden.longest > self.target && before.late <= MISSED)
    }

    /// Forgets all but what runs take.
    fn start_again(&mut self) {
        self.current = Point::start(self.largest);
        self.phase = Phase::Steady;
        self.slice = Slice::default();
        self.noise = None;
        self.usual = None;
        self.strange = 0;
        self.in_vain = 0;
        self.too_dear = 0;
        self.turn = 0;
        self.fruitless = 0;
        self.rest = FIRST_REST;
        self.rests_until = None;
    }

    /// A slice has ended.
    fn step(&mut self, score: Score, now: Instant, threads: usize) {
        if let Phase::Trying {
            trial,
            point,
            before,
        } = self.phase
        {
            self.phase = Phase::Comparing {
                trial,
                point,
                before,
                tried: score,
            };
            return;
        }
        self.rate = score.rate;
        if self.is_another_load(score) {
            self.start_again();
            return;
        }
        match self.phase {
            Phase::Comparing {
                mut trial,
                point,
                before,
                tried,
            } => {
                let noise = self.noise.unwrap_or(Noise::unseen(score));
                match trial.turn(before, tried, score, noise) {
                    Verdict::Open => {
                        self.phase = Phase::Trying {
                            trial,
                            point,
                            before: score,
                        };
                    }
                    Verdict::Better => self.take(point),
                    Verdict::NotBetter => self.next(score, now, threads),
                }
            }
            _ => {
                let rests = self.rests_until.is_some_and(|until| now < until);
                if !rests || score.late > MISSED {
                    self.rests_until = None;
                    self.next(score, now, threads);
                }
            }
        }
    }

    fn take(&mut self, point: Point) {
        self.current = point;
        self.phase = Phase::Steady;
        self.usual = None;
        self.fruitless = 0;
        self.rest = FIRST_REST;
        // The same direction once more.
        self.turn = self.turn.wrapping_sub(1);
    }

    /// Whether this slice and the one before it are of another load than the usual one.
    fn is_another_load(&mut self, score: Score) -> bool {
        let noise = *self.noise.get_or_insert(Noise::unseen(score));
        let Some(usual) = self.usual else {
            self.usual = Some(score);
            return false;
        };
        let limit = OTHER.max(4.0 * noise.of_rate());
        let limit_of_time = (2.0 * OTHER).max(4.0 * noise.of_time());
        let rate = gain(score.rate, usual.rate).abs();
        let time = gain(score.time, usual.time).abs();
        let each = gain(score.each, usual.each).abs();
        let is_strange = rate > limit || time > limit_of_time || each > OTHER;
        if is_strange {
            self.strange += 1;
        } else {
            self.strange = 0;
            let noise = self.noise.get_or_insert(noise);
            noise.learn(score, usual);
            self.usual = Some(score.after(usual, *noise));
        }
        self.strange > 1
    }

    /// Tries the next setting, or rests when none is left of this round.
    fn next(&mut self, score: Score, now: Instant, threads: usize) {
        self.phase = Phase::Steady;
        if score.present < 1.0 {
            // Most requests meet nobody.
            self.current.gather = None;
            return;
        }
        while self.fruitless < MOVES.len() {
            let step = MOVES[self.turn % MOVES.len()];
            self.turn = self.turn.wrapping_add(1);
            self.fruitless += 1;
            let point = self.current.with(step, score, threads);
            if let Some(point) = point.filter(|point| self.may_try(*point, score, threads)) {
                self.phase = Phase::Trying {
                    trial: Trial::default(),
                    point,
                    before: score,
                };
                return;
            }
        }
        self.fruitless = 0;
        self.rests_until = Some(now + self.rest);
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }

    /// What a trial may cost is bounded: as many rows as are there come in the time that requests
    /// take, so that to gather twice as many makes them take three times as long at worst; twice as
    /// many as are gathered already take twice as long. And a hundredth of the target is nothing.
    ///
    /// What could not serve what comes, however large its batches, would only make a queue.
    fn may_try(&self, point: Point, seen: Score, threads: usize) -> bool {
        let there = seen.present * seen.each;
        let nothing = self.nothing().as_secs_f64() * seen.rate;
        let gathered = self.current.gather.map_or(0, |gather| self.rows(gather));
        let most = nothing.max(2.0 * there).max(2.0 * gathered as f64);
        let is_bearable = |gather| self.rows(gather) as f64 <= most;
        let is_more = point.gather > self.current.gather;
        let is_less = point.size < self.current.size || point.halved > self.current.halved;
        if is_less && self.capacity(point, threads) < seen.rate {
            return false;
        }
        point.size <= self.cap && (!is_more || point.gather.is_none_or(is_bearable))
    }

    /// As long as so many rows take to come.
    fn wait_for(&self, rows: usize) -> Duration {
        let seconds = PATIENCE * rows as f64 / self.rate.max(1e-3);
        Duration::try_from_secs_f64(seconds)
            .map_or(self.longest_wait(), |wait| wait.min(self.longest_wait()))
    }

    /// Rows per second in full batches, as far as runs tell.
    fn capacity(&self, point: Point, threads: usize) -> f64 {
        let run = self.run_time(point.size, steps(self.largest as f64));
        let parallel = (threads >> point.halved.min(usize::BITS - 1)).max(1);
        run.map_or(f64::INFINITY, |run| {
            parallel as f64 * self.rows(point.size) as f64 / run.as_secs_f64().max(1e-9)
        })
    }

    /// A wait that nobody notices.
    fn nothing(&self) -> Duration {
        self.target / 100
    }

    /// The rest of the target is for the run, and for the one before it.
    fn longest_wait(&self) -> Duration {
        self.target / 4
    }

    fn rows(&self, steps: u32) -> usize {
        let rows = 1_usize.checked_shl(steps);
        rows.map_or(self.largest, |rows| rows.min(self.largest))
    }

    /// The largest size for which the target has room: a request may come when a run has just
    /// begun, and then waits for two. Where even one row takes longer, what takes twice as long.
    fn cap(&self) -> u32 {
        let most = steps(self.largest as f64);
        let Some(least) = self.run_time(0, most) else {
            return most;
        };
        let room = (self.target / 2).max(2 * least);
        let fits = |size: &u32| self.run_time(*size, most).is_none_or(|time| time <= room);
        (0..=most).rev().find(fits).unwrap_or(0)
    }

    /// What a run of 2 to this rows takes: what it took, or in proportion to a smaller one, which
    /// is more than it will, or as a larger one.
    fn run_time(&self, size: u32, most: u32) -> Option<Duration> {
        let of = |size: u32| self.pace.of(self.rows(size));
        let smaller = (0..=size).rev().find_map(|less| {
            let time = of(less)?;
            Some(time.saturating_mul(1_u32.checked_shl(size - less).unwrap_or(u32::MAX)))
        });
        smaller.or_else(|| (size..=most).find_map(of))
    }
}

impl Point {
    fn start(largest: usize) -> Self {
        Self {
            size: START.min(steps(largest as f64)),
            gather: None,
            halved: 0,
        }
    }
}

#[cfg(test)]
mod tests;
