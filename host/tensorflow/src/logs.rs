//! TensorFlow's log, through ours.
//!
//! TensorFlow writes its log to file descriptor 2 and gives no way to take it elsewhere (the
//! listener of its C API hears `tf.print` alone). So descriptor 2 becomes a pipe, a thread reads
//! it and makes an event of each line, and whoever prints those events writes to the original,
//! which is kept on another descriptor.
//!
//! **Ordering:** lines come in the order in which they were written; against our own events they
//! are late by the time that the thread needs to wake.
//!
//! **Invariant:** nothing that was written is lost: not at an orderly end ([`LogCapture`] reads
//! the pipe empty when it is dropped), and not when the process aborts ([`crate::abort`]).
//! A writer waits while the pipe is full, as it would with a slow terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tracing::Level;

use crate::abort;
use crate::log_line::{self, LogLine};

/// What the pipe holds: a burst of lines, such as a device that lists its kernels, should not
/// make TensorFlow wait for our terminal. The kernel's default is a sixteenth of it.
const PIPE_BYTES: usize = 1 << 20;

/// The longest line; what is longer becomes several. Bounds the memory of a writer that never
/// ends its line.
const MAX_LINE: usize = 64 * 1024;

/// Standard error as it was, while it is captured. Dropped, it puts everything back.
#[derive(Debug)]
pub struct LogCapture {
    original: Arc<OwnedFd>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Sends what is written to standard error through `tracing`, with the target `tensorflow`:
/// TensorFlow's INFO as debug, its warnings and errors as such, lines without a level as info.
///
/// Whatever prints events must write to [`LogCapture::stderr`], or it would hear itself.
///
/// # Errors
/// When the system gives no pipe, descriptor or thread; then nothing has changed.
pub fn capture_logs() -> io::Result<LogCapture> {
    let original = Arc::new(io::stderr().as_fd().try_clone_to_owned()?);
    // Not blocking: it is read empty, by the thread and by the last words of a process.
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    // A smaller pipe does too: an unprivileged user may be out of his share of pipe memory.
    let _size = fcntl_setpipe_size(&write, PIPE_BYTES);
    let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
    let thread = {
        let stop = Arc::clone(&stop);
        let original = Arc::clone(&original);
        // Here and not in the thread, which may get to run too late for the first abort.
        let guard = abort::empty_at_abort(&read, &original);
        thread::Builder::new()
            .name("tg-tf-log".to_owned())
            .spawn(move || {
                let _guard = guard;
                read_lines(&read, &stop);
                drop(original);
            })?
    };
    let capture = LogCapture {
        original,
        stop,
        thread: Some(thread),
    };
    // Last, so that an error before it leaves everything as it was. The write end lives on as
    // descriptor 2 alone.
    rustix::stdio::dup2_stderr(&write)?;
    Ok(capture)
}

impl LogCapture {
    /// The original standard error.
    ///
    /// # Errors
    /// When the system gives no further descriptor.
    pub fn stderr(&self) -> io::Result<File> {
        Ok(File::from(self.original.try_clone()?))
    }
}

impl Drop for LogCapture {
    fn drop(&mut self) {
        // Should it fail, the pipe stays in place; the thread must not go then.
        if rustix::stdio::dup2_stderr(&*self.original).is_err() {
            return;
        }
        // Not by the end of the pipe: child processes have inherited its write end.
        if rustix::io::write(&*self.stop, &1u64.to_ne_bytes()).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ended = thread.join();
        }
    }
}

fn read_lines(pipe: &OwnedFd, stop: &OwnedFd) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; MAX_LINE];
    loop {
        let mut watched = [
            PollFd::new(pipe, PollFlags::IN),
            PollFd::new(stop, PollFlags::IN),
        ];
        // Interrupted: by a signal handler of somebody's. Look again.
        let _ready = poll(&mut watched, None);
        let stopping = !watched[1].revents().is_empty();
        let open = abort::while_busy(|| {
            loop {
                match rustix::io::read(pipe, &mut buffer) {
                    Ok(0) => return false,
                    Ok(count) => lines.push(&buffer[..count], emit),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => return true,
                    Err(_) => return false,
                }
            }
        });
        if stopping || !open {
            lines.finish(emit);
            return;
        }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.rest.len() >= MAX_LINE {
                self.finish(&mut emit);
            }
        }
    }

    fn finish(&mut self, mut emit: impl FnMut(&str)) {
        let line = String::from_utf8_lossy(&self.rest);
        let line = line.trim_end();
        if !line.is_empty() {
            emit(line);
        }
        self.rest.clear();
    }
}

fn emit(line: &str) {
    let LogLine { level, place, text } = log_line::parse(line);
    macro_rules! event {
        ($level:expr) => {
            if place.is_empty() {
                tracing::event!(target: "tensorflow", $level, "{text}")
            } else {
                tracing::event!(target: "tensorflow", $level, place, "{text}")
            }
        };
    }
    // `tracing` wants the level of an event as a constant.
    match level {
        Level::ERROR => event!(Level::ERROR),
        Level::WARN => event!(Level::WARN),
        Level::DEBUG => event!(Level::DEBUG),
        _ => event!(Level::INFO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| all.push(line.to_owned()));
        }
        lines.finish(|line| all.push(line.to_owned()));
        all
    }

    #[test]
    fn lines_are_whole_however_they_were_written() {
        assert_eq!(cut(&[b"one\ntw", b"o\n\nthree"]), ["one", "two", "three"]);
        assert_eq!(cut(&[b"a\xffb\r\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let long = vec![b'x'; MAX_LINE + 1];
        let lengths: Vec<usize> = cut(&[&long, &long]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE + 1, MAX_LINE + 1]);
    }
}
