//! The edge as one file: shell, `remote-inference` and a processor, composed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::guests;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::server;
use crate::setup::{self, WASM_TARGET};

/// Builds the components and composes them, for Spin and for hosts that have WASI alone.
pub(crate) fn edge(repo: &Repo, mut arguments: Arguments) -> Result<()> {
    let profile = match arguments.value("--profile")?.as_deref() {
        None | Some("release") => Profile::Release,
        Some("dev") => Profile::Dev,
        Some(other) => bail!("--profile {other}: expected `release` or `dev`"),
    };
    let processor = arguments.value("--processor")?.map(PathBuf::from);
    arguments.finish()?;
    setup::wasm_target(repo)?;
    guests::build(repo)?;
    server::build(repo, profile)?;
    let built = |name: &str| {
        let directory = guests::target(repo).join(WASM_TARGET).join("guest");
        directory.join(format!("tensorgate_{name}.wasm"))
    };
    let processor = processor.unwrap_or_else(|| built("identity_processor"));
    for (file, models) in [("edge.wasm", "with"), ("edge-wasi.wasm", "with_wasi")] {
        let file = guests::target(repo).join(file);
        let given = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        process::run(
            Command::new(repo.server(profile))
                .args(["component", "compose"])
                .arg(built("spin_shell"))
                .arg(given(models, &built("remote_inference")))
                .arg(given("with_denied", &processor))
                .arg("-o")
                .arg(&file),
        )?;
        progress::note(&format!("composed {}", file.display()));
    }
    Ok(())
}
