//! How much memory all bodies together may take.
//!
//! A limit on each body does not bound the sum: a thousand slow clients with a hundred megabytes
//! each would. So every byte is reserved before it is kept, and given back with the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be held at a time. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: usize,
    /// Only ever counts; nothing else is ordered by it.
    used: Arc<AtomicUsize>,
}

/// Bytes that one request holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: Arc::default(),
        }
    }

    /// The limit.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Nothing yet.
    pub(crate) fn reserve_nothing(&self) -> Reserved {
        Reserved {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Whether more than half is held.
    pub(crate) fn is_short(&self) -> bool {
        self.used() > self.limit / 2
    }

    /// What is held now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reserved {
    /// Where it is taken from.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Makes this hold `bytes` in all. `false`, and nothing changed, when there is not so much
    /// left. Never shrinks.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let taken = self
            .budget
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more)
                    .filter(|sum| *sum <= self.budget.limit)
            });
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }

    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_no_more_than_there_is_and_takes_it_back() {
        let budget = Budget::new(100);
        let mut first = budget.reserve_nothing();
        assert!(first.grow_to(60));
        let mut second = budget.reserve_nothing();
        assert!(!second.grow_to(41));
        assert!(second.grow_to(40));
        assert!(first.grow_to(10), "it holds more than that already");
        first.shrink_to(70);
        first.shrink_to(50);
        assert_eq!(budget.used(), 90);
        drop(first);
        assert_eq!(budget.used(), 40);
        assert!(second.grow_to(100));
        drop(second);
        assert_eq!(budget.used(), 0);
        assert!(!budget.reserve_nothing().grow_to(usize::MAX));
    }
}
