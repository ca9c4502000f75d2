//! The command line: which command is meant, and what it was told.
//!
//! Takes the arguments of the process, gives its exit code. What commands do is elsewhere
//! (`serve`, `inspect`); here are only names, flags and texts.
//!
//! Exit codes: 0; 2 for a command line that cannot be understood; 1 for a command that failed;
//! and 255 whenever the original ends with it (a server that cannot start, and every mistake
//! under the name `tensorflow_model_server`), since shells and units look at it.

mod component;
mod flag;
mod format;
mod http;
mod inspect;
mod new;
mod serve;
mod serve_flags;
mod status;
mod up;
mod usage;
mod worker;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// The name under which the binary is a drop-in for the original.
const ORIGINAL: &str = "tensorflow_model_server";

/// What the original ends with when it does not start.
const NOT_STARTED: u8 = 255;
/// What our own commands end with when they do not understand their arguments.
const MISUSED: u8 = 2;

const HELP: &str = "\
Tensorgate serves TensorFlow SavedModels. It answers TensorFlow Serving's API, and handles
every request inside a WebAssembly sandbox.

usage: tensorgate <command> [--flag=value ...]

  serve      serve models; takes the flags of tensorflow_model_server
  up         run a Spin app, with models in the same process
  inspect    print what a SavedModel takes and gives
  new        make a new processor: a project in Rust, JavaScript or Python
  component  build, test, push, list and roll back processors
  status     print what a running server runs where, and the memory that it has
  version    print the versions of this program and of TensorFlow
  help       print this, or the help of a command: tensorgate help serve

  tensorgate serve --model_name=half_plus_two --model_base_path=/models/half_plus_two
  tensorgate inspect /models/half_plus_two

Under the name tensorflow_model_server the program behaves as that one does, and under the name
trigger-tensorgate it is a plugin of Spin's.
";

/// Runs the command that `args` (with the program's name in front) ask for.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let mut rest = Vec::new();
    for arg in args {
        match arg.into_string() {
            Ok(arg) => rest.push(arg),
            Err(arg) => return complain(&format!("argument {arg:?} is not UTF-8")),
        }
    }
    if Path::new(&program).file_name() == Some(ORIGINAL.as_ref()) {
        return serve::as_model_server(&program.to_string_lossy(), &rest);
    }
    if Path::new(&program).file_name() == Some(up::TRIGGER.as_ref()) {
        return up::run_trigger(&rest);
    }
    let Some((command, rest)) = rest.split_first() else {
        print_error(HELP);
        return ExitCode::from(MISUSED);
    };
    match command.as_str() {
        "serve" => serve::as_tensorgate(rest),
        "up" => up::run(rest),
        "trigger" => up::run_trigger(rest),
        "inspect" => inspect::run(rest),
        "status" => status::run(rest),
        "new" => new::run(rest),
        "component" => component::run(rest),
        "version" => serve::version(rest),
        "worker" => worker::run(rest),
        "--version" | "-V" => {
            print(concat!("tensorgate ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        "help" | "--help" | "-h" => match rest.first().map(String::as_str) {
            Some("serve") => serve::as_tensorgate(&["--help".to_owned()]),
            Some("up") => up::run(&["--help".to_owned()]),
            Some("inspect") => inspect::run(&["--help".to_owned()]),
            Some("status") => status::run(&["--help".to_owned()]),
            Some("new") => new::run(&["--help".to_owned()]),
            Some("component") => component::run(&["--help".to_owned()]),
            Some("version") => serve::version(&["--help".to_owned()]),
            None | Some("help") => {
                print(HELP);
                ExitCode::SUCCESS
            }
            Some(other) => complain(&no_command(other)),
        },
        other => {
            // `tensorgate --port=8500`: the command was forgotten.
            let hint = if other.starts_with("--") {
                format!("no command: did you mean `tensorgate serve {other}`?")
            } else {
                no_command(other)
            };
            complain(&hint)
        }
    }
}

fn no_command(name: &str) -> String {
    format!(
        "no command is called {name}: there are serve, up, inspect, new, component, status, version, help"
    )
}

/// A mistake on the command line of one of our own commands.
fn complain(message: &str) -> ExitCode {
    print_error(&format!("tensorgate: {message}\n"));
    ExitCode::from(MISUSED)
}

/// To standard output. Nobody is told when it is closed (`tensorgate help | head`).
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// To standard error.
fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
