//! When the requests of an open loop are due: at random, as those of many people who know nothing
//! of each other, and the same times in every run.
//!
//! Invariant: the schedule never looks at the server or at a clock.

use std::time::Duration;

use crate::random::Random;

/// Times from the start, rising, without an end.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Seconds between two, on average.
    mean: f64,
    at: f64,
    random: Random,
}

impl Schedule {
    /// So many per second.
    ///
    /// # Panics
    /// When the rate is not a positive number.
    pub(crate) fn new(rate: f64) -> Self {
        assert!(rate.is_finite() && rate > 0.0, "a rate is positive");
        Self {
            mean: 1.0 / rate,
            at: 0.0,
            random: Random::new(1),
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // Times between arrivals that do not depend on each other are distributed like this.
        self.at -= self.mean * (1.0 - self.random.unit()).ln();
        Some(Duration::from_secs_f64(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_second(rate: f64) -> Vec<Duration> {
        Schedule::new(rate)
            .take_while(|at| *at < Duration::from_secs(1))
            .collect()
    }

    #[test]
    fn has_as_many_requests_as_the_rate_says() {
        for rate in [1_000.0, 10_000.0, 100_000.0] {
            let count = first_second(rate).len() as f64;
            // Six standard deviations of a Poisson process.
            assert!(
                (count - rate).abs() < 6.0 * rate.sqrt(),
                "{count} of {rate}"
            );
        }
    }

    #[test]
    fn rises_and_is_the_same_every_time() {
        let times = first_second(5_000.0);
        assert!(times.is_sorted());
        assert_eq!(times, first_second(5_000.0));
    }

    #[test]
    fn is_as_uneven_as_chance() {
        let times = first_second(50_000.0);
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64() * 50_000.0)
            .collect();
        let longer = gaps.iter().filter(|gap| **gap > 1.0).count() as f64;
        // The share that is longer than the mean is 1/e.
        assert!((longer / gaps.len() as f64 - 0.368).abs() < 0.02);
    }
}
