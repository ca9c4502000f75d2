//! `tensorgate component`: processors, from the side of who writes and operates them.
//!
//! `check` needs no server; `push`, `list` and `rollback` ask the admin port of a running one.

mod check;
mod remote;

use std::process::ExitCode;

use super::{complain, print};

const HELP: &str = "\
usage: tensorgate component <command> [--flag=value ...]

  check      say whether a file is a processor, what it asks for, and what it is to a model
  push       put a component before a model of a running server
  list       print what stands before the models of a running server, and what stood there
  rollback   put back what stood there before the last push

  tensorgate component check --model_dir=/models/digits/7 processor.wasm
  tensorgate component push --model=digits processor.wasm
  tensorgate component push --model=digits --version=7 processor.wasm
  tensorgate component list
  tensorgate component rollback --model=digits

A server takes them on its admin port: tensorgate serve --admin_port=8502
--admin_token_file=FILE --component_store=DIRECTORY. Help of a command: tensorgate component
push --help.
";

/// Runs the command that `args` ask for.
pub(super) fn run(args: &[String]) -> ExitCode {
    let Some((command, rest)) = args.split_first() else {
        return complain(
            "which command? expected tensorgate component check, push, list or rollback; see \
             tensorgate component --help",
        );
    };
    match command.as_str() {
        "check" => check::run(rest),
        "push" => remote::push(rest),
        "list" => remote::list(rest),
        "rollback" => remote::roll_back(rest),
        "help" | "--help" | "-h" => {
            print(HELP);
            ExitCode::SUCCESS
        }
        other => complain(&format!(
            "no command is called component {other}: there are check, push, list, rollback"
        )),
    }
}
