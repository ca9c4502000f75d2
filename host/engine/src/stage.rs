//! How far one run has come, between its caller and its thread.
//!
//! ```text
//!            start            finish
//!  Waiting ────────▶ Running ────────▶ Done
//!     │ leave           │ leave(overdue)  ▲
//!     ▼                 ▼      finish     │
//!    Left            Overdue ─────────────┘
//! ```
//!
//! **Ordering:** one atomic, changed only by exchange, so that caller and thread always agree on
//! who came first: a run whose caller left is never started, and one that is counted as overdue
//! is counted off exactly once.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const OVERDUE: u8 = 2;
const LEFT: u8 = 3;
const DONE: u8 = 4;

/// The stage of one run.
#[derive(Debug)]
pub(crate) struct Stage(AtomicU8);

impl Stage {
    /// A run in the queue.
    pub(crate) fn waiting() -> Self {
        Self(AtomicU8::new(WAITING))
    }

    /// The thread takes it up; `false` if the caller has left.
    pub(crate) fn start(&self) -> bool {
        self.change(WAITING, RUNNING)
    }

    /// The caller goes without an answer. Gives `true` if the run goes on and was not done in
    /// time, so that it now counts as overdue.
    pub(crate) fn leave(&self, time_is_up: bool) -> bool {
        !self.change(WAITING, LEFT) && time_is_up && self.change(RUNNING, OVERDUE)
    }

    /// The run has ended; `true` if it counted as overdue.
    pub(crate) fn finish(&self) -> bool {
        self.0.swap(DONE, Ordering::AcqRel) == OVERDUE
    }

    /// Whether the caller left before the run was started.
    pub(crate) fn is_left(&self) -> bool {
        self.0.load(Ordering::Acquire) == LEFT
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_caller_left_is_not_started() {
        let stage = Stage::waiting();
        assert!(!stage.leave(true));
        assert!(stage.is_left());
        assert!(!stage.start());
    }

    #[test]
    fn overdue_is_counted_on_and_off_once() {
        let stage = Stage::waiting();
        assert!(stage.start());
        assert!(stage.leave(true));
        assert!(!stage.leave(true));
        assert!(stage.finish());
        assert!(!stage.finish());
    }

    #[test]
    fn a_caller_who_leaves_early_or_late_makes_nothing_overdue() {
        let early = Stage::waiting();
        assert!(early.start());
        assert!(!early.leave(false));
        assert!(!early.finish());

        let late = Stage::waiting();
        assert!(late.start());
        assert!(!late.finish());
        assert!(!late.leave(true));
    }
}
