//! `tensorgate inspect DIR`.

use std::path::Path;
use std::process::ExitCode;

use crate::inspect::{inspect, json, table};

use super::flag::{self, Flag, Value};
use super::format::Format;
use super::{complain, print, print_error, usage};

#[derive(Debug, Default)]
struct Options {
    format: Format,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "format",
        default: "table",
        value: Value::Other(Format::CHOICES, |o, v| {
            o.format = Format::parse(v)?;
            Some(())
        }),
        acts: true,
        help: Format::HELP,
    },
    Flag {
        name: "help",
        default: "false",
        value: Value::Bool(|o, v| o.help = v),
        acts: true,
        help: "Prints this and ends.",
    },
];

/// Prints what the model in the one directory that `args` names takes and gives.
pub(super) fn run(args: &[String]) -> ExitCode {
    let flags: Vec<_> = FLAGS.iter().collect();
    let mut options = Options::default();
    let found = match flag::parse(&flags, args, &mut options) {
        Ok(found) => found,
        Err(error) => return complain(&error.to_string()),
    };
    if options.help {
        print(&format!(
            "usage: tensorgate inspect <directory> [--format=table|json]\n\n\
             The directory is one version of a model, or its base path: then the highest version\n\
             is shown.\n\n{}",
            usage::help(&flags)
        ));
        return ExitCode::SUCCESS;
    }
    let [directory] = found.unknown.as_slice() else {
        return complain("usage: tensorgate inspect <directory> [--format=table|json]");
    };
    if directory.is_empty() {
        return complain("the directory is an empty text; expected the path of a model");
    }
    if directory.starts_with('-') {
        return complain(&format!("unknown argument: {directory}"));
    }
    match inspect(Path::new(directory)) {
        Ok(description) => {
            print(&match options.format {
                Format::Table => table(&description),
                Format::Json => json(&description),
            });
            ExitCode::SUCCESS
        }
        Err(error) => {
            print_error(&format!("tensorgate: {error}\n"));
            ExitCode::FAILURE
        }
    }
}
