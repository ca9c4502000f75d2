//! What a process says on standard error, line by line, to be waited for.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

/// The lines so far. Clones are the same lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stderr(Arc<(Mutex<Said>, Condvar)>);

impl Stderr {
    /// Reads `pipe` to its end on a thread of its own.
    pub(crate) fn read(pipe: impl Read + Send + 'static) -> Self {
        let stderr = Self::default();
        let writer = stderr.clone();
        thread::spawn(move || {
            let (said, changed) = &*writer.0;
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = pipe.read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                said.lock().expect("no reader panics").lines.push(text);
                changed.notify_all();
            }
            said.lock().expect("no reader panics").ended = true;
            changed.notify_all();
        });
        stderr
    }

    /// The first line that `wanted` makes something of; `None` when there never was one. Waits.
    pub(crate) fn find<T>(&self, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let give_up = Instant::now() + PATIENCE;
        let (said, changed) = &*self.0;
        let mut said = said.lock().expect("no reader panics");
        let mut seen = 0;
        loop {
            while let Some(line) = said.lines.get(seen) {
                seen += 1;
                if let Some(found) = wanted(line) {
                    return Some(found);
                }
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                return None;
            }
            said = changed
                .wait_timeout(said, left)
                .expect("no reader panics")
                .0;
        }
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().expect("no reader panics").lines.join("\n")
    }
}
