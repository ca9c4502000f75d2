//! `tensorgate serve`, and the same under the name `tensorflow_model_server`.
//!
//! The two read the same flags. They differ in what a mistake is: the original passes over
//! arguments that it does not know, and people's scripts have them; our own command refuses
//! them, since a flag that is misspelt is a flag that does nothing.

use std::process::ExitCode;

use crate::options::{Manner, ServeOptions};
use crate::serve::{self, StartError};

use super::flag::{self, Flag, Found};
use super::serve_flags::{OWN, SERVING};
use super::{MISUSED, NOT_STARTED, complain, print, print_error, usage};

fn flags() -> Vec<&'static Flag<ServeOptions>> {
    SERVING.iter().chain(OWN).collect()
}

/// `tensorgate serve`.
pub(super) fn as_tensorgate(args: &[String]) -> ExitCode {
    let flags = flags();
    let mut options = ServeOptions::for_manner(Manner::Tensorgate);
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if let Some(unknown) = found.unknown.first() {
        let hint = match flag::did_you_mean(&flags, unknown) {
            Some(name) => format!("did you mean --{name}?"),
            None => "`tensorgate help serve` has them all".to_owned(),
        };
        return complain(&format!("unknown argument: {unknown}; {hint}"));
    }
    if options.help {
        print(&help());
        return ExitCode::SUCCESS;
    }
    if options.version {
        return print_versions();
    }
    start(&options, Manner::Tensorgate, &found)
}

/// `tensorflow_model_server`.
pub(super) fn as_model_server(program: &str, args: &[String]) -> ExitCode {
    let flags = flags();
    let mut options = ServeOptions::for_manner(Manner::ModelServer);
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => {
            print_error(&format!("{error}\n"));
            print(&usage::original(program, &flags));
            return ExitCode::from(NOT_STARTED);
        }
    };
    // The original knows no --help: there it is an unknown argument that happens to end it.
    if options.help {
        print(&usage::original(program, &flags));
        return ExitCode::from(NOT_STARTED);
    }
    if options.version {
        return print_versions();
    }
    if let Some(unknown) = found.unknown.first() {
        print(&format!("unknown argument: {unknown}\n"));
        print(&usage::original(program, &flags));
    }
    start(&options, Manner::ModelServer, &found)
}

fn start(options: &ServeOptions, manner: Manner, found: &Found) -> ExitCode {
    match serve::run(options, manner, &found.ignored) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Usage(message)) => {
            print_error(&format!("{message}\n"));
            ExitCode::from(match manner {
                Manner::Tensorgate => MISUSED,
                Manner::ModelServer => NOT_STARTED,
            })
        }
        // On standard output, where the original has it.
        Err(StartError::Failed(error)) => {
            print(&format!("Failed to start server. Error: {error}\n"));
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// The lines of the original's `--version`, from which scripts cut the number.
pub(super) fn print_versions() -> ExitCode {
    let library = serve::tensorflow_version(&ServeOptions::default());
    print(&format!(
        "TensorFlow ModelServer: {} (Tensorgate)\nTensorFlow Library: {library}\n",
        env!("CARGO_PKG_VERSION")
    ));
    ExitCode::SUCCESS
}

fn help() -> String {
    let serving: Vec<_> = SERVING.iter().filter(|flag| flag.acts).collect();
    let later: Vec<&str> = SERVING
        .iter()
        .filter(|flag| !flag.acts)
        .map(|flag| flag.name)
        .collect();
    format!(
        "usage: tensorgate serve --model_name=<name> --model_base_path=<directory> [...]\n\
         \n\
         Flags of TensorFlow Serving (--name=value, --name value, bools also alone):\n\n{}\n\
         Flags of Tensorgate:\n\n{}\n\
         Flags of TensorFlow Serving that are accepted and have no effect yet:\n  {}\n",
        usage::help(&serving),
        usage::help(&OWN.iter().collect::<Vec<_>>()),
        later.join("\n  "),
    )
}
