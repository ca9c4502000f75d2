//! `tensorgate up`: runs a Spin app with the models of this process, in Spin's look and words; and
//! the same as a plugin of Spin's, for triggers of the type `tensorgate`.
//!
//! ```text
//! flags, spin.toml -> source: built, loaded -> serve: models, host, socket
//! spin up -> spin.lock -> trigger  -----------/
//! ```
//!
//! Exit codes are Spin's: 0, also after SIGINT and SIGTERM; 1 when something went wrong; 2 for a
//! command line that cannot be understood.

mod build;
mod flags;
mod models;
mod say;
mod serve;
mod source;
mod trigger;
mod watch;

use std::process::ExitCode;

use tensorgate_spin::run::RunError;

use super::flag::{self, Flag};
use super::serve_flags::{OWN, SERVING};
use super::{complain, print, usage};

use flags::{Options, RUN, UP};
use say::Voice;
use serve::{End, Setup};
use source::{Source, TRIGGERS};
use watch::{Seen, Watch};

pub(super) use trigger::{NAME as TRIGGER, run as run_trigger};

const ABOUT: &str = "\
usage: tensorgate up [-f spin.toml] [--build] [--listen ADDRESS] [...]

Runs a Spin app: its components of wasi:http 0.2, with what they import of tensorgate:serving
given by models in this process. The models are those of [application.tool.tensorgate] in the
manifest, or of the flags of `tensorgate serve`, which may stand beside these:
";

/// Runs the command.
pub(super) fn run(args: &[String]) -> ExitCode {
    let (options, further) = match read(UP, args) {
        Ok(read) => read,
        Err(problem) => return complain(&problem),
    };
    if options.help {
        let flags: Vec<_> = UP.iter().chain(RUN).collect();
        print(&format!("{ABOUT}\n{}", usage::help(&flags)));
        return ExitCode::SUCCESS;
    }
    let (stray, further): (Vec<String>, Vec<String>) = split(further);
    if let Some(unknown) = unknown(&further, UP) {
        return complain(&unknown);
    }
    let voice = match Voice::take() {
        Ok(voice) => voice,
        Err(error) => return complain(&format!("cannot use standard error: {error}")),
    };
    match up(&options, &stray, &further, &voice) {
        Ok(End::Asked) => ExitCode::SUCCESS,
        Ok(End::Anew) => again(&voice),
        Err(error) => {
            voice.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Flags of ours, and what is none.
fn read(own: &'static [Flag<Options>], args: &[String]) -> Result<(Options, Vec<String>), String> {
    let args = flags::long(args, |name| std::env::var(name).ok());
    let table: Vec<&Flag<Options>> = own.iter().chain(RUN).collect();
    let mut options = Options::default();
    let found = flag::parse(&table, &args, &mut options).map_err(|error| error.to_string())?;
    if options.quiet && !options.follow.is_empty() {
        return Err("--quiet and --follow cannot be used together".to_owned());
    }
    Ok((options, found.unknown))
}

/// What was given before any flag, and the flags.
fn split(args: Vec<String>) -> (Vec<String>, Vec<String>) {
    let flags = args.iter().position(|arg| arg.starts_with('-'));
    let mut stray = args;
    let flags = stray.split_off(flags.unwrap_or(stray.len()));
    (stray, flags)
}

/// What is said of the first argument that is a flag neither of `up` nor of the server.
fn unknown(args: &[String], own: &'static [Flag<Options>]) -> Option<String> {
    let mut flags = args.iter().filter(|arg| arg.starts_with('-'));
    let unknown = flags.find(|arg| {
        let name = arg.trim_start_matches('-').split('=').next();
        !SERVING
            .iter()
            .chain(OWN)
            .any(|flag| Some(flag.name) == name)
    })?;
    let table: Vec<&Flag<Options>> = own.iter().chain(RUN).collect();
    let near = flag::did_you_mean(&table, &unknown.replace('_', "-"));
    let hint = near.map_or_else(
        || "`tensorgate up --help` has them all".to_owned(),
        |near| format!("did you mean --{near}?"),
    );
    Some(format!("unexpected argument '{unknown}' found; {hint}"))
}

fn up(
    options: &Options,
    stray: &[String],
    further: &[String],
    voice: &Voice,
) -> Result<End, RunError> {
    let source = Source::find(options.from.as_deref(), stray.first(), voice)?;
    if let (Some(stray), Some(from)) = (stray.first(), &options.from) {
        return Err(RunError::new(format!(
            "unexpected argument '{stray}' found beside --from={}",
            from.display()
        )));
    }
    // Before anything is read: who writes a file as soon as the routes are printed, or earlier, is
    // not missed.
    let mut seen = options.watch.then(|| Seen::look(&source, Some(voice)));
    if options.build || std::env::var_os("SPIN_ALWAYS_BUILD").is_some() {
        source.build(options, voice)?;
        seen = seen.map(|seen| seen.built(&source));
    }
    // Files of components are copied here, and gone when the app has ended.
    let copies = tempfile::Builder::new()
        .prefix("tensorgate-up-")
        .tempdir()
        .map_err(|error| RunError::because("cannot make a directory for files", error))?;
    let app = source.load(options, &copies.path().join("0"), voice)?;
    let tables = source.tables(&app)?;
    let setup = Setup {
        options,
        models: tables.wanted(further)?,
        trigger_types: &TRIGGERS,
        app_directory: Some(source.directory()),
        directory: source.directory(),
        voice,
    };
    let watch = seen.map(|seen| Watch::new(&source, options, tables, copies.path(), seen));
    serve::run(&setup, &app, watch)
}

/// Starts the program anew, with the arguments that it was started with.
fn again(voice: &Voice) -> ExitCode {
    use std::os::unix::process::CommandExt as _;

    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            voice.error(&RunError::because("cannot start anew", error));
            return ExitCode::FAILURE;
        }
    };
    // Returns only when it could not.
    let error = std::process::Command::new(program)
        .arg0(name)
        .args(args)
        .exec();
    voice.error(&RunError::because("cannot start anew", error));
    ExitCode::FAILURE
}
