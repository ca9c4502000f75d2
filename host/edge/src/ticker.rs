//! The clock that interrupts components: a thread that moves the engine's epoch forward.
//!
//! Compiled code compares the epoch with a deadline in every loop and function; without this
//! thread a component could keep its thread for ever.
//!
//! It rests while nothing runs, so that an idle server does not wake up hundreds of times a
//! second; waking it costs a system call, so it rests only after a while.
//!
//! **Ordering:** `Ticker::run` adds to `running` before it looks at `resting`; the thread sets
//! `resting` before it looks at `running`. Both are sequentially consistent, so one of the two
//! sees the other, and the thread never rests while something runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// Ticks without work after which the thread rests.
const IDLE_TICKS: u32 = 250;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    resting: AtomicBool,
    stopped: AtomicBool,
}

/// Something runs, for as long as this lives.
#[derive(Debug)]
pub struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread, which calls `tick` each `period` while something runs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(period: Duration, tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let handle = thread::Builder::new()
            .name("tensorgate-tick".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.keep_time(period, tick)
            })?;
        Ok(Self {
            thread: handle.thread().clone(),
            shared,
            handle: Some(handle),
        })
    }

    /// Says that something runs.
    #[must_use]
    pub fn run(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.resting.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Shared {
    fn keep_time(&self, period: Duration, tick: impl Fn()) {
        let mut idle_ticks = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            // May wake up early: a tick too many only makes a component look at its clocks.
            thread::park_timeout(period);
            tick();
            if self.running.load(Ordering::SeqCst) > 0 {
                idle_ticks = 0;
                continue;
            }
            idle_ticks += 1;
            if idle_ticks >= IDLE_TICKS {
                self.rest();
                idle_ticks = 0;
            }
        }
    }

    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // It only counts; if it has panicked, there is nothing to clean up after it.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn ticks_while_something_runs_and_again_after_a_rest() {
        let (ticked, ticks) = mpsc::sync_channel(0);
        let ticker = Ticker::spawn(Duration::from_micros(50), move || {
            // The channel has no room: the thread stands still until the test looks.
            let _ = ticked.send(());
        })
        .expect("a thread");
        let running = ticker.run();
        for _ in 0..2 * IDLE_TICKS {
            ticks.recv().expect("a tick while something runs");
        }
        drop(running);
        while !ticker.shared.resting.load(Ordering::SeqCst) {
            // Until it rests, it ticks; what it sends last may be nothing.
            let _ = ticks.try_recv();
        }
        let _running = ticker.run();
        ticks.recv().expect("a tick after the rest");
        // The thread must find nobody on the other side when it is told to stop.
        drop(ticks);
    }
}
