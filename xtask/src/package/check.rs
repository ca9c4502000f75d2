//! Does the tarball run on another machine? As near as one machine comes to it: unpacked outside
//! the checkout, started from another directory, with an empty environment, with libtensorflow
//! beside it as docs/packaging.md says.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::examples;
use crate::http;
use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::server::Server;
use crate::setup;

const MODEL: &str = "half_plus_two";

/// What TensorFlow Serving answers, to the byte.
const EXPECTED: &str = "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}";

/// A directory that is removed with what is in it.
#[derive(Debug)]
struct Elsewhere(PathBuf);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Unpacks, starts, asks; once under each of the binary's two names.
pub(super) fn check(repo: &Repo, tarball: &Path) -> Result<()> {
    let python = setup::python(repo)?;
    examples::export(repo, &python, examples::find(MODEL)?)?;
    let libtensorflow = python.libtensorflow()?;

    progress::step("trying the package elsewhere", || {
        let elsewhere = std::env::temp_dir().join(format!("tensorgate-{}", std::process::id()));
        std::fs::create_dir(&elsewhere)
            .with_context(|| format!("cannot make {}", elsewhere.display()))?;
        let elsewhere = Elsewhere(elsewhere);
        let top = unpack(tarball, &elsewhere.0)?;
        for library in ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] {
            std::os::unix::fs::symlink(libtensorflow.join(library), top.join("lib").join(library))
                .with_context(|| format!("cannot link {library}"))?;
        }
        let models = elsewhere.0.join("models");
        process::run(Command::new("cp").arg("-R").arg(repo.models()).arg(&models))?;

        for (name, words) in [
            ("tensorgate", &["serve"][..]),
            ("tensorflow_model_server", &[]),
        ] {
            progress::note(&format!("serving with bin/{name}"));
            let mut command = Command::new(top.join("bin").join(name));
            command
                .args(words)
                .arg(format!("--model_name={MODEL}"))
                .arg(format!(
                    "--model_base_path={}",
                    models.join(MODEL).display()
                ))
                .env_clear()
                .current_dir("/");
            let log = repo.logs().join(format!("package-{name}.log"));
            let server = Server::start(command, &[MODEL], log)?;
            ask(server.port())?;
            if name == "tensorgate" {
                ask_edge(repo, &top, server.port())?;
            }
            server.stop()?;
        }
        Ok(())
    })
}

/// Runs the edge of the package before the server at this port.
fn ask_edge(repo: &Repo, top: &Path, port: u16) -> Result<()> {
    progress::note("serving share/edge with bin/tensorgate up");
    let mut command = Command::new(top.join("bin/tensorgate"));
    command
        .args(["up", "--from"])
        .arg(top.join("share/edge"))
        .arg(format!("--variable=tensorgate_url=http://127.0.0.1:{port}"))
        .env_clear()
        .current_dir("/");
    let log = repo.logs().join("package-edge.log");
    let edge = Server::start_up(command, &[MODEL], log)?;
    ask(edge.port())?;
    edge.stop()
}

/// The directory that the tarball made.
fn unpack(tarball: &Path, into: &Path) -> Result<PathBuf> {
    process::run(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(tarball)
            .arg("--directory")
            .arg(into),
    )?;
    let entry = std::fs::read_dir(into)?
        .next()
        .context("the tarball is empty")??;
    Ok(entry.path())
}

fn ask(port: u16) -> Result<()> {
    let answer = http::post(
        port,
        &format!("/v1/models/{MODEL}:predict"),
        r#"{"instances": [1.0, 2.0, 5.0]}"#,
    )?;
    ensure!(
        answer.status == 200 && answer.body == EXPECTED,
        "expected {EXPECTED}, got {} {}",
        answer.status,
        answer.body
    );
    Ok(())
}
