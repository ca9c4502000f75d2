//! How the commands of a project read their arguments and end.

use std::path::PathBuf;
use std::process::ExitCode;

use super::super::flag::{self, Flag, Value};
use super::super::http::plain;
use super::super::{complain, print, print_error, usage};

/// Why a command did not do what it was to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The command line cannot be understood.
    Misused(String),
    /// It went wrong.
    Wrong(String),
    /// It went wrong, and all is said.
    Said,
}

impl From<String> for Failed {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

/// What a command takes.
pub(super) struct Given<'a, T> {
    pub(super) flags: &'a [Flag<T>],
    pub(super) usage: &'a str,
    pub(super) about: &'a str,
}

/// The flag that every command has.
pub(super) const fn help<T>(set: fn(&mut T, bool)) -> Flag<T> {
    Flag {
        name: "help",
        default: "false",
        value: Value::Bool(set),
        acts: true,
        help: "Prints this and ends.",
    }
}

/// Reads the arguments, runs the command with them, and says how it went.
pub(super) fn run<T: Default>(
    given: &Given<'_, T>,
    args: &[String],
    wants_help: impl FnOnce(&T) -> bool,
    command: impl FnOnce(&T, &[String]) -> Result<(), Failed>,
) -> ExitCode {
    let flags: Vec<_> = given.flags.iter().collect();
    let mut options = T::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if wants_help(&options) {
        let flags = usage::help(&flags);
        print(&format!(
            "usage: {}\n\n{}\n\n{flags}",
            given.usage, given.about
        ));
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = found.unknown.iter().find(|arg| arg.starts_with('-')) {
        return complain(&format!(
            "unknown argument: {unknown}; usage: {}",
            given.usage
        ));
    }
    match command(&options, &found.unknown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Misused(message)) => complain(&message),
        Err(Failed::Wrong(message)) => {
            print_error(&format!("tensorgate: {}\n", plain(&message)));
            ExitCode::FAILURE
        }
        Err(Failed::Said) => ExitCode::FAILURE,
    }
}

/// The project's directory: what stands there beside flags, or this one.
pub(super) fn directory<T>(given: &Given<'_, T>, rest: &[String]) -> Result<PathBuf, Failed> {
    match rest {
        [] => Ok(PathBuf::from(".")),
        [directory] => Ok(PathBuf::from(directory)),
        _ => Err(Failed::Misused(format!("usage: {}", given.usage))),
    }
}
