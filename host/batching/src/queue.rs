//! Requests that may ride together, in the order in which they do: by priority, then by arrival.

use std::collections::VecDeque;
use std::time::Instant;

use tensorgate_types::Priority;

use crate::key::Key;
use crate::task::Task;

/// The line of one key.
pub(crate) struct Queue<H> {
    pub(crate) key: Key,
    pub(crate) hash: u64,
    /// One line per priority, the lowest first.
    lines: [VecDeque<Task<H>>; Priority::ALL.len()],
    rows: usize,
}

/// What was taken from a queue.
pub(crate) struct Cut<H> {
    /// Those that ride.
    pub(crate) riders: Vec<Task<H>>,
    /// Those that must not: their callers have gone, or their time is up.
    pub(crate) stayed: Vec<Task<H>>,
}

impl<H: Clone> Queue<H> {
    pub(crate) fn new(key: Key, hash: u64) -> Self {
        Self {
            key,
            hash,
            lines: Default::default(),
            rows: 0,
        }
    }

    pub(crate) fn push(&mut self, task: Task<H>) {
        self.rows += task.rows;
        self.lines[task.priority as usize].push_back(task);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(VecDeque::is_empty)
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that would go before a request of this priority that comes now.
    pub(crate) fn rows_before(&self, priority: Priority) -> usize {
        let before = self.lines.iter().skip(priority as usize).flatten();
        before.map(|task| task.rows).sum()
    }

    /// Requests that wait.
    pub(crate) fn len(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    /// The priority of whom a cut would take first.
    pub(crate) fn priority(&self) -> Option<Priority> {
        let highest = self.lines.iter().rposition(|line| !line.is_empty())?;
        Some(Priority::ALL[highest])
    }

    /// When the first of them came.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let first = self.lines.iter().filter_map(VecDeque::front);
        first.map(|task| task.arrived).min()
    }

    /// Takes up to `size` rows, those first that go first. `split` says whether the last request
    /// may be taken in part. One with more rows than `size` rides alone.
    pub(crate) fn cut(
        &mut self,
        size: usize,
        split: bool,
        must_stay: impl Fn(&Task<H>) -> bool,
    ) -> Cut<H> {
        let mut cut = Cut {
            riders: Vec::new(),
            stayed: Vec::new(),
        };
        let mut room = size;
        for line in self.lines.iter_mut().rev() {
            while let Some(task) = line.front_mut() {
                if must_stay(task) {
                    cut.stayed.extend(line.pop_front());
                    continue;
                }
                if task.rows <= room || (cut.riders.is_empty() && !split) {
                    room = room.saturating_sub(task.rows);
                    cut.riders.extend(line.pop_front());
                } else {
                    let part = split.then(|| task.split_off(room).ok()).flatten();
                    // What cannot be split rides as it is, or it would never ride.
                    let whole = part.is_none() && cut.riders.is_empty();
                    let taken = if whole { line.pop_front() } else { part };
                    cut.riders.extend(taken);
                    room = 0;
                }
                if room == 0 {
                    break;
                }
            }
            if room == 0 {
                break;
            }
        }
        // Parts of a request count as their own rows, and what is left of it as its.
        let gone = cut.riders.iter().chain(&cut.stayed);
        self.rows -= gone.map(|task| task.rows).sum::<usize>();
        cut
    }

    /// Takes out those that must not ride.
    pub(crate) fn sweep(&mut self, must_stay: impl Fn(&Task<H>) -> bool) -> Vec<Task<H>> {
        let mut out = Vec::new();
        for line in &mut self.lines {
            for _ in 0..line.len() {
                let Some(task) = line.pop_front() else { break };
                if must_stay(&task) {
                    self.rows -= task.rows;
                    out.push(task);
                } else {
                    line.push_back(task);
                }
            }
        }
        out
    }

    /// Takes out who is lowest and came last, if it is lower than `than`.
    pub(crate) fn shed(&mut self, than: Priority) -> Option<Task<H>> {
        let lower = self.lines.iter_mut().take(than as usize);
        let task = lower
            .filter(|line| !line.is_empty())
            .find_map(VecDeque::pop_back)?;
        self.rows -= task.rows;
        Some(task)
    }
}

impl<H> Queue<H> {
    /// Takes out everybody.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Task<H>> {
        self.rows = 0;
        self.lines.iter_mut().flat_map(|line| line.drain(..))
    }
}
