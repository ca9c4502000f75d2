//! What xtask says. Progress goes to standard error, results to standard output, both only here.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a long step says that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_mins(1);

/// Runs one step: says what it is before, how long it has been at it, and how long it took after.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(what);
    let started = Instant::now();
    let result = watched(work, SIGN_OF_LIFE, || {
        note(&format!("{what}: {} so far", seconds(started.elapsed())));
    })?;
    note(&format!("{what}: done in {}", seconds(started.elapsed())));
    Ok(result)
}

/// Does `work`, and calls `say` after each interval until it has ended.
fn watched<T>(work: impl FnOnce() -> T, interval: Duration, say: impl Fn() + Sync) -> T {
    // Dropped when the work ends, in whatever way.
    let (working, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = end;
            while end.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        let _working = working;
        work()
    })
}

/// One line of progress.
#[expect(clippy::print_stderr, reason = "this is where progress is printed")]
pub(crate) fn note(line: &str) {
    eprintln!("xtask: {line}");
}

/// An error with its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    note(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        note(&format!("  because: {cause}"));
    }
}

/// Text that was asked for.
#[expect(clippy::print_stdout, reason = "this is where results are printed")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// `0.3 s`, `12.0 s`, `3 min 20 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_gives_signs_of_life_and_short_work_none() {
        let (say, said) = mpsc::sync_channel(100);
        let interval = Duration::from_millis(1);
        let done = watched(
            || said.iter().take(3).count(),
            interval,
            || {
                let _ = say.try_send(());
            },
        );
        assert_eq!(done, 3);
        let short = watched(|| 5, Duration::from_secs(600), || panic!("it has ended"));
        assert_eq!(short, 5);
    }

    #[test]
    fn writes_times_as_people_read_them() {
        for (millis, text) in [
            (40, "0.0 s"),
            (1_260, "1.3 s"),
            (59_900, "59.9 s"),
            (200_000, "3 min 20 s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }
}
