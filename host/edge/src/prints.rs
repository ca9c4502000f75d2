//! What components print and do wrong, in the log: what they print at level debug, and only so
//! much of it.
//!
//! A component that prints at each request would otherwise fill the disk of whoever turned
//! debugging on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of the log in one [`WINDOW`].
const LINES: u32 = 20;

const WINDOW: Duration = Duration::from_secs(1);

/// Passes on some of what is printed, and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct Prints(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    passed: u32,
    dropped: u64,
}

impl Prints {
    /// Logs what a component did wrong, as a warning, if it is its turn: nobody else has the
    /// cause.
    pub(crate) fn fault(&self, who: &str, cause: &dyn std::error::Error) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = window.admit(Instant::now());
        drop(window);
        let Some(dropped) = admitted else {
            return;
        };
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        tracing::warn!(dropped, "{who}: {text}");
    }

    /// Logs a component's output, if it is its turn.
    pub(crate) fn log(&self, text: &str) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dropped) = window.admit(Instant::now()) {
            drop(window);
            tracing::debug!(dropped, "the component printed: {text}");
        }
    }
}

impl Window {
    /// Whether something is logged now, and how much was not since the last time.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now - began >= WINDOW) {
            self.began = Some(now);
            self.passed = 0;
        }
        if self.passed >= LINES {
            self.dropped += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_some_in_each_window_and_counts_the_rest() {
        let mut window = Window::default();
        let now = Instant::now();
        for _ in 0..LINES {
            assert_eq!(window.admit(now), Some(0));
        }
        assert_eq!(window.admit(now), None);
        assert_eq!(window.admit(now), None);
        assert_eq!(window.admit(now + WINDOW), Some(2));
        assert_eq!(window.admit(now + WINDOW), Some(0));
    }
}
