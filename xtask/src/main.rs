//! Set-up and every developer command: `cargo xtask help` lists them.
//!
//! Commands say what they are doing and how long it took, keep what they made under
//! `.tensorgate/` and `target/`, and are quick the second time. An error says what to do about it.

mod arguments;
mod bench;
mod edge;
mod examples;
mod guests;
mod host;
mod http;
mod package;
mod process;
mod progress;
mod repo;
mod serve;
mod server;
mod setup;
mod stamp;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::process::cargo;
use crate::repo::{Profile, Repo};

const HELP: &str = "\
cargo xtask COMMAND

  serve [-- FLAGS]      set up, build, and serve the example models on 8500 and 8501;
                        FLAGS go to the server: `-- --rest_api_port=9000`,
                        `-- --model_name=mine --model_base_path=/models/mine`
  test                  everything that CI checks
      --list            the steps, in order
      --only STEP       one step (may be repeated)
      --skip STEP       all but this one (may be repeated)
      --keep-going      also after a step has failed
  example [NAME]        run one example against a server of its own, or list them
      --profile NAME    release (the default), dist or dev

  setup                 toolchain, Python, libtensorflow, models of examples and tests
  guests                build the WebAssembly components
  edge                  the edge as one file, target/guests/edge.wasm for Spin and SpinKube and
                        edge-wasi.wasm for other hosts of wasi:http
      --processor FILE  with this processor in it
      --profile NAME    release (the default) or dev: the server that composes them
  package               a tarball that runs on another machine, and a check that it does
      --profile NAME    dist (the default), release or dev
      --no-check        do not try it
  bench [PART]          the figures of docs/benchmarks.md; PART is one of
                        request [-- COUNT]  a request through the whole server, and its start
                        grpc [-- SECONDS]   Predict over gRPC and REST, 1, 8 and 64 clients
                        sandbox             what a fresh sandbox adds
                        parse               JSON to tensor, natively and in the sandbox
                        pictures            JPEG to tensor, natively, in the sandbox, in Python
                        processors [-- SECONDS]  what a processor adds, a swap, a hostile one
                        edge [-- COUNT]     through the edge, at the host, in one process
                        batching            1 to 256 clients against the bare session
                        pair                one load on several servers, in turns
                        grid                every batching setting against the adaptive mode
                        peers               against Python servers, which it installs
      --quick           few cases of batching, grid or peers, a second each
      --seconds N       how long each of their cases takes
      --config NAME=FLAGS   ours with these flags too (batching, peers; may be repeated)
      --adaptive FLAGS  the adaptive mode's flags (grid); empty to leave it out
      --rate N          requests per second of the open loop (grid)
      --only NAME       one peer (may be repeated)
  soak [-- ARGUMENTS]   a million runs and a thousand loads, watching resident memory
  fmt                   format Rust sources
  doc                   API documentation into target/doc

TENSORGATE_PYTHON names the Python (3.10 to 3.13) to set up with; the default is the first that fits.
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            progress::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    let repo = Repo::find()?;
    let Some(command) = arguments.word() else {
        progress::print(HELP);
        return Ok(ExitCode::FAILURE);
    };
    match command.as_str() {
        "help" | "--help" | "-h" => progress::print(HELP),
        "serve" => return Err(serve::serve(&repo, arguments)?),
        "announce" => serve::announce(arguments)?,
        "test" => return test::test(&repo, arguments),
        "example" => example(&repo, arguments)?,
        "setup" => {
            arguments.finish()?;
            setup::everything(&repo)?;
        }
        "guests" => {
            arguments.finish()?;
            setup::wasm_target(&repo)?;
            guests::build(&repo)?;
        }
        "edge" => {
            let profile = profile(&mut arguments, Profile::Release)?;
            let processor = arguments.value("--processor")?.map(PathBuf::from);
            arguments.finish()?;
            edge::edge(&repo, profile, processor)?;
        }
        "package" => {
            let profile = profile(&mut arguments, Profile::Dist)?;
            let check = !arguments.flag("--no-check");
            arguments.finish()?;
            package::package(&repo, profile, check)?;
        }
        "bench" => bench::bench(&repo, arguments)?,
        "soak" => soak(&repo, arguments)?,
        "fmt" => process::run(cargo(&repo).args(["fmt", "--all"]).args(arguments.rest()))?,
        "doc" => {
            arguments.finish()?;
            test::doc(&repo)?;
        }
        unknown => bail!("no command `{unknown}`: `cargo xtask help` lists them"),
    }
    Ok(ExitCode::SUCCESS)
}

fn profile(arguments: &mut Arguments, default: Profile) -> Result<Profile> {
    match arguments.value("--profile")?.as_deref() {
        None => Ok(default),
        Some("dist") => Ok(Profile::Dist),
        Some("release") => Ok(Profile::Release),
        Some("dev") => Ok(Profile::Dev),
        Some(other) => bail!("--profile {other}: expected `dist`, `release` or `dev`"),
    }
}

fn example(repo: &Repo, mut arguments: Arguments) -> Result<()> {
    let profile = profile(&mut arguments, Profile::Release)?;
    let name = arguments.word();
    arguments.finish()?;
    let Some(name) = name else {
        for example in examples::ALL {
            progress::print(&format!("{:<20}{}\n", example.name, example.shows));
        }
        return Ok(());
    };
    let example = examples::find(&name)?;
    let python = setup::python(repo)?;
    examples::export(repo, &python, example)?;
    server::build(repo, profile)?;
    examples::run(repo, &python, profile, example)
}

/// The leak check of the TensorFlow layer. It lives there, where the sessions are.
fn soak(repo: &Repo, arguments: Arguments) -> Result<()> {
    arguments.finish_own()?;
    setup::everything(repo)?;
    let mut command = cargo(repo);
    command.args(["run", "--release", "-p", "tensorgate-tensorflow"]);
    command.args(["--example", "soak", "--"]);
    process::run(command.args(arguments.rest()))
}
