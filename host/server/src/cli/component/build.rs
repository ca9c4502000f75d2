//! `tensorgate component build`: runs a project's build, and looks at what came of it.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::components::digest_of;
use crate::files;
use crate::wiring::MAX_MIB;

use super::super::print;
use super::check;
use super::project::Project;
use super::told::{self, Failed, Given};

/// The target that the builds of Rust's processors name.
const TARGET: &str = "wasm32-wasip2";

#[derive(Debug, Default)]
struct Options {
    help: bool,
}

/// Builds one project.
pub(super) fn run(args: &[String]) -> ExitCode {
    let given = Given {
        flags: &[told::help(|options: &mut Options, help| {
            options.help = help
        })],
        usage: "tensorgate component build [DIRECTORY]",
        about: "Runs the build command of the project's processor.toml, and checks that a \
                processor came of it.",
    };
    let wants_help = |options: &Options| options.help;
    told::run(&given, args, wants_help, |_, rest| {
        let project = Project::open(&told::directory(&given, rest)?)?;
        print(&build(&project)?);
        Ok(())
    })
}

/// Builds the project; gives what is to be said of the component.
fn build(project: &Project) -> Result<String, Failed> {
    let command = &project.manifest.build.command;
    print(&format!("building {}: {command}\n", project.manifest.name));
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(project.directory())
        .status()
        .map_err(|error| format!("cannot run sh: {error}"))?;
    if !status.success() {
        let hint = hint(command).unwrap_or_default();
        return Err(format!("the build failed ({status}): {command}{hint}").into());
    }
    let component = project.component();
    let shown = Project::shown(&component);
    if !component.is_file() {
        return Err(format!(
            "the build succeeded, and yet {shown} is not there; processor.toml names it as \
             `component`"
        )
        .into());
    }
    fits(&component)
        .map_err(|problem| format!("{shown}: {problem}"))
        .map(|said| format!("{shown}: {said}\n"))
        .map_err(Failed::from)
}

/// Holds a component against the world; gives its size.
fn fits(component: &Path) -> Result<String, String> {
    let kind = format!("a component of {MAX_MIB} MiB at most");
    let wasm = files::read(component, &kind, MAX_MIB << 20).map_err(|error| error.to_string())?;
    let (length, digest) = (wasm.len(), digest_of(&wasm));
    check::fits(wasm)?;
    Ok(format!(
        "{length} bytes, sha256 {digest}, fits the world model-processor"
    ))
}

/// A missing target shows itself as a page of errors about `core` otherwise.
fn hint(command: &str) -> Option<String> {
    if !command.contains(TARGET) {
        return None;
    }
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let Ok(output) = output else {
        return Some("\nRust is not there: https://rustup.rs installs it".to_owned());
    };
    let directory = String::from_utf8(output.stdout).ok()?;
    let is_there = output.status.success() && Path::new(directory.trim()).is_dir();
    (!is_there).then(|| {
        format!(
            "\nRust's standard library for {TARGET} is not installed: run `rustup target add \
             {TARGET}`"
        )
    })
}
