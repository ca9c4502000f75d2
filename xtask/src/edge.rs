//! The edge as one file: shell, `remote-inference` and a processor, composed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup::{self, WASM_TARGET};

/// What a composed edge is called, and the flag of `component compose` that satisfies its imports.
const FILES: [(&str, &str); 2] = [("edge.wasm", "with"), ("edge-wasi.wasm", "with_wasi")];

/// Builds the components and composes them, for Spin and for hosts that have WASI alone.
pub(crate) fn edge(repo: &Repo, profile: Profile, processor: Option<PathBuf>) -> Result<()> {
    setup::wasm_target(repo)?;
    guests::build(repo)?;
    server::build(repo, profile)?;
    let processor = processor.unwrap_or_else(|| component(repo, "identity_processor"));
    let into = guests::target(repo);
    compose(repo, &repo.server(profile), &processor, &into)
}

/// A component of the edge, built.
pub(crate) fn component(repo: &Repo, name: &str) -> PathBuf {
    let directory = guests::target(repo).join(WASM_TARGET).join("guest");
    directory.join(format!("tensorgate_{name}.wasm"))
}

/// Composes built components, each kind into a file of its name in `into`.
pub(crate) fn compose(repo: &Repo, server: &Path, processor: &Path, into: &Path) -> Result<()> {
    for (file, models) in FILES {
        let file = into.join(file);
        let given = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        process::run(
            Command::new(server)
                .args(["component", "compose"])
                .arg(component(repo, "spin_shell"))
                .arg(given(models, &component(repo, "remote_inference")))
                .arg(given("with_denied", processor))
                .arg("-o")
                .arg(&file),
        )?;
        progress::note(&format!("composed {}", file.display()));
    }
    Ok(())
}
