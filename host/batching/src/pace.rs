//! How long runs take, by their number of rows.
//!
//! Sizes are kept in classes of powers of two, each with a moving average, so that a model that
//! gets slower or faster is believed after some ten runs.
//!
//! What is known of a version can keep requests from being run. So it must not be what keeps it
//! from being found wrong: the first run, which is often a slow one, does not count, and knowledge
//! that nothing renews fades.

use std::time::{Duration, Instant};

/// After this long without a run, half of what was known is forgotten, and so on.
const HALF_LIFE: Duration = Duration::from_millis(500);

/// How much a new run counts.
const WEIGHT: f64 = 0.2;

/// Classes: up to 1 row, 2, 4, and so on; the last one has everything larger.
const CLASSES: usize = 24;

/// Times of the runs of one version.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Seconds; 0 where nothing was seen.
    seconds: [f64; CLASSES],
    /// When the last run ended; none before the first one.
    last: Option<Instant>,
}

impl Pace {
    /// A run of `rows` rows that has ended took so long.
    pub(crate) fn record(&mut self, now: Instant, rows: usize, took: Duration) {
        if self.last.replace(now).is_none() {
            return;
        }
        let took = took.as_secs_f64().max(1e-9);
        let known = &mut self.seconds[class(rows)];
        *known = if *known == 0.0 {
            took
        } else {
            *known + WEIGHT * (took - *known)
        };
    }

    /// The shortest time in which `rows` rows can be hoped for: half of what the fastest class
    /// of at least that size takes on average, and less when that was long ago. `None` where
    /// nothing is known.
    pub(crate) fn at_best(&self, now: Instant, rows: usize) -> Option<Duration> {
        let known = self.seconds[class(rows)..]
            .iter()
            .filter(|known| **known > 0.0);
        let fastest = known.copied().min_by(f64::total_cmp)?;
        let age = now.saturating_duration_since(self.last?);
        let halves = age.as_secs_f64() / HALF_LIFE.as_secs_f64();
        Some(Duration::from_secs_f64(
            fastest / 2.0 * 0.5_f64.powf(halves),
        ))
    }

    /// What a run of `rows` rows takes on average, if runs of that class were seen.
    pub(crate) fn of(&self, rows: usize) -> Option<Duration> {
        let known = self.seconds[class(rows)];
        (known > 0.0).then(|| Duration::from_secs_f64(known))
    }
}

fn class(rows: usize) -> usize {
    (rows.max(1).next_power_of_two().trailing_zeros() as usize).min(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_what_it_sees() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert_eq!(pace.at_best(now, 1), None);
        pace.record(now, 32, Duration::from_secs(8));
        assert_eq!(pace.at_best(now, 1), None, "the first run says nothing");
        pace.record(now, 32, Duration::from_millis(8));
        assert_eq!(pace.of(20), Some(Duration::from_millis(8)));
        assert_eq!(pace.of(33), None);
        // A single row was never seen alone, but it can be no slower than with others.
        assert_eq!(pace.at_best(now, 1), Some(Duration::from_millis(4)));
        let later = now + 2 * HALF_LIFE;
        assert_eq!(pace.at_best(later, 1), Some(Duration::from_millis(1)));
        assert_eq!(pace.at_best(now, 33), None);
        for _ in 0..50 {
            pace.record(now, 32, Duration::from_millis(2));
        }
        let now = pace.of(32).unwrap();
        assert!(now < Duration::from_micros(2_100), "{now:?}");
    }

    #[test]
    fn has_a_class_for_every_size() {
        for (rows, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (usize::MAX / 4, 23)] {
            assert_eq!(class(rows), expected, "{rows}");
        }
    }
}
