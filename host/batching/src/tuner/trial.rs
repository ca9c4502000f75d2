//! Whether a setting does better than the one in force, or is only lucky.
//!
//! Slices of both take turns, and each of the one on trial is held against those before and after
//! it, so that a load that grows meanwhile counts for neither. How much slices differ that had the
//! same setting says what is luck. A clear case is over after one turn. Where turns differ because
//! somebody else used the machine in some of them, there are more, and their median counts.

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
const TURNS: usize = 5;
/// Fewer turns than this have no median.
const FEW: usize = 3;
/// Luck is known from so many slices.
const REMEMBERED: f64 = 10.0;
/// Beyond so many deviations it is not luck that a slice differs, but somebody else's work.
const FAR: f64 = 2.0;
/// Of numbers that are spread normally: the standard deviation to the mean difference, and to a
/// hundredth the median's error to the mean's.
const NORMAL: f64 = 1.253;
/// The target is missed when more batches than this have a late answer.
pub(super) const MISSED: f64 = 0.05;
/// So many more late batches are no luck.
const LATE: f64 = 0.02;

/// By how much slices with the same setting differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    rate: Luck,
    time: Luck,
    /// How many slices it stands on.
    slices: f64,
}

/// The same of one figure, as logarithms.
#[derive(Debug, Clone, Copy)]
struct Luck {
    /// The mean of the squares: also of slices in which somebody else used the machine.
    square: f64,
    /// The mean of the differences, without what is far beyond it: of the other slices.
    difference: f64,
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    NotBetter,
    /// Another turn.
    Open,
}

/// What the turns came to, as logarithms.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trial {
    turns: usize,
    rates: [f64; 2 * TURNS],
    times: [f64; 2 * TURNS],
    late: f64,
    /// Whether requests come as they come, whatever is set: then more time is for nothing.
    at_random: bool,
}

impl Luck {
    fn new(deviation: f64) -> Self {
        Self {
            square: deviation * deviation,
            difference: deviation / NORMAL,
        }
    }

    fn learn(&mut self, gain: f64, weight: f64) {
        // What differs more than twofold is another load, and not luck.
        self.square += weight * ((gain * gain).min(0.25) - self.square);
        let near = gain.abs().min(self.far());
        self.difference += weight * (near - self.difference);
    }

    /// What differs by more than this is not of luck.
    fn far(self) -> f64 {
        FAR * NORMAL * self.difference
    }

    /// The standard error of so many turns, of which one batch more or less in a slice is a part
    /// in any case. Of few turns it is the mean's, and of more the median's: that is the same
    /// whatever happened in one of them.
    fn error(self, turns: usize) -> f64 {
        let (deviation, factor) = if turns < FEW {
            (self.square.sqrt(), 1.0)
        } else {
            (NORMAL * self.difference, NORMAL)
        };
        // One slice, and the mean of two.
        let of_turn = 1.5_f64.sqrt() * deviation.max(0.5 / BATCHES as f64);
        factor * of_turn / (turns as f64).sqrt()
    }
}

impl Noise {
    /// Before it was seen: as much as where requests come at random, which is more than clients
    /// that wait for answers make.
    pub(super) fn unseen(score: Score) -> Self {
        let luck = Luck::new(1.0 / score.riders.max(1.0).sqrt());
        Self {
            rate: luck,
            time: luck,
            slices: 2.0,
        }
    }

    /// A slice with the setting in force, and what is usual with it.
    pub(super) fn learn(&mut self, one: Score, usual: Score) {
        self.slices = (self.slices + 1.0).min(REMEMBERED);
        let weight = 1.0 / self.slices;
        self.rate.learn(gain(one.rate, usual.rate), weight);
        self.time.learn(gain(one.time, usual.time), weight);
    }

    /// Whether rows per second differ as much as where requests come at random. Clients that wait
    /// for answers make them differ less.
    fn is_at_random(self, score: Score) -> bool {
        NORMAL * self.rate.difference > 0.7 / score.riders.max(1.0).sqrt()
    }

    /// By how much rows per second differ at most by luck.
    pub(super) fn far_rate(self) -> f64 {
        self.rate.far()
    }

    /// The same of the time of a request.
    pub(super) fn far_time(self) -> f64 {
        self.time.far()
    }

    /// The standard deviation of a slice's rows per second.
    pub(super) fn of_rate(self) -> f64 {
        self.rate.square.sqrt()
    }

    /// The same of the time of a request.
    pub(super) fn of_time(self) -> f64 {
        self.time.square.sqrt()
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
        let turn = self.turns;
        self.rates[turn] = gain(tried.rate, (before.rate + after.rate) / 2.0);
        self.times[turn] = gain(tried.time, (before.time + after.time) / 2.0);
        self.late += tried.late - (before.late + after.late) / 2.0;
        self.turns += 1;
        self.at_random = noise.is_at_random(before);
        // Where the target is missed already, only more rows per second help.
        let is_late = self.late > LATE * self.turns as f64;
        if is_late && before.late.max(after.late) <= MISSED {
            return Verdict::NotBetter;
        }
        self.verdict(noise)
    }

    fn verdict(&self, noise: Noise) -> Verdict {
        let turns = self.turns;
        let rate = typical(&self.rates[..turns]);
        let time = typical(&self.times[..turns]);
        let (of_rate, of_time) = (noise.rate.error(turns), noise.time.error(turns));
        if rate > WORTH && rate > SURE * of_rate {
            return Verdict::Better;
        }
        if rate < -WORTH && rate - WORTH < -DOUBTFUL * of_rate {
            return Verdict::NotBetter;
        }
        if turns > 1 && rate > -WORTH && time < -2.0 * WORTH && time < -SURE * of_time {
            return Verdict::Better;
        }
        let slower = self.at_random && rate < WORTH && time - WORTH > DOUBTFUL * of_time;
        let promising = rate > WORTH && rate > LIKELY * of_rate;
        if promising && turns >= 2 * TURNS {
            return Verdict::Better;
        }
        if !promising && (slower || turns >= TURNS) {
            return Verdict::NotBetter;
        }
        Verdict::Open
    }
}

/// The mean of few, the median of more.
fn typical(turns: &[f64]) -> f64 {
    let count = turns.len();
    if count < FEW {
        return turns.iter().sum::<f64>() / count.max(1) as f64;
    }
    let mut sorted = turns.to_vec();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2])
}

/// By how much `one` is more than `other`, as a logarithm.
pub(super) fn gain(one: f64, other: f64) -> f64 {
    (one.max(1e-9) / other.max(1e-9)).ln()
}
