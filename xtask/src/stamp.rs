//! Whether something is up to date: a file beside it that says from what it was made.
//!
//! The stamp is written last, so work that was interrupted is done again.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// One stamp. The key is text, so that a person can see why something was made again.
#[derive(Debug)]
pub(crate) struct Stamp {
    path: PathBuf,
    key: String,
}

impl Stamp {
    pub(crate) fn new(path: PathBuf, key: String) -> Self {
        Self { path, key }
    }

    pub(crate) fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.key)
    }

    /// Before the work: what is there is no longer what the stamp says.
    pub(crate) fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// After the work.
    pub(crate) fn write(&self) -> Result<()> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        std::fs::write(&self.path, &self.key)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// One line that changes with the content or the name of any of `files`.
pub(crate) fn digest(files: &[PathBuf]) -> Result<String> {
    let mut files = files.to_vec();
    files.sort();
    // Stable for one toolchain, which is pinned. It only has to notice edits.
    let mut hasher = DefaultHasher::new();
    for file in &files {
        let content =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default();
        hasher.write(name.as_encoded_bytes());
        hasher.write_usize(content.len());
        hasher.write(&content);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// The files in `directory` whose names end in `suffix`.
pub(crate) fn files(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", directory.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.display().to_string().ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_with_the_content_of_a_file() {
        let directory = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("a.py");
        std::fs::write(&file, "1").unwrap();
        let key = digest(&files(&directory, ".py").unwrap()).unwrap();
        let stamp = Stamp::new(directory.join("stamp"), key.clone());
        assert!(!stamp.is_current());
        stamp.write().unwrap();
        assert!(stamp.is_current());

        std::fs::write(&file, "2").unwrap();
        let edited = digest(&files(&directory, ".py").unwrap()).unwrap();
        assert_ne!(edited, key);
        assert!(!Stamp::new(directory.join("stamp"), edited).is_current());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
