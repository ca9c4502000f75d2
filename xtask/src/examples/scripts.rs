//! Making components of processors in JavaScript and Python.
//!
//! Their sources are in `processor/src` of an example. A component is kept as long as its sources,
//! the contract and the tools are the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::make;
use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::setup::{self, WORLD};
use crate::stamp::{Stamp, digest, files};

/// Where the sources of an example's processor are, unless it is in Rust.
pub(crate) fn sources(repo: &Repo, example: &str) -> PathBuf {
    let example = repo.root().join("examples").join(example);
    example.join("processor/src")
}

/// The component of an example in JavaScript, whose first module is `module`.
pub(super) fn javascript(repo: &Repo, example: &str, module: &str) -> Result<PathBuf> {
    let tools = setup::component_tools(repo)?;
    component(repo, example, |sources, made| {
        let mut command = tools.command("componentize-js");
        // Modules are found from the directory that it runs in.
        command.current_dir(sources).arg(format!("{module}.js"));
        command.arg("--wit").arg(repo.root().join("wit"));
        command.args(["--world-name", WORLD]);
        // A processor neither calls by HTTP nor is called so.
        command.args(["--disable", "http", "fetch-event"]);
        command.arg("--out").arg(made);
        command
    })
}

/// The component of an example in Python, whose first module is `module`.
pub(super) fn python(repo: &Repo, example: &str, module: &str) -> Result<PathBuf> {
    let tools = setup::component_tools(repo)?;
    component(repo, example, |sources, made| {
        let mut command = tools.command("componentize-py");
        command.arg("--wit-path").arg(repo.root().join("wit"));
        command.args(["--quiet", "--world", WORLD, "componentize"]);
        command.arg("--python-path").arg(sources).arg(module);
        command.arg("--output").arg(made);
        command
    })
}

fn component(
    repo: &Repo,
    example: &str,
    build: impl FnOnce(&Path, &Path) -> Command,
) -> Result<PathBuf> {
    let _lock = repo.lock()?;
    let directory = repo.cache().join("processors");
    let made = directory.join(format!("{example}.wasm"));
    let sources = sources(repo, example);
    let stamp = Stamp::new(
        repo.cache()
            .join("stamps")
            .join(format!("{example}-processor")),
        key(repo, &sources)?,
    );
    if stamp.is_current() && made.is_file() {
        return Ok(made);
    }
    progress::step(&format!("making the processor of {example}"), || {
        stamp.remove()?;
        make(&directory)?;
        process::run(&mut build(&sources, &made))?;
        stamp.write()
    })?;
    Ok(made)
}

/// What a component is made of: its sources, the contract, the tools.
fn key(repo: &Repo, sources: &Path) -> Result<String> {
    let mut all = files(&repo.root().join("wit"), ".wit")?;
    let pins = repo.root().join("xtask/component-tools");
    for (directory, ending) in [
        (sources, ".py"),
        (sources, ".js"),
        (&pins, ".txt"),
        (&pins, ".json"),
    ] {
        all.extend(files(directory, ending)?);
    }
    Ok(format!("{}\n", digest(&all)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_templates_have_the_same_helpers() {
        let repo = Repo::find().unwrap();
        let templates = repo.root().join("host/server/src/cli/new/templates");
        for (language, example, file) in [
            ("javascript", "iris_javascript", "tensors.js"),
            ("javascript", "iris_javascript", "tensors.test.js"),
            ("python", "wine_python", "tensors.py"),
            ("python", "wine_python", "test_tensors.py"),
        ] {
            let template = templates.join(language).join("src").join(file);
            let same = sources(&repo, example).join(file);
            let read = |path: &Path| std::fs::read_to_string(path).unwrap();
            assert_eq!(read(&template), read(&same), "{}", same.display());
        }
    }
}
