//! What is printed, in Spin's look: steps in green, what is wrong in red, causes under it.
//!
//! Standard error is kept as it was at the start: while models are served, TensorFlow's lines are
//! taken from its descriptor, and what is said here is none of them.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Stdio;

use tensorgate_spin::run::Console;

use super::super::print;

/// Standard error, as it was at the start.
#[derive(Debug)]
pub(super) struct Voice {
    stderr: File,
    colours: bool,
}

impl Voice {
    pub(super) fn take() -> io::Result<Self> {
        let stderr = io::stderr();
        Ok(Self {
            stderr: File::from(stderr.as_fd().try_clone_to_owned()?),
            colours: stderr.is_terminal(),
        })
    }

    /// The same for whoever runs components.
    pub(super) fn console(&self) -> io::Result<Console> {
        Ok(Console::new(self.stderr.try_clone()?, self.colours))
    }

    /// The same for a command that is run.
    pub(super) fn for_command(&self) -> io::Result<Stdio> {
        Ok(self.stderr.try_clone()?.into())
    }

    /// Nobody is told when it is closed.
    pub(super) fn say(&self, text: &str) {
        let _ = (&self.stderr).write_all(text.as_bytes());
    }

    /// Something doubtful.
    pub(super) fn warning(&self, text: &str) {
        let word = coloured("Warning:", "33", self.colours);
        self.say(&format!("{word} {text}\n"));
    }

    /// What went wrong, with its causes.
    pub(super) fn error(&self, error: &(dyn Error + 'static)) {
        let word = coloured("Error:", "31", self.colours);
        self.say(&format!("{word} {}", chain(error)));
    }
}

/// A step, to standard output: the first word in green.
pub(super) fn step(word: &str, rest: &str) {
    let word = coloured(word, "32", io::stdout().is_terminal());
    print(&format!("{word} {rest}\n"));
}

fn coloured(text: &str, colour: &str, colours: bool) -> String {
    if colours {
        format!("\x1b[1;{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// An error and its causes, as Spin prints them: one indented, several numbered.
fn chain(error: &(dyn Error + 'static)) -> String {
    let top = error.to_string();
    let mut causes = vec![top.clone()];
    let mut cause = error.source();
    while let Some(found) = cause {
        causes.push(found.to_string());
        cause = found.source();
    }
    // Who passes an error on says what it says.
    causes.dedup();
    let causes = &causes[1..];
    let mut text = format!("{top}\n");
    match causes {
        [] => {}
        [one] => {
            let _ = write!(text, "\nCaused by:\n    {}\n", indented(one, 4));
        }
        several => {
            text.push_str("\nCaused by:\n");
            for (number, cause) in several.iter().enumerate() {
                let _ = writeln!(text, "{number:>5}: {}", indented(cause, 7));
            }
        }
    }
    text
}

fn indented(text: &str, width: usize) -> String {
    let margin = format!("\n{:width$}", "");
    text.trim_end().replace('\n', &margin)
}

#[cfg(test)]
mod tests {
    use tensorgate_spin::run::RunError;

    use super::*;

    #[test]
    fn causes_stand_under_what_they_caused() {
        let one = RunError::new("no file");
        assert_eq!(chain(&one), "no file\n");
        let two = RunError::because("no source", one);
        assert_eq!(chain(&two), "no source\n\nCaused by:\n    no file\n");
        let three = RunError::because("no app", two);
        assert_eq!(
            chain(&three),
            "no app\n\nCaused by:\n    0: no source\n    1: no file\n"
        );
    }
}
