//! A server of its own for one test: this very program, as another process, on loopback.
//!
//! **Invariant:** it ends with this process, whatever becomes of that; and only it is ended, by
//! its number.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long libtensorflow, the components and the models may take to be there. A large component
/// is compiled for minutes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a line of the log may come after the answer that it is about.
const LATE: Duration = Duration::from_secs(2);

/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(10);

/// What a component printed is in lines with this.
const PRINTED: &str = " D tensorgate_edge::prints] ";

/// Lines that are kept for whoever asks why; older ones go.
const MAX_LINES: usize = 2000;

/// Bytes of one line.
const MAX_LINE: u64 = 16 << 10;

/// The command that a server for a test is started by; see [`Server::start`].
pub(in super::super) const COMMAND: &str = "serve-for-a-test";

/// A running server. Ended when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    port: u16,
    log: Log,
}

/// What it has said.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_LINES {
            lines.drain(..MAX_LINES / 2);
        }
        lines.push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is waited for, in the log.
enum Sign {
    Port(u16),
    Ready,
}

impl Sign {
    fn find(line: &str) -> Option<Self> {
        if let Some((_, rest)) = line.split_once("Ready in ") {
            // One that is not there ends the server, which then says why.
            let (_, models) = rest.split_once(" ms: ")?;
            let mut words = models.split(' ');
            let (there, of, all) = (words.next()?, words.next()?, words.next()?);
            return (of == "of" && there == all).then_some(Self::Ready);
        }
        let (_, rest) = line.split_once("Exporting HTTP/REST API at:localhost:")?;
        rest.split(' ').next()?.parse().ok().map(Self::Port)
    }
}

impl Server {
    /// Starts one, and waits until it serves.
    ///
    /// # Errors
    /// When it does not come so far, with what it said.
    pub(super) fn start(flags: &[String]) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start a server: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(["component", COMMAND])
            .args(flags)
            .args([
                "--bind_address=127.0.0.1",
                "--port=0",
                "--rest_api_port=auto",
            ])
            .args([
                "--file_system_poll_wait_seconds=0",
                "--max_num_load_retries=0",
            ])
            .arg("--exit_on_failed_start")
            // What the component prints is what its developer looks for.
            .env("TENSORGATE_LOG", "info,tensorgate_edge::prints=debug")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer);
        let child = command.spawn().map_err(failed)?;
        // It holds the ends of the pipe that are written to: with them the log would never end.
        drop(command);
        let log = Log::default();
        let signs = read(reader, log.clone()).map_err(failed)?;
        let mut server = Self {
            child,
            port: 0,
            log,
        };
        server.wait(&signs)?;
        Ok(server)
    }

    fn wait(&mut self, signs: &Receiver<Sign>) -> Result<(), String> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match signs.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(Sign::Port(port)) => self.port = port,
                Ok(Sign::Ready) if self.port != 0 && self.is_running() => return Ok(()),
                Ok(Sign::Ready) | Err(RecvTimeoutError::Disconnected) => return Err(self.why()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the server is not ready after {PATIENCE:?}"));
                }
            }
        }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Why it does not serve: its last words, or all that it complained of.
    fn why(&self) -> String {
        const LAST_WORDS: &str = "Failed to start server. Error: ";
        let lines = self.log.take();
        let last = lines.iter().find_map(|line| {
            let (_, words) = line.split_once(LAST_WORDS)?;
            Some(words.to_owned())
        });
        last.unwrap_or_else(|| format!("the server did not start:\n{}", wanted(lines).join("\n")))
    }

    /// Where it answers HTTP.
    pub(super) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it has said since it was asked last that a developer wants to read: complaints, and
    /// what the component printed. Where there `must` be something, waits for it: an answer may be
    /// here before the line that says why.
    pub(super) fn said(&self, must: bool) -> Vec<String> {
        let give_up = Instant::now() + LATE;
        let mut lines = self.log.take();
        while must && Instant::now() < give_up {
            thread::sleep(LOOK);
            let more = self.log.take();
            if more.is_empty() && lines.iter().any(|line| is_wanted(line)) {
                break;
            }
            lines.extend(more);
        }
        wanted(lines)
    }
}

/// The lines of a log that are wanted, with the lines that go on with them.
fn wanted(mut lines: Vec<String>) -> Vec<String> {
    let mut goes_on = false;
    lines.retain(|line| {
        if begins(line) {
            goes_on = is_wanted(line);
        }
        goes_on
    });
    lines
}

fn is_wanted(line: &str) -> bool {
    is_complaint(line) || line.contains(PRINTED)
}

/// Whether a line is the first of what it says: those begin with the time.
fn begins(line: &str) -> bool {
    let is_date = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    line.len() > 10 && line.bytes().take(10).enumerate().all(is_date)
}

/// Whether a line of a log is a warning or an error: `2026-01-01 00:00:00.000000: W target] ...`.
fn is_complaint(line: &str) -> bool {
    [": W ", ": E ", ": F "]
        .iter()
        .any(|mark| line.contains(mark))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log to its end on a thread of its own, since a full pipe would stop the server.
fn read(pipe: PipeReader, log: Log) -> std::io::Result<Receiver<Sign>> {
    // There are two signs; should there be more, nobody waits for them.
    let (sender, receiver) = sync_channel(8);
    thread::Builder::new()
        .name("tg-test-log".to_owned())
        .spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(
                pipe.by_ref().take(MAX_LINE).read_until(b'\n', &mut line),
                Ok(1..)
            ) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                let sign = Sign::find(&text);
                log.push(text);
                if let Some(sign) = sign {
                    let _ = sender.try_send(sign);
                }
                line.clear();
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_where_it_is_and_when() {
        let port = Sign::find("2026: I x] Exporting HTTP/REST API at:localhost:4321 ...");
        assert!(matches!(port, Some(Sign::Port(4321))));
        let ready = Sign::find("2026: I x] Ready in 3 ms: 1 of 1 models are available");
        assert!(matches!(ready, Some(Sign::Ready)));
        for line in [
            "something else",
            "x] Ready in 3 ms: 1 of 2 models are available",
        ] {
            assert!(Sign::find(line).is_none(), "{line}");
        }
        assert!(is_complaint("2026-01-01 00:00:00.000000: W x] late"));
        assert!(!is_complaint("2026-01-01 00:00:00.000000: I x] there"));
    }

    #[test]
    fn what_is_wanted_may_have_several_lines() {
        let lines = [
            "2026-01-01 00:00:00.000000: I x] there",
            "and here",
            "2026-01-01 00:00:00.000000: W x] late:",
            "  0: because",
            "2026-01-01 00:00:00.000000: D tensorgate_edge::prints] hello",
            "2026-01-01 00:00:00.000000: D x] no",
        ];
        let lines = wanted(lines.map(str::to_owned).to_vec());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "  0: because");
    }

    #[test]
    fn a_log_is_kept_within_bounds() {
        let log = Log::default();
        for number in 0..MAX_LINES + 1 {
            log.push(number.to_string());
        }
        let lines = log.take();
        assert_eq!(lines.len(), MAX_LINES / 2 + 1);
        assert_eq!(lines.last(), Some(&MAX_LINES.to_string()));
        assert!(log.take().is_empty());
    }
}
