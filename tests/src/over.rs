//! The end of a load that other threads put on a server.

use std::sync::atomic::{AtomicBool, Ordering};

/// Says that it is over when it is dropped, also when a check has failed: clients in other threads
/// go by it, and would else never end.
#[derive(Debug)]
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        // Relaxed: it guards nothing but itself.
        self.0.store(true, Ordering::Relaxed);
    }
}
