//! A virtual environment with the packages of `examples/requirements.txt`, and gRPC clients'
//! (`tests/requirements.txt`) on top.
//!
//! Its TensorFlow wheel is the exporter of every model here, and holds the libtensorflow that the
//! server opens.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::stamp::{Stamp, digest};

/// The minor versions of Python 3 for which TensorFlow has wheels.
const SUPPORTED: std::ops::RangeInclusive<u32> = 10..=13;

/// Prints what is to be known of an interpreter, one word each: minor version (or 0), whether it
/// can make environments, and itself.
const PROBE: &str = "\
import importlib.util as u, sys
print(sys.version_info[1] if sys.version_info[0] == 3 else 0)
print(all(u.find_spec(m) for m in ('venv', 'ensurepip')))
print(sys.executable)";

pub(super) const PIP_FAILED: &str = "pip could not install it. It takes the settings that it always takes: \
     PIP_INDEX_URL for a mirror, HTTPS_PROXY for a proxy. What it has downloaded is kept";

/// A Python with TensorFlow.
#[derive(Debug)]
pub(crate) struct Python {
    environment: PathBuf,
}

impl Python {
    /// The program itself.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.environment.join("bin/python")
    }

    /// A command that runs a script.
    pub(crate) fn script(&self, script: &Path) -> Command {
        let mut command = Command::new(self.interpreter());
        // Warnings and worse; what it finds out about the CPU is of no use to anybody here.
        command.env("TF_CPP_MIN_LOG_LEVEL", "1");
        // Models for tests and examples are made on the CPU, also where there is a GPU.
        command.env("CUDA_VISIBLE_DEVICES", "-1");
        command.env("PYTHONUNBUFFERED", "1");
        command.arg(script);
        command
    }

    /// A command that runs a module (`python -m`).
    pub(crate) fn module(&self, module: &str) -> Command {
        let mut command = Command::new(self.interpreter());
        command.args(["-m", module]);
        command
    }

    /// The directory of its packages.
    pub(crate) fn packages(&self) -> Result<PathBuf> {
        let tensorflow = self.libtensorflow()?;
        let packages = tensorflow
            .parent()
            .context("a package lies in a directory")?;
        Ok(packages.canonicalize()?)
    }

    /// The directory with libtensorflow in it.
    pub(crate) fn libtensorflow(&self) -> Result<PathBuf> {
        let lib = self.environment.join("lib");
        let entries = std::fs::read_dir(&lib).with_context(|| format!("no {}", lib.display()))?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/tensorflow")))
            .find(|directory| directory.join("libtensorflow_cc.so.2").is_file())
            .with_context(|| {
                format!(
                    "no libtensorflow_cc.so.2 under {}: delete {} and try again",
                    lib.display(),
                    self.environment.display()
                )
            })
    }
}

/// The environment, made where it is missing or the requirements have changed.
pub(crate) fn python(repo: &Repo) -> Result<Python> {
    let _lock = repo.lock()?;
    let requirements = repo.root().join("examples/requirements.txt");
    let python = Python {
        environment: repo.venv(),
    };
    let stamp = Stamp::new(
        repo.venv().join("tensorgate-stamp"),
        stamp_key(repo, &requirements)?,
    );
    // The interpreter is a link: it dangles when the Python that it came from is gone.
    if !(stamp.is_current() && python.interpreter().is_file()) {
        make(repo, &python, &requirements, &stamp)?;
    }
    clients(repo, &python)?;
    Ok(python)
}

/// What an environment was made of, and where: one that was moved does not work.
fn stamp_key(repo: &Repo, requirements: &PathBuf) -> Result<String> {
    let environment = repo.venv();
    // Several checkouts may share one through a link.
    let place = environment.canonicalize().unwrap_or(environment);
    let digest = digest(std::slice::from_ref(requirements))?;
    Ok(format!("{digest} in {}\n", place.display()))
}

fn make(repo: &Repo, python: &Python, requirements: &Path, stamp: &Stamp) -> Result<()> {
    needs_avx()?;
    let base = find_base()?;
    progress::step("installing TensorFlow into .tensorgate/venv", || {
        progress::note(&format!(
            "with {}; 300 MB to download the first time",
            base.display()
        ));
        stamp.remove()?;
        // Anew: an environment that was left half made is not worth telling apart. Pip keeps
        // what it downloaded.
        process::run(
            Command::new(&base)
                .args(["-m", "venv", "--clear"])
                .arg(repo.venv()),
        )?;
        process::run(
            python
                .module("pip")
                .args(["install", "--disable-pip-version-check", "--requirement"])
                .arg(requirements),
        )
        .context(PIP_FAILED)?;
        python.libtensorflow()?;
        stamp.write()
    })
}

