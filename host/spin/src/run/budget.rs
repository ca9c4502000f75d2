//! The time that a guest computes, and its end.
//!
//! ```text
//! poll of the guest's future -> the thread's clock starts -> epoch ticks look at it -> it stops
//! ```
//!
//! **Invariant:** what a guest waits for costs it nothing: only the time that its thread has the
//! CPU for it is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A guest has computed for as long as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest computed for longer than the {0:?} that it may")]
pub(super) struct OutOfTime(pub(super) Duration);

/// Counts the time of one guest. Only one thread at a time polls a guest: the two numbers need no
/// order between them.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Duration,
    spent: AtomicU64,
    /// What the thread's clock said when this poll began.
    began: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            spent: AtomicU64::new(0),
            began: AtomicU64::new(0),
        })
    }

    /// Asked at each tick, on the thread that polls the guest.
    pub(super) fn check(&self) -> Result<(), OutOfTime> {
        let now = thread_nanos().saturating_sub(self.began.load(Ordering::Relaxed));
        let spent = Duration::from_nanos(self.spent.load(Ordering::Relaxed).saturating_add(now));
        if spent > self.limit {
            return Err(OutOfTime(self.limit));
        }
        Ok(())
    }
}

/// The CPU time of this thread.
fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// A guest's future, whose polls are counted.
pub(super) struct Counted<F> {
    budget: Arc<Budget>,
    guest: Pin<Box<F>>,
}

impl<F: Future> Counted<F> {
    pub(super) fn new(budget: Arc<Budget>, guest: F) -> Self {
        Self {
            budget,
            guest: Box::pin(guest),
        }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_nanos();
        self.budget.began.store(began, Ordering::Relaxed);
        let polled = self.guest.as_mut().poll(context);
        let took = thread_nanos().saturating_sub(began);
        self.budget.spent.fetch_add(took, Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_guest_that_computes_is_out_of_time_and_one_that_sleeps_is_not() {
        let budget = Budget::new(Duration::from_millis(5));
        let inside = Arc::clone(&budget);
        let computes = poll_fn(move |_| {
            let mut told = inside.check();
            while told.is_ok() {
                told = inside.check();
            }
            Poll::Ready(told)
        });
        let told = Counted::new(budget, computes).await;
        assert_eq!(told, Err(OutOfTime(Duration::from_millis(5))));

        let budget = Budget::new(Duration::from_millis(5));
        let inside = Arc::clone(&budget);
        let sleeps = poll_fn(move |_| {
            std::thread::sleep(Duration::from_millis(20));
            Poll::Ready(inside.check())
        });
        assert_eq!(Counted::new(budget, sleeps).await, Ok(()));
    }
}
