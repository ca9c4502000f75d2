//! How slowly an upload may come.
//!
//! A wait for the next piece alone bounds nothing: one byte now and then, and a client holds its
//! share of the [`Budget`] for ever. So a client has so long to be silent in all, and earns time
//! with what it sends.
//!
//! **Invariant:** only waiting for the client counts. A server that is busy refuses nobody for it.

use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;

/// How many times as fast uploads must come when more than half of the budget is taken: then it
/// matters how long somebody holds a part.
const WHEN_SHORT: u64 = 16;

/// What is asked of all uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How long a client may be silent, and the most that it can have earned.
    pub(crate) idle: Duration,
    /// Bytes in a second, when the client is not silent; 0 asks for none.
    pub(crate) least: u64,
}

/// One upload.
#[derive(Debug)]
pub(super) struct Upload {
    pace: Pace,
    budget: Budget,
    /// How much longer the client may be waited for.
    left: Duration,
}

/// The client was too slow; the words that end "the body ...".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow(pub(super) String);

impl Upload {
    pub(super) fn new(pace: Pace, budget: &Budget) -> Self {
        Self {
            pace,
            budget: budget.clone(),
            left: pace.idle,
        }
    }

    /// Waits for the next piece.
    pub(super) async fn wait<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, TooSlow> {
        let began = Instant::now();
        let waited = tokio::time::timeout(self.left, piece).await;
        let Ok(piece) = waited else {
            return Err(self.too_slow());
        };
        self.left = self.left.saturating_sub(began.elapsed());
        Ok(piece)
    }

    /// Counts the bytes of a piece.
    pub(super) fn came(&mut self, bytes: usize) {
        let least = self.least();
        self.left = if least == 0 {
            self.pace.idle
        } else {
            // Both fit: a piece is no longer than memory, and 2^64 ns are centuries.
            let nanos = bytes as u128 * 1_000_000_000 / u128::from(least);
            let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.left.saturating_add(earned).min(self.pace.idle)
        };
    }

    /// Bytes in a second, now.
    fn least(&self) -> u64 {
        if self.budget.is_short() {
            self.pace.least.saturating_mul(WHEN_SHORT)
        } else {
            self.pace.least
        }
    }

    fn too_slow(&self) -> TooSlow {
        let idle = self.pace.idle;
        if self.left == idle {
            return TooSlow(format!("stopped coming for {idle:?}"));
        }
        let why = if self.budget.is_short() {
            ", short of memory now (--max_buffered_bytes),"
        } else {
            ""
        };
        TooSlow(format!(
            "comes too slowly: the server{why} takes no less than {} bytes in a second \
             (--min_upload_bytes_per_second)",
            self.least()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        idle: Duration::from_secs(50),
        least: 1000,
    };

    /// For how many seconds a client is listened to that sends `bytes` every `pause`.
    async fn lasts(bytes: usize, pause: Duration, pace: Pace, budget: &Budget) -> Option<u64> {
        let mut upload = Upload::new(pace, budget);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3600) {
            if upload.wait(tokio::time::sleep(pause)).await.is_err() {
                return Some(began.elapsed().as_secs());
            }
            upload.came(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn who_trickles_is_let_go_and_who_is_slow_is_not() {
        let budget = Budget::new(1000);
        let seconds = Duration::from_secs;
        // A byte now and then lasts hardly longer than none.
        assert_eq!(lasts(1, seconds(5), PACE, &budget).await, Some(50));
        assert_eq!(lasts(0, seconds(90), PACE, &budget).await, Some(50));
        // The pace that is asked for, in small pieces and in large ones with long pauses.
        assert_eq!(lasts(1001, seconds(1), PACE, &budget).await, None);
        assert_eq!(lasts(40_100, seconds(40), PACE, &budget).await, None);
        // Half of it lasts twice as long.
        assert_eq!(lasts(500, seconds(1), PACE, &budget).await, Some(99));
        // What came fast at first does not pay for a trickle.
        let mut upload = Upload::new(PACE, &budget);
        upload.came(1 << 30);
        assert_eq!(upload.left, PACE.idle);
        // Nothing is asked for.
        let any = Pace { least: 0, ..PACE };
        assert_eq!(lasts(1, seconds(49), any, &budget).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_budget_asks_for_more() {
        let budget = Budget::new(1000);
        let second = Duration::from_secs(1);
        let mut others = budget.reserve_nothing();
        assert!(others.grow_to(501));
        assert!(lasts(8000, second, PACE, &budget).await.is_some());
        assert_eq!(lasts(16_001, second, PACE, &budget).await, None);
        let mut upload = Upload::new(PACE, &budget);
        upload.left = second;
        let TooSlow(words) = upload.wait(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(
            words,
            "comes too slowly: the server, short of memory now (--max_buffered_bytes), takes \
             no less than 16000 bytes in a second (--min_upload_bytes_per_second)"
        );
        drop(others);
        assert_eq!(lasts(8000, second, PACE, &budget).await, None);
    }
}
