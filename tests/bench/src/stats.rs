//! Medians and tails of what was measured. No figure is a mean: one slow sample would be in it.

use std::fmt;
use std::time::Duration;

/// Samples of one thing, sorted.
#[derive(Debug)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Sorts what was measured.
    ///
    /// # Panics
    /// When there is none: a figure without a sample would be a lie.
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        assert!(!samples.is_empty(), "nothing was measured");
        samples.sort_unstable();
        Self(samples)
    }

    /// Runs `work` `count` times after a tenth as many that do not count, and times each.
    pub(crate) fn of<E>(count: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        for _ in 0..count / 10 {
            work()?;
        }
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let start = std::time::Instant::now();
            work()?;
            samples.push(start.elapsed());
        }
        Ok(Self::new(samples))
    }

    /// The value below which this share of the samples lies.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let last = self.0.len() - 1;
        // In range for every share from 0 to 1; a share is never negative.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (last as f64 * share).round() as usize;
        self.0[index.min(last)]
    }

    /// The median.
    pub(crate) fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The median in microseconds, for tables and ratios.
    pub(crate) fn median_us(&self) -> f64 {
        self.median().as_secs_f64() * 1e6
    }
}

/// `median 83.1 us, p90 95.0 us, p99 140.2 us (20000 samples)`
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |share| self.quantile(share).as_secs_f64() * 1e6;
        write!(
            f,
            "median {:.1} us, p90 {:.1} us, p99 {:.1} us ({} samples)",
            us(0.5),
            us(0.9),
            us(0.99),
            self.0.len()
        )
    }
}
