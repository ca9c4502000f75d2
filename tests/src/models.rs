//! Models that tests serve: those that `tests/models/export.py` makes, and base paths whose
//! versions a test changes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The base path of an exported model.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let path = crate::root().join(".tensorgate/test-models").join(name);
    assert!(
        path.is_dir(),
        "{} is not there: run `cargo xtask setup`",
        path.display()
    );
    path
}

/// A base path that a test fills and empties. It is removed in the end.
#[derive(Debug)]
pub struct BasePath(TempDir);

impl Default for BasePath {
    fn default() -> Self {
        Self::new()
    }
}

impl BasePath {
    /// An empty one.
    ///
    /// # Panics
    /// When the system gives no directory.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// One that holds version 2 (0.5 x + 2), as `version`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn with_half_plus_two(version: &str) -> Self {
        let base = Self::new();
        base.publish(version, 2);
        base
    }

    /// Publishes a version that answers 0.5 x + `addend` (2 or 3). Appears at once, whole.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn publish(&self, version: &str, addend: u8) {
        let source = path("half_plus_version").join(addend.to_string());
        let link = self.path().join(version);
        std::os::unix::fs::symlink(source, link).expect("a link can be made");
    }

    /// As [`publish`](Self::publish), as version `addend`, with what `fill` puts into its
    /// `assets.extra`. Gives the version's directory.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn publish_with(&self, addend: u8, fill: impl FnOnce(&Path)) -> PathBuf {
        let source = path("half_plus_version").join(addend.to_string());
        let staged = self.path().join(format!(".{addend}"));
        let extra = staged.join("assets.extra");
        std::fs::create_dir_all(&extra).expect("directories");
        for part in ["saved_model.pb", "variables"] {
            std::os::unix::fs::symlink(source.join(part), staged.join(part))
                .expect("a link can be made");
        }
        fill(&extra);
        let published = self.path().join(addend.to_string());
        std::fs::rename(staged, &published).expect("it can be moved");
        published
    }

    /// Publishes a version that is none: its `saved_model.pb` is nonsense.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn publish_corrupt(&self, version: &str) {
        let staged = self.path().join(format!(".{version}"));
        std::fs::create_dir(&staged).expect("a directory can be made");
        std::fs::write(staged.join("saved_model.pb"), b"\xff\xff nonsense").expect("a file");
        std::fs::rename(staged, self.path().join(version)).expect("it can be moved");
    }

    /// Takes a published version away.
    ///
    /// # Panics
    /// When it cannot be done.
    pub fn withdraw(&self, version: &str) {
        std::fs::remove_file(self.path().join(version)).expect("the link can be removed");
    }

    /// Moves the whole base path away, and gives what moves it back.
    ///
    /// # Panics
    /// When it cannot be done.
    #[must_use]
    pub fn vanish(&self) -> Vanished {
        let mut away = self.path().to_owned().into_os_string();
        away.push("-away");
        let vanished = Vanished {
            away: away.into(),
            back: self.path().to_owned(),
        };
        std::fs::rename(&vanished.back, &vanished.away).expect("it can be moved");
        vanished
    }
}

/// A base path that is not where it was. Dropped, it is there again.
#[derive(Debug)]
pub struct Vanished {
    away: PathBuf,
    back: PathBuf,
}

impl Drop for Vanished {
    fn drop(&mut self) {
        // Should it fail, the directory stays behind and the test has failed for another reason.
        let _ = std::fs::rename(&self.away, &self.back);
    }
}
