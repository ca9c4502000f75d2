//! The steps of `cargo xtask test`, in their order.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Step, compatibility, record};
use crate::examples;
use crate::guests;
use crate::host;
use crate::package;
use crate::process::{self, cargo};
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup::{self, Python, WASM_TARGET};
use crate::stamp;

/// The step that holds a page to the tests that ran before it.
pub(super) const COMPATIBILITY: &str = "compatibility";

/// Cheap first; what later steps need before them.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        what: "Rust sources are formatted",
        run: fmt,
    },
    Step {
        name: "setup",
        what: "target, Python, libtensorflow and models are there",
        run: |repo| setup::everything(repo).map(drop),
    },
    Step {
        name: "python",
        what: "Python sources compile, and their unit tests pass",
        run: python,
    },
    Step {
        name: "javascript",
        what: "unit tests of processors in JavaScript pass",
        run: javascript,
    },
    Step {
        name: "guests",
        what: "WebAssembly components build",
        run: guests::build,
    },
    Step {
        name: "clippy-guests",
        what: "clippy has nothing to say about guests",
        run: clippy_guests,
    },
    Step {
        name: "clippy",
        what: "clippy has nothing to say about the host",
        run: clippy,
    },
    Step {
        name: "doc",
        what: "rustdoc has nothing to say",
        run: doc,
    },
    Step {
        name: "test",
        what: "unit tests, suites and examples in documentation",
        run: test,
    },
    Step {
        name: "elsewhere",
        what: "the edge runs under Spin and wasmtime, where they are on the PATH",
        run: elsewhere,
    },
    Step {
        name: COMPATIBILITY,
        what: "each row of docs/compatibility.md has a test that passed",
        run: compatibility::check,
    },
    Step {
        name: "examples",
        what: "every example runs against the server",
        run: run_examples,
    },
    Step {
        name: "package",
        what: "the package runs elsewhere with an empty environment",
        run: |repo| package::package(repo, Profile::Dev, true),
    },
];

fn fmt(repo: &Repo) -> Result<()> {
    process::run(cargo(repo).args(["fmt", "--all", "--check"]))
}

fn python(repo: &Repo) -> Result<()> {
    let python = setup::python(repo)?;
    process::run(
        python
            .module("compileall")
            .args(["-q", "examples", "tests"])
            .current_dir(repo.root()),
    )?;
    let bindings = setup::component_tools(repo)?.bindings(repo)?;
    for example in examples::ALL {
        let directory = repo.root().join("examples").join(example.name);
        if stamp::files(&directory, ".py")?
            .iter()
            .any(|file| examples::is_test(file))
        {
            process::run(unittest(&python, &directory).env("PYTHONPATH", &bindings))?;
        }
    }
    // What componentize-py makes of the contract needs 3.11 where it is not in a component.
    let new_enough = "import sys; sys.exit(sys.version_info < (3, 11))";
    if process::run(Command::new(python.interpreter()).args(["-c", new_enough])).is_err() {
        progress::note("skipping the tests of the template in Python: they need Python 3.11");
        return Ok(());
    }
    let template = repo.root().join(TEMPLATES).join("python/src");
    process::run(unittest(&python, &template).env("PYTHONPATH", &bindings))
}

/// Where the templates of `tensorgate new` are.
const TEMPLATES: &str = "host/server/src/cli/new/templates";

/// A command that runs the unit tests in a directory.
fn unittest(python: &Python, directory: &Path) -> Command {
    let mut command = python.module("unittest");
    command.args(["discover", "--start-directory"]);
    command.arg(directory).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Processors in JavaScript, and what they are written with, in Node.
fn javascript(repo: &Repo) -> Result<()> {
    let tools = setup::component_tools(repo)?;
    let mut directories = vec![repo.root().join(TEMPLATES).join("javascript/src")];
    for example in examples::ALL {
        let directory = examples::processor_sources(repo, example.name);
        if directory.is_dir() {
            directories.push(directory);
        }
    }
    let mut command = tools.command("node");
    command.args(["--test", "--test-reporter=dot"]);
    for directory in &directories {
        command.args(stamp::files(directory, ".test.js")?);
    }
    process::run(&mut command)
}

/// The components and the test programs, in the target that they are written for.
fn clippy_guests(repo: &Repo) -> Result<()> {
    setup::wasm_target(repo)?;
    let components = guests::COMPONENTS.iter().chain(guests::TESTED_COMPONENTS);
    let components = components.chain(guests::TEST_PROGRAMS).copied();
    let (alone, together): (Vec<&str>, Vec<&str>) = components
        .chain(examples::packages())
        .partition(|package| guests::WITHOUT_STD.contains(package));
    for packages in alone.chunks(1).chain([&together[..]]) {
        let mut command = cargo(repo);
        // In the profile that they were built in: macros and build scripts are there then.
        command.args(["clippy", "--profile", "guest", "--target", WASM_TARGET]);
        command.args(["--lib", "--examples"]);
        command.arg("--target-dir").arg(guests::target(repo));
        for package in packages {
            command.args(["--package", package]);
        }
        process::run(command.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

fn clippy(repo: &Repo) -> Result<()> {
    let mut command = host::command(repo, "clippy");
    process::run(command.args(["--all-targets", "--", "--deny", "warnings"]))
}

/// API documentation, warnings denied.
pub(crate) fn doc(repo: &Repo) -> Result<()> {
    let mut command = host::command(repo, "doc");
    process::run(
        command
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// All suites, also after one has failed. They need models, libtensorflow and components, which
/// is why set-up comes first.
fn test(repo: &Repo) -> Result<()> {
    setup::everything(repo)?;
    guests::build(repo)?;
    host::build(repo)?;
    record::run(repo, host::command(repo, "test").arg("--no-fail-fast"))
}

/// The suites of the edge again, by programs that nobody needs to have.
fn elsewhere(repo: &Repo) -> Result<()> {
    let suites: [(&str, &str, &[&str]); 2] = [
        ("spin", "TENSORGATE_TEST_SPIN", &["--test", "edge"]),
        (
            "wasmtime",
            "TENSORGATE_TEST_WASMTIME",
            &["--test", "edge_alone", "--", "--ignored"],
        ),
    ];
    for (program, variable, suite) in suites {
        let Some(path) = process::on_path(program) else {
            progress::note(&format!("skipped: no `{program}` on the PATH"));
            continue;
        };
        progress::note(&format!("the edge under {}", path.display()));
        setup::everything(repo)?;
        guests::build(repo)?;
        host::build(repo)?;
        process::run(host::command(repo, "test").args(suite).env(variable, path))?;
    }
    Ok(())
}

fn run_examples(repo: &Repo) -> Result<()> {
    let python = setup::python(repo)?;
    server::build(repo, Profile::Dev)?;
    for example in examples::ALL {
        examples::export(repo, &python, example)?;
        examples::run(repo, &python, Profile::Dev, example)?;
    }
    Ok(())
}
