//! What a slice of time was like.

use std::time::{Duration, Instant};

use super::Ridden;
use super::trial::{Noise, gain};

/// A slice has at least so many batches: with fewer, one more or less is a large part of it.
pub(super) const BATCHES: usize = 24;
/// And so many requests: they may come at random.
const RIDERS: usize = 64;
/// And takes at least so long: on a machine with other work, less is a matter of luck.
const LEAST: Duration = Duration::from_millis(20);
/// How much a slice counts for what is usual. A slice in which the load changes is of both loads:
/// it must not make the next one look usual.
const RENEWED: f64 = 0.15;
/// After so long fewer are enough, where runs take long or few requests come.
pub(super) const MOST: Duration = Duration::from_secs(1);
const FEWEST: usize = 8;

/// What is counted.
///
/// What ends first after a change was begun before it, and clients need a turn to fall into a new
/// step: so what requests take on average is left out at the start, and has to pass once more.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slice {
    begun: Option<Instant>,
    /// When counting began.
    start: Option<Instant>,
    batches: usize,
    rows: usize,
    riders: usize,
    late: usize,
    stayed: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Rows per second.
    pub(super) rate: f64,
    /// Seconds from arrival to answer, of a request.
    pub(super) time: f64,
    /// Share of batches with an answer later than the target.
    pub(super) late: f64,
    /// Rows of a batch.
    pub(super) rows: f64,
    /// Rows of a request.
    pub(super) each: f64,
    /// Requests that were there at a time.
    pub(super) present: f64,
    /// Requests that were counted.
    pub(super) riders: f64,
}

impl Slice {
    /// Counts a batch, and gives the score where that ended the slice. `usual` is what requests
    /// take.
    pub(super) fn count(
        &mut self,
        now: Instant,
        ridden: &Ridden,
        target: Duration,
        usual: f64,
    ) -> Option<Score> {
        let usual = Duration::from_secs_f64(usual.min(MOST.as_secs_f64() / 2.0));
        let begun = *self.begun.get_or_insert(now);
        let Some(start) = self.start else {
            if now.saturating_duration_since(begun) >= usual.max(LEAST / 4) {
                self.start = Some(now);
            }
            return None;
        };
        self.batches += 1;
        self.rows += ridden.rows;
        self.riders += ridden.riders;
        self.late += usize::from(ridden.longest > target);
        self.stayed += ridden.stayed;
        let length = now.saturating_duration_since(start);
        let full = self.batches >= BATCHES && self.riders >= RIDERS && length >= LEAST.max(usual);
        (full || (length >= MOST && self.batches >= FEWEST)).then(|| self.score(length))
    }

    fn score(&self, length: Duration) -> Score {
        let seconds = length.as_secs_f64().max(1e-6);
        let riders = self.riders.max(1) as f64;
        let batches = self.batches.max(1) as f64;
        Score {
            rate: self.rows as f64 / seconds,
            time: self.stayed.as_secs_f64() / riders,
            late: self.late as f64 / batches,
            rows: self.rows as f64 / batches,
            each: self.rows as f64 / riders,
            present: self.stayed.as_secs_f64() / seconds,
            riders,
        }
    }
}

impl Score {
    /// This, and a little of what was before; of rates and times that are far off, only the
    /// direction counts.
    pub(super) fn after(self, before: Self, noise: Noise) -> Self {
        let mix = |before: f64, now: f64| before + RENEWED * (now - before);
        let near = |before: f64, now: f64, far: f64| {
            let far = RENEWED * far;
            before * (RENEWED * gain(now, before)).clamp(-far, far).exp()
        };
        Self {
            rate: near(before.rate, self.rate, noise.far_rate()),
            time: near(before.time, self.time, noise.far_time()),
            late: mix(before.late, self.late),
            rows: mix(before.rows, self.rows),
            each: mix(before.each, self.each),
            present: mix(before.present, self.present),
            riders: self.riders,
        }
    }
}
