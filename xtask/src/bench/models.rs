//! The models that benchmarks compare servers with, under `.tensorgate/bench-models`.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::examples::{self, make, remove};
use crate::process;
use crate::progress;
use crate::repo::Repo;
use crate::setup::Python;
use crate::stamp::{Stamp, digest, files};

/// What `tests/bench/models/export.py` writes.
const EXPORTED: [&str; 2] = ["cnn", "echo"];

/// The model that an example has already.
const FROM_EXAMPLE: &str = "half_plus_two";

/// Exports them where they are missing or their source has changed; gives their directory.
pub(super) fn export(repo: &Repo, python: &Python) -> Result<PathBuf> {
    examples::export(repo, python, examples::find(FROM_EXAMPLE)?)?;
    let _lock = repo.lock()?;
    let models = repo.bench_models();
    let source = repo.root().join("tests/bench/models");
    let mut sources = files(&source, ".py")?;
    sources.push(repo.root().join("examples/requirements.txt"));
    let stamp = Stamp::new(
        repo.cache().join("stamps/bench-models"),
        format!("{}\n", digest(&sources)?),
    );
    let there = |model: &&str| models.join(model).is_dir();
    if !(stamp.is_current() && EXPORTED.iter().all(there)) {
        progress::step("exporting the models of the benchmarks", || {
            stamp.remove()?;
            remove(&models)?;
            make(&models)?;
            process::run_logged(
                python.script(&source.join("export.py")).arg(&models),
                &repo.logs().join("export-bench-models.log"),
            )?;
            stamp.write()
        })?;
    }
    let link = models.join(FROM_EXAMPLE);
    if !link.try_exists()? {
        let target = repo.models().join(FROM_EXAMPLE);
        // A link that leads nowhere is in the way.
        let _ = std::fs::remove_file(&link);
        symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(models)
}
