//! `tensorgate component watch`: builds, tests and pushes again after each change.
//!
//! Each step is this program as another process, so that what goes wrong in one ends that one.
//! Ends by a signal; the terminal's goes to the step that runs, too.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use crate::components::digest_of;

use super::super::flag::{Flag, Value};
use super::super::{print, print_error};
use super::project::Project;
use super::test::MODEL_DIR;
use super::told::{self, Failed, Given};
use super::watched::{Look, Watched, changed};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Looks until what changes is taken to have changed: an editor writes several files, a checkout
/// hundreds.
const MOST_LOOKS: usize = 20;

/// Builds in a row, each of which changed a file that is watched, before that is taken to be what
/// the build does.
const MOST_AGAIN: usize = 3;

#[derive(Debug, Default)]
struct Options {
    model_dir: Option<PathBuf>,
    model: Option<String>,
    version: Option<i64>,
    push: bool,
    url: Option<String>,
    token_file: Option<PathBuf>,
    help: bool,
}

const FLAGS: &[Flag<Options>] = &[
    Flag {
        name: "model_dir",
        default: "",
        value: Value::Text(|o, v| o.model_dir = Some(v.into()).filter(|_| !v.is_empty())),
        acts: true,
        help: MODEL_DIR,
    },
    Flag {
        name: "push",
        default: "false",
        value: Value::Bool(|o, v| o.push = v),
        acts: true,
        help: "Puts what was built, and passed its tests, before --model of a running server.",
    },
    Flag {
        name: "model",
        default: "",
        value: Value::Text(|o, v| o.model = Some(v.to_owned()).filter(|name| !name.is_empty())),
        acts: true,
        help: "What the model is called, in tests and on the server.",
    },
    Flag {
        name: "version",
        default: "",
        value: Value::Other("number, 0 or above", |o, v| {
            o.version = Some(v.parse().ok().filter(|version| *version >= 0)?);
            Some(())
        }),
        acts: true,
        help: "With --push: one version; all that have none of their own without this flag.",
    },
    Flag {
        name: "url",
        default: "",
        value: Value::Text(|o, v| o.url = Some(v.to_owned()).filter(|url| !url.is_empty())),
        acts: true,
        help: "With --push: where the server's admin port is; http://localhost:8502 otherwise.",
    },
    Flag {
        name: "token_file",
        default: "",
        value: Value::Text(|o, v| o.token_file = Some(v.into()).filter(|_| !v.is_empty())),
        acts: true,
        help: "With --push: a file whose first line is the token; empty for \
               TENSORGATE_ADMIN_TOKEN.",
    },
    told::help(|options, help| options.help = help),
];

/// Watches one project.
pub(super) fn run(args: &[String]) -> ExitCode {
    let given = Given {
        flags: FLAGS,
        usage: "tensorgate component watch [DIRECTORY] [--model_dir=DIRECTORY] [--push \
                --model=NAME]",
        about: "Builds the project, and again whenever a file of build.watch changes. With a model \
                it is tested too, and with --push it goes to a running server. Ends with ctrl-c.",
    };
    let wants_help = |options: &Options| options.help;
    told::run(&given, args, wants_help, |options, rest| {
        if options.push && options.model.is_none() {
            return Err(Failed::Misused(
                "which model? expected --model=NAME with --push".to_owned(),
            ));
        }
        let directory = told::directory(&given, rest)?;
        watch(&directory, options)
    })
}

