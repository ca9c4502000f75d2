//! `tensorgate component`: processors, from the side of who writes and operates them.
//!
//! `build`, `test` and `watch` are for a project with a `processor.toml`; `check` and `compose` need
//! no project and no server; `push`, `list` and `rollback` ask the admin port of a running one.

mod build;
mod check;
mod compose;
mod project;
mod remote;
mod test;
mod told;
mod watch;
pub(super) mod watched;

use std::process::ExitCode;

use tensorgate_workers::end_with_the_server;

use super::{complain, print, serve};

const HELP: &str = "\
usage: tensorgate component <command> [--flag=value ...]

  build      build a project, and say whether a processor came of it
  test       send a project's recorded requests to its component before a model
  watch      build, test and push a project again after each change
  check      say whether a file is a processor, what it asks for, and what it is to a model
  compose    put a component and others that it imports into one file
  push       put a component before a model of a running server
  list       print what stands before the models of a running server, and what stood there
  rollback   put back what stood there before the last push

  tensorgate component build
  tensorgate component test --model_dir=/models/digits/7
  tensorgate component watch --model_dir=/models/digits/7 --push --model=digits
  tensorgate component check --model_dir=/models/digits/7 processor.wasm
  tensorgate component compose processor.wasm --with=remote-inference.wasm -o edge.wasm
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
            "which command? expected tensorgate component build, test, watch, check, compose, \
             push, list or rollback; see tensorgate component --help",
        );
    };
    match command.as_str() {
        "build" => build::run(rest),
        "test" => test::run(rest),
        "watch" => watch::run(rest),
        test::COMMAND => serve_for_a_test(rest),
        "check" => check::run(rest),
        "compose" => compose::run(rest),
        "push" => remote::push(rest),
        "list" => remote::list(rest),
        "rollback" => remote::roll_back(rest),
        "help" | "--help" | "-h" => {
            print(HELP);
            ExitCode::SUCCESS
        }
        other => complain(&format!(
            "no command is called component {other}: there are build, test, watch, check, \
             compose, push, list, rollback"
        )),
    }
}

/// What `test` starts: a server that ends with it. Nobody types it.
fn serve_for_a_test(flags: &[String]) -> ExitCode {
    match end_with_the_server() {
        Ok(()) => serve::as_tensorgate(flags),
        Err(error) => complain(&format!("cannot end with the test: {error}")),
    }
}
