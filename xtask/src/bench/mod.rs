//! `cargo xtask bench`: the figures of docs/benchmarks.md, on this machine.
//!
//! All parts are built with the features of the whole workspace, so that they share what is
//! expensive to build. What compares servers (`batching`, `pair`, `grid`, `peers`) takes long and
//! runs only when it is asked for by name; it writes its results under `.tensorgate/bench/`.

mod models;
mod peers;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::arguments::Arguments;
use crate::examples;
use crate::guests;
use crate::host;
use crate::process;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup;

const MODEL: &str = "half_plus_two";

/// All is measured as it is deployed.
const PROFILE: Profile = Profile::Dist;

/// The parts, for errors.
const PARTS: &str =
    "request, grpc, sandbox, parse, pictures, processors, edge, batching, pair, grid or peers";

/// Runs the part that was asked for, or all of the short ones; what follows `--` goes to the
/// benchmark.
pub(crate) fn bench(repo: &Repo, mut arguments: Arguments) -> Result<()> {
    let part = arguments.word();
    if let Some(part @ ("batching" | "pair" | "grid" | "peers")) = part.as_deref() {
        return servers(repo, part, arguments);
    }
    arguments.finish_own()?;
    let rest = arguments.rest();
    match part.as_deref() {
        None => {
            request(repo, &rest)?;
            grpc(repo, &[])?;
            sandbox(repo)?;
            parse(repo)?;
            pictures(repo)?;
            processors(repo, &[])?;
            edge(repo, &[])
        }
        Some("request") => request(repo, &rest),
        Some("grpc") => grpc(repo, &rest),
        Some("sandbox") => sandbox(repo),
        Some("parse") => parse(repo),
        Some("pictures") => pictures(repo),
        Some("processors") => processors(repo, &rest),
        Some("edge") => edge(repo, &rest),
        Some(other) => bail!("no part `{other}`: expected {PARTS}"),
    }
}

/// The benchmarks that compare servers.
fn servers(repo: &Repo, part: &str, mut arguments: Arguments) -> Result<()> {
    let mut own = Vec::new();
    if arguments.flag("--quick") {
        own.push("--quick".to_owned());
    }
    let values: &[&str] = match part {
        "grid" => &["--seconds", "--rate", "--adaptive"],
        "peers" => &["--seconds", "--config", "--only"],
        "pair" => &[
            "--seconds",
            "--config",
            "--against",
            "--workload",
            "--over",
            "--rows",
            "--clients",
            "--rate",
            "--rounds",
        ],
        _ => &["--seconds", "--config"],
    };
    for name in values {
        for value in arguments.values(name)? {
            own.push(format!("{name}={value}"));
        }
    }
    arguments.finish()?;
    let python = setup::python(repo)?;
    let models = models::export(repo, &python)?;
    let counting = (part == "batching").then(|| counting(repo)).transpose()?;
    server::build(repo, PROFILE)?;
    host::build_only(repo, PROFILE, &["--bin", "tensorgate-bench"])?;
    let mut command = built(repo, "tensorgate-bench");
    command
        .arg(part)
        .arg("--binary")
        .arg(repo.server(PROFILE))
        .arg("--models")
        .arg(models)
        .arg("--out")
        .arg(repo.cache().join("bench"))
        .args(own)
        .env("TF_CPP_MIN_LOG_LEVEL", "3");
    if let Some(counting) = counting {
        command.arg("--counting").arg(counting);
    }
    if part == "peers" {
        command
            .arg("--scripts")
            .arg(peers::scripts(repo))
            .arg("--environments")
            .arg(peers::install(repo, &python)?);
    }
    process::run(&mut command)
}

/// The server, built to count what it allocates. Its speed is of no interest, so that it is built
/// in the profile that takes less time.
fn counting(repo: &Repo) -> Result<PathBuf> {
    setup::wasm_target(repo)?;
    let feature = "tensorgate-server/count-allocations";
    let targets = ["--bin", "tensorgate", "--features", feature];
    host::build_only(repo, Profile::Release, &targets)?;
    let built = repo.server(Profile::Release);
    // The next build without the feature lies where this one does.
    let kept = built.with_file_name("tensorgate-counting");
    fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(kept)
}