/// Adds what gRPC clients need; nothing that is there already is touched.
fn clients(repo: &Repo, python: &Python) -> Result<()> {
    let requirements = repo.root().join("tests/requirements.txt");
    let stamp = Stamp::new(
        repo.venv().join("tensorgate-clients-stamp"),
        stamp_key(repo, &requirements)?,
    );
    if stamp.is_current() {
        return Ok(());
    }
    progress::step("installing gRPC clients into .tensorgate/venv", || {
        stamp.remove()?;
        process::run(
            python
                .module("pip")
                .args(["install", "--disable-pip-version-check", "--quiet"])
                .args(["--no-deps", "--requirement"])
                .arg(&requirements),
        )
        .context(PIP_FAILED)?;
        stamp.write()
    })
}

/// TensorFlow's wheels stop with an illegal instruction on a CPU without AVX: say so before.
fn needs_avx() -> Result<()> {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if lacks_avx(std::env::consts::ARCH, &info) {
        bail!(
            "this CPU has no AVX, which TensorFlow's wheels need. In a virtual machine, give it \
             the host's CPU model"
        );
    }
    Ok(())
}

fn lacks_avx(arch: &str, cpuinfo: &str) -> bool {
    let mut flags = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .peekable();
    arch == "x86_64"
        && flags.peek().is_some()
        && !flags.any(|line| line.split_whitespace().any(|flag| flag == "avx"))
}

/// The first Python that TensorFlow has wheels for, and that can make an environment.
pub(super) fn find_base() -> Result<PathBuf> {
    let candidates: Vec<OsString> = match std::env::var_os("TENSORGATE_PYTHON") {
        Some(python) => vec![python],
        None => std::iter::once("python3".into())
            .chain(
                SUPPORTED
                    .rev()
                    .map(|minor| format!("python3.{minor}").into()),
            )
            .collect(),
    };
    let mut found = Vec::new();
    for candidate in candidates {
        let Ok(said) = process::output(Command::new(&candidate).args(["-c", PROBE])) else {
            continue;
        };
        match usable(&said) {
            Ok(interpreter) => return Ok(interpreter),
            Err(why) => found.push(format!("{}: {why}", candidate.display())),
        }
    }
    bail!(
        "no Python that will do: 3.{} to 3.{} with venv is needed. {}. Install one, or name one \
         in TENSORGATE_PYTHON",
        SUPPORTED.start(),
        SUPPORTED.end(),
        if found.is_empty() {
            "None was found".to_owned()
        } else {
            format!("Found {}", found.join("; "))
        }
    )
}

/// What the answer to [`PROBE`] means.
fn usable(said: &str) -> Result<PathBuf, String> {
    let mut lines = said.lines();
    let minor: u32 = lines.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let makes_environments = lines.next() == Some("True");
    if !SUPPORTED.contains(&minor) {
        return Err(format!(
            "version 3.{minor}, for which TensorFlow has no wheel"
        ));
    }
    if !makes_environments {
        return Err(format!(
            "3.{minor} without ensurepip (on Debian and Ubuntu: `apt install python3.{minor}-venv`)"
        ));
    }
    Ok(PathBuf::from(lines.next().unwrap_or("python3")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_python_that_tensorflow_has_wheels_for() {
        assert_eq!(
            usable("11\nTrue\n/usr/bin/python3\n"),
            Ok(PathBuf::from("/usr/bin/python3"))
        );
        assert!(usable("9\nTrue\n/p\n").unwrap_err().contains("3.9"));
        assert!(usable("14\nTrue\n/p\n").unwrap_err().contains("3.14"));
    }

    #[test]
    fn names_the_package_that_debian_splits_off() {
        let why = usable("11\nFalse\n/usr/bin/python3\n").unwrap_err();
        assert!(why.contains("apt install python3.11-venv"), "{why}");
    }

    #[test]
    fn knows_a_cpu_without_avx() {
        assert!(lacks_avx("x86_64", "flags\t\t: fpu sse4_2\n"));
        assert!(!lacks_avx("x86_64", "flags\t\t: fpu sse4_2 avx avx2\n"));
        assert!(!lacks_avx("x86_64", ""), "unknown is no reason to stop");
        assert!(!lacks_avx("aarch64", "Features\t: fp asimd\n"));
    }
}
