//! The Python servers that ours is compared with, each in an environment of its own.
//!
//! They see the packages of the set-up's environment behind their own, so that TensorFlow is there
//! once. Nothing is ever installed into that one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::setup::Python;
use crate::stamp::{Stamp, digest};

/// `tests/bench/peers/NAME.txt` pins what each needs.
const NAMES: [&str; 4] = ["litserve", "bentoml", "mlserver", "mosec"];

/// Where their scripts and requirements are.
pub(super) fn scripts(repo: &Repo) -> PathBuf {
    repo.root().join("tests/bench/peers")
}

/// Installs what is missing or has changed; gives the directory with the environments.
pub(super) fn install(repo: &Repo, python: &Python) -> Result<PathBuf> {
    let _lock = repo.lock()?;
    let environments = repo.cache().join("peers");
    for name in NAMES {
        let requirements = scripts(repo).join(format!("{name}.txt"));
        let environment = environments.join(name);
        let packages = python.packages()?;
        let key = format!(
            "{} over {}\n",
            digest(std::slice::from_ref(&requirements))?,
            packages.display()
        );
        let stamp = Stamp::new(environment.join("tensorgate-stamp"), key);
        if stamp.is_current() {
            continue;
        }
        progress::step(&format!("installing {name} into .tensorgate/peers"), || {
            make(python, &environment, &packages, &requirements)?;
            stamp.write()
        })?;
    }
    Ok(environments)
}

fn make(python: &Python, environment: &Path, packages: &Path, requirements: &Path) -> Result<()> {
    process::run(
        python
            .module("venv")
            .args(["--clear", "--without-pip"])
            .arg(environment),
    )?;
    // Everything that it needs is pinned, so nothing is resolved.
    process::run(
        python
            .module("pip")
            .arg("--python")
            .arg(environment.join("bin/python"))
            .args(["install", "--disable-pip-version-check", "--quiet"])
            .args(["--no-deps", "--requirement"])
            .arg(requirements),
    )
    .context("pip could not install it")?;
    // After the installation: pip then saw nothing that it could want to replace.
    let own = site_packages(environment)?;
    let link = own.join("tensorgate.pth");
    std::fs::write(&link, format!("{}\n", packages.display()))
        .with_context(|| format!("cannot write {}", link.display()))
}

fn site_packages(environment: &Path) -> Result<PathBuf> {
    let lib = environment.join("lib");
    let entries = std::fs::read_dir(&lib).with_context(|| format!("no {}", lib.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages")))
        .find(|packages| packages.is_dir())
        .with_context(|| format!("no site-packages under {}", lib.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_script_and_pins() {
        let scripts = scripts(&Repo::find().unwrap());
        for name in NAMES {
            assert!(scripts.join(format!("{name}_peer.py")).is_file(), "{name}");
            let pins = std::fs::read_to_string(scripts.join(format!("{name}.txt"))).unwrap();
            let is_pin = |line: &str| line.starts_with('#') || line.contains("==");
            assert!(pins.lines().all(is_pin), "{name}");
        }
    }
}
