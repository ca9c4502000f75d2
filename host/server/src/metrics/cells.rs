//! What is counted in: numbers that only rise, and distributions.
//!
//! **Ordering:** relaxed throughout. Each cell is right by itself; a page that is made while
//! requests end may show one of them in one cell and not yet in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The limits between the buckets of a histogram: rising, each `growth` times the one before it.
#[derive(Debug, Clone)]
pub(crate) struct Buckets(Arc<[f64]>);

impl Buckets {
    /// TensorFlow's exponential buckets: `count` limits, the first of them `scale`, and one
    /// bucket for what is above all limits.
    pub(crate) fn exponential(scale: f64, growth: f64, count: usize) -> Self {
        // One by one as TensorFlow does it, since powers would differ in the last digits.
        let limits = std::iter::successors(Some(scale), |limit| Some(limit * growth));
        Self(limits.take(count).collect())
    }

    pub(crate) fn limits(&self) -> &[f64] {
        &self.0
    }
}

/// How often values fell between which limits.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Buckets,
    /// One more than there are limits.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(buckets: Buckets) -> Self {
        let counts = (0..=buckets.0.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            buckets,
            counts,
            sum: AtomicU64::new(0),
        }
    }

    /// A value that is a limit belongs above it, as it does in TensorFlow's histograms.
    pub(crate) fn record(&self, value: u64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 2^53 microseconds the bucket is the last one anyway"
        )]
        let at = value as f64;
        let bucket = self.buckets.0.partition_point(|limit| *limit <= at);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// How many values fell into each bucket, and their sum.
    pub(crate) fn read(&self) -> Distribution {
        Distribution {
            buckets: self.buckets.clone(),
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// A histogram at one moment.
#[derive(Debug)]
pub(crate) struct Distribution {
    pub(crate) buckets: Buckets,
    /// Not added up; the last one is what is above all limits.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_a_limit_belongs_above_it() {
        let histogram = Histogram::new(Buckets::exponential(1.0, 2.0, 3));
        for value in [0, 1, 3, 4, 5, u64::from(u32::MAX)] {
            histogram.record(value);
        }
        let read = histogram.read();
        assert_eq!(read.buckets.limits(), [1.0, 2.0, 4.0]);
        assert_eq!(read.counts, [1, 1, 1, 3]);
        assert_eq!(read.sum, 13 + u64::from(u32::MAX));
    }
}
