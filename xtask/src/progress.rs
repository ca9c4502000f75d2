//! What xtask says. Progress goes to standard error, results to standard output, both only here.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step: says what it is before, and how long it took after.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(what);
    let started = Instant::now();
    let result = work()?;
    note(&format!("{what}: done in {}", seconds(started.elapsed())));
    Ok(result)
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
