//! `cargo xtask package`: one tarball with the server in it, for another machine.
//!
//! The gateway component is inside the binary. libtensorflow is not in the tarball: it is ten
//! times as large as the rest, and whoever has a GPU wants another one. docs/packaging.md says
//! how to put it beside.

mod check;
mod plugin;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::edge;
use crate::guests;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup;

/// Where libtensorflow goes, said in the place itself.
const LIB_README: &str = include_str!("lib-README.txt");

/// What stands above the manifest of the edge.
const EDGE_HEAD: &str = include_str!("edge-head.toml");

/// For machines with systemd, to be edited.
const UNIT: &str = include_str!("tensorgate.service");

/// Makes the tarball and, where asked to, proves that it works elsewhere.
pub(crate) fn package(repo: &Repo, profile: Profile, check: bool) -> Result<()> {
    setup::wasm_target(repo)?;
    guests::build(repo)?;
    server::build(repo, profile)?;
    let tarball = progress::step("packing", || pack(repo, profile))?;
    progress::print(&format!("{}\n", tarball.display()));
    if check {
        check::check(repo, &tarball)?;
    }
    Ok(())
}

fn pack(repo: &Repo, profile: Profile) -> Result<PathBuf> {
    let name = format!(
        "tensorgate-{}-{}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    let packages = repo.target().join("package");
    let top = packages.join(&name);
    match std::fs::remove_dir_all(&top) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", top.display()));
        }
        _ => {}
    }
    for directory in ["bin", "lib", "share/edge", "share/systemd"] {
        let directory = top.join(directory);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }

    let binary = top.join("bin/tensorgate");
    copy(&repo.server(profile), &binary)?;
    strip(&binary);
    std::os::unix::fs::symlink("tensorgate", top.join("bin/tensorflow_model_server"))
        .context("cannot make the link tensorflow_model_server")?;
    std::os::unix::fs::symlink("tensorgate", top.join("bin/trigger-tensorgate"))
        .context("cannot make the link trigger-tensorgate")?;
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "ARCHITECTURE.md"] {
        copy(&repo.root().join(file), &top.join(file))?;
    }
    process::run(
        Command::new("cp")
            .arg("-R")
            .arg(repo.root().join("docs"))
            .arg(&top),
    )?;
    write(&top.join("lib/README.txt"), LIB_README)?;
    write(&top.join("share/systemd/tensorgate.service"), UNIT)?;
    write(&top.join("BUILD.txt"), &build_facts(&binary)?)?;

    pack_edge(repo, &binary, &top.join("share/edge"))?;

    plugin::pack(&packages, &binary)?;
    let tarball = packages.join(format!("{name}.tar.gz"));
    process::run(
        Command::new("tar")
            .args(["--create", "--gzip", "--sort=name", "--numeric-owner"])
            .args(["--owner=0", "--group=0"])
            .arg("--directory")
            .arg(&packages)
            .arg("--file")
            .arg(&tarball)
            .arg(&name),
    )?;
    Ok(tarball)
}

/// The edge, for those who have no checkout: its components one by one, composed, and a manifest.
fn pack_edge(repo: &Repo, binary: &Path, into: &Path) -> Result<()> {
    for name in ["spin_shell", "remote_inference", "identity_processor"] {
        copy(
            &edge::component(repo, name),
            &into.join(format!("tensorgate_{name}.wasm")),
        )?;
    }
    let processor = edge::component(repo, "identity_processor");
    edge::compose(repo, binary, &processor, into)?;
    let manifest = repo.root().join("deploy/spinkube/spin.toml");
    let manifest = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    // How the file is built is of no use here.
    let rest = manifest.find("spin_manifest_version").unwrap_or_default();
    write(
        &into.join("spin.toml"),
        &format!("{EDGE_HEAD}{}", &manifest[rest..]),
    )
}

/// Debug information is most of a dev build's size. Without binutils it stays in.
fn strip(binary: &Path) {
    if process::run(Command::new("strip").arg("--strip-debug").arg(binary)).is_err() {
        progress::note("packing the binary with its debug information: `strip` did not work");
    }
}

/// What somebody wants to know who asks whether it will run.
fn build_facts(binary: &Path) -> Result<String> {
    let bytes =
        std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let glibc = newest_glibc(&bytes).map_or_else(
        || "no glibc symbols found".to_owned(),
        |(major, minor)| format!("glibc {major}.{minor} or newer"),
    );
    progress::note(&format!("the binary needs {glibc}"));
    Ok(format!(
        "tensorgate {}\nfor {} {}\nneeds {glibc}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    ))
}

/// The newest version of glibc among the symbol versions that an ELF binary names. They stand in
/// its string table as `GLIBC_2.34`, so no ELF has to be parsed for them.
fn newest_glibc(binary: &[u8]) -> Option<(u32, u32)> {
    const PREFIX: &[u8] = b"GLIBC_";
    binary
        .windows(PREFIX.len())
        .enumerate()
        .filter(|(_, window)| *window == PREFIX)
        .filter_map(|(at, _)| {
            let text = &binary[at + PREFIX.len()..];
            let end = text.iter().position(|&byte| byte == 0)?;
            let (major, minor) = std::str::from_utf8(&text[..end]).ok()?.split_once('.')?;
            // `2.2.5`: the patch level matters to nobody any more.
            let minor = minor.split('.').next()?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        })
        .max()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_newest_symbol_version() {
        let table = b"\0memcpy\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBC_PRIVATE\0";
        assert_eq!(newest_glibc(table), Some((2, 34)));
        assert_eq!(newest_glibc(b"static"), None);
    }
}
