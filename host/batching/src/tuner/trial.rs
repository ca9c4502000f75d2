//! Whether a setting does better than the one in force, or is only lucky.
//!
//! Slices of both take turns, and each of the one on trial is held against those before and after
//! it, so that a load that grows meanwhile counts for neither. How much slices differ that had the
//! same setting says what is luck. A clear case is over after one turn.

use super::slice::{BATCHES, Score};

/// How much more rows per second, or how much less time, is worth a change.
const WORTH: f64 = 0.02;
/// So many standard errors are no luck: once in two hundred trials.
const SURE: f64 = 2.5;
/// So many need not be luck: worth more turns, and a change if it stays so. Were it luck after all,
/// the way back is a trial too.
const LIKELY: f64 = 1.5;
/// So many are enough to give a trial up: that costs little, it comes again.
const DOUBTFUL: f64 = 1.0;
/// After so many turns there is nothing to be found that would be worth it; what looks better but
/// not surely has twice as many.
const TURNS: usize = 4;
/// Luck is known from so many pairs of slices.
const REMEMBERED: f64 = 10.0;
/// The target is missed when more batches than this have a late answer.
pub(super) const MISSED: f64 = 0.05;
/// So many more late batches are no luck.
const LATE: f64 = 0.02;

/// By how much slices with the same setting differ, as logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    rate: f64,
    time: f64,
    /// How many pairs of slices it stands on.
    pairs: f64,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    NotBetter,
    /// Another turn.
    Open,
}

/// Sums over turns.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trial {
    turns: usize,
    rate: f64,
    time: f64,
    late: f64,
}

impl Noise {
    /// Before it was seen: as much as where requests come at random, which is more than clients
    /// that wait for answers make.
    pub(super) fn unseen(score: Score) -> Self {
        let square = 1.0 / score.riders.max(1.0);
        Self {
            rate: square,
            time: square,
            pairs: 2.0,
        }
    }

    /// A slice with the setting in force, and what is usual with it.
    pub(super) fn learn(&mut self, one: Score, usual: Score) {
        self.pairs = (self.pairs + 1.0).min(REMEMBERED);
        let learn = |known: &mut f64, one: f64, other: f64| {
            let square = gain(one, other).powi(2);
            // What differs more than twofold is another load, and not luck.
            *known += (square.min(0.25) - *known) / self.pairs;
        };
        learn(&mut self.rate, one.rate, usual.rate);
        learn(&mut self.time, one.time, usual.time);
    }

    /// The standard deviation of a slice's rows per second, of which one batch more or less is a
    /// part in any case.
    pub(super) fn of_rate(self) -> f64 {
        self.rate.sqrt().max(0.5 / BATCHES as f64)
    }

    /// The same of the time of a request.
    pub(super) fn of_time(self) -> f64 {
        self.time.sqrt().max(0.5 / BATCHES as f64)
    }
}

impl Trial {
    /// A slice on trial, between two with what is in force.
    pub(super) fn turn(
        &mut self,
        before: Score,
        tried: Score,
        after: Score,
        noise: Noise,
    ) -> Verdict {
        self.turns += 1;
        self.rate += gain(tried.rate, (before.rate + after.rate) / 2.0);
        self.time += gain(tried.time, (before.time + after.time) / 2.0);
        self.late += tried.late - (before.late + after.late) / 2.0;
        let turns = self.turns as f64;
        let (rate, time, late) = (self.rate / turns, self.time / turns, self.late / turns);
        // Where the target is missed already, only more rows per second help.
        if late > LATE && before.late.max(after.late) <= MISSED {
            return Verdict::NotBetter;
        }
        // One slice, and the mean of two.
        let errors = |gain: f64, noise: f64| gain * (turns / 1.5).sqrt() / noise;
        let (of_rate, of_time) = (noise.of_rate(), noise.of_time());
        if rate > WORTH && errors(rate, of_rate) > SURE {
            return Verdict::Better;
        }
        if errors(rate - WORTH, of_rate) < -DOUBTFUL && rate < -WORTH {
            return Verdict::NotBetter;
        }
        if self.turns > 1 && rate > -WORTH && time < -2.0 * WORTH && errors(time, of_time) < -SURE {
            return Verdict::Better;
        }
        let slower = self.turns > 1 && errors(time - WORTH, of_time) > DOUBTFUL;
        let promising = rate > WORTH && errors(rate, of_rate) > LIKELY;
        if promising && self.turns >= 2 * TURNS {
            return Verdict::Better;
        }
        if !promising && (slower || self.turns >= TURNS) {
            return Verdict::NotBetter;
        }
        Verdict::Open
    }
}

/// By how much `one` is more than `other`, as a logarithm.
pub(super) fn gain(one: f64, other: f64) -> f64 {
    (one.max(1e-9) / other.max(1e-9)).ln()
}