fn request(repo: &Repo, rest: &[String]) -> Result<()> {
    let python = setup::python(repo)?;
    examples::export(repo, &python, examples::find(MODEL)?)?;
    server::build(repo, PROFILE)?;
    host::build_only(repo, PROFILE, &["--bin", "tensorgate-bench"])?;
    process::run(
        built(repo, "tensorgate-bench")
            .arg("request")
            .arg(repo.server(PROFILE))
            .arg(repo.models().join(MODEL))
            .args(rest)
            // TensorFlow's log would stand between the figures.
            .env("TF_CPP_MIN_LOG_LEVEL", "3"),
    )
}

fn grpc(repo: &Repo, rest: &[String]) -> Result<()> {
    setup::everything(repo)?;
    server::build(repo, PROFILE)?;
    host::build_only(repo, PROFILE, &["--bin", "tensorgate-bench"])?;
    process::run(
        built(repo, "tensorgate-bench")
            .arg("grpc")
            .arg(repo.server(PROFILE))
            .arg(repo.models().join(MODEL))
            .arg(repo.test_models().join("identity"))
            .args(rest)
            .env("TF_CPP_MIN_LOG_LEVEL", "3"),
    )
}

fn sandbox(repo: &Repo) -> Result<()> {
    guests::build(repo)?;
    host::build_only(repo, PROFILE, &["--example", "sandbox_cost"])?;
    process::run(&mut built(repo, "examples/sandbox_cost"))
}

fn parse(repo: &Repo) -> Result<()> {
    component(repo, "tensorgate-logic", "parse_in_wasm")?;
    host::build_only(repo, PROFILE, &["--example", "parser"])?;
    process::run(&mut built(repo, "examples/parser"))
}

fn pictures(repo: &Repo) -> Result<()> {
    let python = setup::python(repo)?;
    component(repo, "tensorgate-sdk", "picture_in_wasm")?;
    host::build_only(repo, PROFILE, &["--example", "pictures"])?;
    process::run(
        built(repo, "examples/pictures")
            .arg(python.interpreter())
            .arg(repo.root().join("tests/bench/pictures.py")),
    )
}

fn processors(repo: &Repo, rest: &[String]) -> Result<()> {
    let python = setup::python(repo)?;
    examples::export(repo, &python, examples::find(MODEL)?)?;
    component(repo, "tensorgate-sdk", "pass_through")?;
    component(repo, "tensorgate-test-processors", "hostile_processor")?;
    server::build(repo, PROFILE)?;
    host::build_only(repo, PROFILE, &["--bin", "tensorgate-bench"])?;
    let built_guest = |name: &str| {
        let examples = guests::target(repo)
            .join(setup::WASM_TARGET)
            .join("guest/examples");
        examples.join(name)
    };
    process::run(
        built(repo, "tensorgate-bench")
            .arg("processors")
            .arg(repo.server(PROFILE))
            .arg(repo.models().join(MODEL))
            .arg(built_guest("pass_through.wasm"))
            .arg(built_guest("hostile_processor.wasm"))
            .args(rest)
            .env("TF_CPP_MIN_LOG_LEVEL", "3"),
    )
}

fn edge(repo: &Repo, rest: &[String]) -> Result<()> {
    let python = setup::python(repo)?;
    examples::export(repo, &python, examples::find(MODEL)?)?;
    setup::wasm_target(repo)?;
    guests::build(repo)?;
    server::build(repo, PROFILE)?;
    host::build_only(repo, PROFILE, &["--bin", "tensorgate-bench"])?;
    process::run(
        built(repo, "tensorgate-bench")
            .arg("edge")
            .arg(repo.server(PROFILE))
            .arg(repo.models().join(MODEL))
            .arg(repo.root())
            .args(rest)
            .env("TF_CPP_MIN_LOG_LEVEL", "3"),
    )
}

/// An example of a package, as a component.
fn component(repo: &Repo, package: &str, example: &str) -> Result<()> {
    setup::wasm_target(repo)?;
    let mut command = guests::build_command(repo);
    process::run(command.args(["--package", package, "--example", example]))
}

/// What [`host::build_only`] has built.
fn built(repo: &Repo, name: &str) -> Command {
    let mut command = Command::new(repo.built(PROFILE).join(name));
    command.current_dir(repo.root());
    command
}
