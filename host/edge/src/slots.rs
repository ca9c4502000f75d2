//! Places in the sandbox, and the line before them.
//!
//! There are as many permits as the pooling allocator has room for instances, so an instance is
//! never refused by the allocator: whoever has a permit has an instance.
//!
//! **Ordering:** first come, first served. **Cancellation:** a caller that goes away leaves the
//! line, and its slot is free as soon as its store is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tensorgate_types::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::EdgeError;

#[derive(Debug)]
pub(crate) struct Slots {
    permits: Arc<Semaphore>,
    slots: usize,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// Somebody in the line, for as long as this lives.
struct InLine<'a>(&'a AtomicUsize);

impl Slots {
    pub(crate) fn new(slots: usize, max_waiting: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(slots)),
            slots,
            waiting: AtomicUsize::new(0),
            max_waiting,
        }
    }

    /// A slot, now or when one comes free before the deadline. It can be taken along to another
    /// thread.
    pub(crate) async fn take(&self, deadline: Deadline) -> Result<OwnedSemaphorePermit, EdgeError> {
        let permits = || Arc::clone(&self.permits);
        match permits().try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            // Nobody closes this semaphore; if it were closed, nothing would ever come free.
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {}
        }
        let _place = self.join_line()?;
        let acquired = match deadline.instant() {
            None => permits().acquire_owned().await,
            Some(at) => tokio::time::timeout_at(at.into(), permits().acquire_owned())
                .await
                .map_err(|_| self.too_late())?,
        };
        acquired.map_err(|_| self.too_late())
    }

    /// Requests in the sandbox, and requests in the line.
    pub(crate) fn occupancy(&self) -> (usize, usize) {
        let running = self.slots - self.permits.available_permits().min(self.slots);
        (running, self.waiting.load(Ordering::Relaxed))
    }

    fn join_line(&self) -> Result<InLine<'_>, EdgeError> {
        // Relaxed: the count guards nothing but itself.
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < self.max_waiting).then_some(waiting + 1)
            });
        match joined {
            Ok(_) => Ok(InLine(&self.waiting)),
            Err(waiting) => Err(EdgeError::Full {
                slots: self.slots,
                waiting,
            }),
        }
    }

    fn too_late(&self) -> EdgeError {
        EdgeError::NoSlotInTime { slots: self.slots }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn lets_the_line_in_as_slots_come_free() {
        let slots = Slots::new(1, 1);
        let first = slots.take(Deadline::NEVER).await.expect("a free slot");
        let mut second = pin!(slots.take(Deadline::NEVER));
        assert!(poll_once(second.as_mut()).is_pending());
        assert_eq!(slots.occupancy(), (1, 1));
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(slots.occupancy(), (0, 0));
    }

    #[tokio::test]
    async fn refuses_when_the_line_is_full() {
        let slots = Slots::new(1, 1);
        let _first = slots.take(Deadline::NEVER).await.expect("a free slot");
        let mut second = pin!(slots.take(Deadline::NEVER));
        assert!(poll_once(second.as_mut()).is_pending());
        assert_eq!(
            slots.take(Deadline::NEVER).await.err(),
            Some(EdgeError::Full {
                slots: 1,
                waiting: 1
            })
        );
    }

    #[tokio::test]
    async fn gives_up_the_place_when_the_caller_leaves() {
        let slots = Slots::new(1, 1);
        let _first = slots.take(Deadline::NEVER).await.expect("a free slot");
        {
            let mut second = pin!(slots.take(Deadline::NEVER));
            assert!(poll_once(second.as_mut()).is_pending());
        }
        assert_eq!(slots.occupancy(), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_whom_the_deadline_meets_in_the_line() {
        let slots = Slots::new(1, 1);
        let _first = slots.take(Deadline::NEVER).await.expect("a free slot");
        let deadline = Deadline::after(Duration::from_secs(1));
        assert_eq!(
            slots.take(deadline).await.err(),
            Some(EdgeError::NoSlotInTime { slots: 1 })
        );
    }
}