/// Never ends by itself, once the project can be read.
fn watch(directory: &Path, options: &Options) -> Result<(), Failed> {
    let mut watched = watched(&Project::open(directory)?)?;
    let mut pushed = None;
    let mut again = 0;
    loop {
        let before = watched.look()?;
        round(directory, options, &mut pushed);
        // The project's own file may say something else by now; while it is broken, what it said
        // last is watched.
        if let Ok(new) = Project::open(directory)
            .map_err(Failed::from)
            .and_then(|p| self::watched(&p))
        {
            watched = new;
        }
        let now = watched.look()?;
        let meanwhile = changed(&before, &now);
        again = meanwhile.as_ref().map_or(0, |_| again + 1);
        let file = match meanwhile {
            Some(file) if again < MOST_AGAIN => file,
            Some(file) => {
                print(&format!(
                    "{} changes with every build: this change is passed over\n",
                    file.display()
                ));
                again = 0;
                wait(&watched, &now)?
            }
            None => wait(&watched, &now)?,
        };
        print(&format!("\nchanged: {}\n", file.display()));
    }
}

/// What is watched: what the project says, its own file, and its recorded requests.
fn watched(project: &Project) -> Result<Watched, Failed> {
    let requests = project.manifest.test.requests().join("*");
    let requests = requests.to_string_lossy();
    let own = ["processor.toml", requests.as_ref()];
    let patterns = project.manifest.build.watch.iter().map(String::as_str);
    Watched::new(project.directory(), patterns.chain(own)).map_err(Failed::from)
}

/// Returns when something has changed, and changes no more.
fn wait(watched: &Watched, before: &Look) -> Result<PathBuf, Failed> {
    print("watching for changes; ctrl-c ends\n");
    loop {
        thread::sleep(LOOK);
        let mut now = watched.look()?;
        let Some(file) = changed(before, &now) else {
            continue;
        };
        for _ in 0..MOST_LOOKS {
            thread::sleep(LOOK);
            let later = watched.look()?;
            if changed(&now, &later).is_none() {
                break;
            }
            now = later;
        }
        return Ok(file);
    }
}

/// One build, with what follows. `pushed` is what the server has.
fn round(directory: &Path, options: &Options, pushed: &mut Option<String>) {
    let directory_text = directory.display().to_string();
    if !step(&["build", &directory_text]) {
        return;
    }
    let Ok(project) = Project::open(directory) else {
        return;
    };
    if options.model_dir.is_some() || project.model().is_some() {
        let mut args = vec!["test".to_owned(), directory_text];
        args.extend(flag(
            "model_dir",
            options.model_dir.as_ref().map(|dir| dir.display()),
        ));
        args.extend(flag("model", options.model.as_ref()));
        if !step(&args) {
            return;
        }
    }
    if options.push {
        push(&project, options, pushed);
    }
}

/// Pushes the component, where it is another one.
fn push(project: &Project, options: &Options, pushed: &mut Option<String>) {
    let component = project.component();
    let digest = match std::fs::read(&component) {
        Ok(wasm) => digest_of(&wasm),
        Err(error) => {
            let shown = Project::shown(&component);
            print_error(&format!("tensorgate: cannot read {shown}: {error}\n"));
            return;
        }
    };
    if pushed.as_ref() == Some(&digest) {
        return;
    }
    let mut args = vec!["push".to_owned()];
    args.extend(flag("model", options.model.as_ref()));
    args.extend(flag("version", options.version));
    args.extend(flag("url", options.url.as_ref()));
    args.extend(flag(
        "token_file",
        options.token_file.as_ref().map(|file| file.display()),
    ));
    args.push(component.display().to_string());
    if step(&args) {
        *pushed = Some(digest);
    }
}

fn flag(name: &str, value: Option<impl std::fmt::Display>) -> Option<String> {
    value.map(|value| format!("--{name}={value}"))
}

/// Whether a command of ours did what it was to do. It says itself what went wrong.
fn step(args: &[impl AsRef<std::ffi::OsStr>]) -> bool {
    let program = std::env::current_exe();
    let ended =
        program.and_then(|program| Command::new(program).arg("component").args(args).status());
    match ended {
        Ok(status) => status.success(),
        Err(error) => {
            print_error(&format!("tensorgate: cannot run itself: {error}\n"));
            false
        }
    }
}
