//! The line in front of the run threads: bounded, first come first served.
//!
//! A mutex and a condition variable, not a channel: when the line is full, places that are held
//! for callers who have gone are given to those who have not, and that needs a look at the middle
//! of the line. The lock is held for a push or a pop, never while a model runs.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Something that waits in the line.
pub(crate) trait Waiting {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

/// A bounded queue with any number of takers.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    line: VecDeque<T>,
    /// Which takers are busy with what they took, by their number.
    busy: Vec<bool>,
    closed: bool,
}

/// What became of a push.
pub(crate) struct Pushed<T> {
    /// Those that were thrown out to make room; dropped by the caller, outside the lock.
    pub(crate) thrown_out: Vec<T>,
    /// Whether there was room in the end.
    pub(crate) taken: bool,
}

impl<T: Waiting> Queue<T> {
    /// A queue for `limit` entries and `takers` takers.
    pub(crate) fn new(limit: usize, takers: usize) -> Self {
        Self {
            state: Mutex::new(State {
                line: VecDeque::with_capacity(limit.min(1024)),
                busy: vec![false; takers],
                closed: false,
            }),
            arrived: Condvar::new(),
            limit,
        }
    }

    /// Adds `entry` if there is room. Never waits. Nobody pushes to a queue that was closed.
    ///
    /// The limit counts those who wait: with `limit` 0 an entry is taken only if a taker is idle.
    pub(crate) fn push(&self, entry: T) -> Pushed<T> {
        let mut state = self.lock();
        let mut thrown_out = Vec::new();
        // Each idle taker is about to take one entry, so those are not waiting.
        let room = self.limit + state.busy.iter().filter(|busy| !**busy).count();
        if state.line.len() >= room {
            let line = std::mem::take(&mut state.line);
            for waiting in line {
                if waiting.is_abandoned() {
                    thrown_out.push(waiting);
                } else {
                    state.line.push_back(waiting);
                }
            }
        }
        let taken = state.line.len() < room;
        if taken {
            state.line.push_back(entry);
        }
        drop(state);
        if taken {
            // After the lock: a taker woken under it would run into it.
            self.arrived.notify_one();
        }
        Pushed { thrown_out, taken }
    }

    /// Waits for an entry and takes it; `None` once the queue is closed. What `taker` took before
    /// counts as done.
    pub(crate) fn pop(&self, taker: usize) -> Option<T> {
        let mut state = self.lock();
        state.busy[taker] = false;
        loop {
            if state.closed {
                return None;
            }
            if let Some(entry) = state.line.pop_front() {
                state.busy[taker] = true;
                return Some(entry);
            }
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the queue: idle takers get `None`, and so does a busy one when it comes back.
    /// Gives those that still waited, and which takers are busy.
    pub(crate) fn close(&self) -> (VecDeque<T>, Vec<bool>) {
        let mut state = self.lock();
        state.closed = true;
        let line = std::mem::take(&mut state.line);
        let busy = state.busy.clone();
        drop(state);
        self.arrived.notify_all();
        (line, busy)
    }

    /// How many wait, and how many takers are busy.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let state = self.lock();
        let busy = state.busy.iter().filter(|busy| **busy).count();
        (state.line.len(), busy)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics under the lock; were it to, the line would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Entry {
        number: u32,
        abandoned: bool,
    }

    impl Waiting for Entry {
        fn is_abandoned(&self) -> bool {
            self.abandoned
        }
    }

    fn entry(number: u32) -> Entry {
        Entry {
            number,
            abandoned: false,
        }
    }

    fn gone(number: u32) -> Entry {
        Entry {
            number,
            abandoned: true,
        }
    }

    #[test]
    fn first_come_is_first_served() {
        let queue = Queue::new(4, 1);
        for number in 0..4 {
            assert!(queue.push(entry(number)).taken);
        }
        let order: Vec<u32> = (0..4).map(|_| queue.pop(0).unwrap().number).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn refuses_when_as_many_wait_as_may() {
        let queue = Queue::new(2, 1);
        assert!(queue.push(entry(0)).taken);
        assert_eq!(queue.pop(0).map(|entry| entry.number), Some(0));
        assert!(queue.push(entry(1)).taken);
        assert!(queue.push(entry(2)).taken);
        assert!(!queue.push(entry(3)).taken);
        assert_eq!(queue.lengths(), (2, 1));
    }

    #[test]
    fn without_room_to_wait_an_idle_taker_still_gets_work() {
        let queue = Queue::new(0, 1);
        assert!(queue.push(entry(0)).taken);
        assert!(!queue.push(entry(1)).taken);
        assert!(queue.pop(0).is_some());
        assert!(!queue.push(entry(2)).taken);
    }

    #[test]
    fn a_full_line_gives_the_places_of_the_gone_to_the_living() {
        let queue = Queue::new(2, 1);
        queue.push(entry(0));
        queue.pop(0);
        queue.push(gone(1));
        queue.push(entry(2));
        let pushed = queue.push(entry(3));
        assert!(pushed.taken);
        assert_eq!(pushed.thrown_out, [gone(1)]);
        assert_eq!(queue.pop(0), Some(entry(2)));
        assert_eq!(queue.pop(0), Some(entry(3)));
    }

    #[test]
    fn a_closed_queue_gives_back_who_waited_and_serves_nobody() {
        let queue = Queue::new(2, 2);
        queue.push(entry(0));
        queue.pop(1);
        queue.push(entry(1));
        let (line, busy) = queue.close();
        assert_eq!(line, [entry(1)]);
        assert_eq!(busy, [false, true]);
        assert_eq!(queue.pop(0), None);
    }
}
