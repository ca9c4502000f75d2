//! Where things are: the checkout, what is cached in it, and what cargo builds.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::progress;

/// The checkout.
#[derive(Debug)]
pub(crate) struct Repo {
    root: PathBuf,
    target: PathBuf,
}

/// How the host is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What tests are built with, so that they need no second build.
    Dev,
    /// What newcomers run: the fastest that does not take long to build.
    Release,
    /// What is deployed and measured.
    Dist,
}

impl Profile {
    /// Its name for cargo's `--profile`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// Its directory under cargo's target directory.
    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

impl Repo {
    /// The checkout that `cargo xtask` was called in.
    pub(crate) fn find() -> Result<Self> {
        // Cargo says at run time where the package is; the build may have been in another clone
        // that shares the target directory.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask
            .parent()
            .map(Path::to_owned)
            .filter(|root| root.join("Cargo.lock").is_file())
            .with_context(|| format!("{} is not in a checkout of Tensorgate", xtask.display()))?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What set-up makes. Ignored by git; may be deleted at any time.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join(".tensorgate")
    }

    /// The Python environment with TensorFlow.
    pub(crate) fn venv(&self) -> PathBuf {
        self.cache().join("venv")
    }

    /// What makes components of JavaScript and Python.
    pub(crate) fn component_tools(&self) -> PathBuf {
        self.cache().join("component-tools")
    }

    /// The models of the examples, `<name>/<version>`.
    pub(crate) fn models(&self) -> PathBuf {
        self.cache().join("models")
    }

    /// The models that tests run.
    pub(crate) fn test_models(&self) -> PathBuf {
        self.cache().join("test-models")
    }

    /// The models that benchmarks run.
    pub(crate) fn bench_models(&self) -> PathBuf {
        self.cache().join("bench-models")
    }

    /// What programs wrote that were run out of sight.
    pub(crate) fn logs(&self) -> PathBuf {
        self.cache().join("logs")
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The server, as built with `profile`.
    pub(crate) fn server(&self, profile: Profile) -> PathBuf {
        self.built(profile).join("tensorgate")
    }

    /// Where cargo puts what it builds in a profile.
    pub(crate) fn built(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.directory())
    }

    /// Keeps other `cargo xtask` commands out of the cache until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.cache().join("lock");
        std::fs::create_dir_all(self.cache())
            .with_context(|| format!("cannot make {}", self.cache().display()))?;
        let file =
            File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                progress::note("waiting for another `cargo xtask` to finish its set-up");
                file.lock().context("cannot wait for the set-up lock")?;
            }
            Err(std::fs::TryLockError::Error(error)) => bail!("{}: {error}", path.display()),
        }
        Ok(file)
    }
}
