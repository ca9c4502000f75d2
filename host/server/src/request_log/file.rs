//! The files of one log: made when it is needed, changed when it is long.
//!
//! **Invariant:** a file that can be written to never ends in half a record: what was written of
//! one is cut off again. Nothing that is there is ever overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::logging::Utc;

/// A file that is longer is finished, and another begun.
const ROTATE: u64 = 256 << 20;

/// Makes the names of one process different.
static FILES: AtomicU64 = AtomicU64::new(0);

/// Where one log is written to.
#[derive(Debug)]
pub(super) struct LogFile {
    prefix: String,
    path: PathBuf,
    file: File,
    /// Bytes of whole records.
    length: u64,
    rotate: u64,
}

impl LogFile {
    /// An empty file. With an error comes the path that it would have had.
    pub(super) fn create(prefix: &str) -> Result<Self, (PathBuf, io::Error)> {
        Self::create_with_limit(prefix, ROTATE)
    }

    pub(super) fn create_with_limit(
        prefix: &str,
        rotate: u64,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let path = path(prefix);
        match open(&path) {
            Ok(file) => Ok(Self {
                prefix: prefix.to_owned(),
                path,
                file,
                length: 0,
                rotate,
            }),
            Err(error) => Err((path, error)),
        }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole records, or nothing.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if self.length >= self.rotate {
            *self =
                Self::create_with_limit(&self.prefix, self.rotate).map_err(|(_, error)| error)?;
        }
        let written = self.file.write_all(records);
        if written.is_err() {
            // Should this fail too, the next write begins where this one ended, and a reader
            // finds a record that is broken.
            self.file.set_len(self.length)?;
        }
        written?;
        self.length += records.len() as u64;
        Ok(())
    }
}

/// A file in which nothing was written is litter.
impl Drop for LogFile {
    fn drop(&mut self) {
        if self.length == 0 {
            // It can only stay behind.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Requests may hold what is nobody else's business: only the owner reads them.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// `<prefix>.20260101T000000Z.<process>.<count>`: no two servers and no two files have the same.
fn path(prefix: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = Utc(now.unwrap_or_default().as_secs()).to_string();
    let time: String = time
        .chars()
        .filter(|letter| !matches!(letter, '-' | ':'))
        .map(|letter| if letter == ' ' { 'T' } else { letter })
        .collect();
    let process = std::process::id();
    let count = FILES.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(format!("{prefix}.{time}Z.{process}.{count}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_followed_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("log").display().to_string();
        let mut file = LogFile::create_with_limit(&prefix, 10).unwrap();
        let first = file.path().to_owned();
        for _time in 0..3 {
            file.append(b"six...").unwrap();
        }
        assert_ne!(file.path(), first);
        assert_eq!(std::fs::read(&first).unwrap(), b"six...six...");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"six...");
        let name = first.file_name().unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('.').collect();
        assert_eq!(
            (parts[0], parts[1].len(), parts.len()),
            ("log", 16, 4),
            "{name}"
        );
        assert!(parts[1].ends_with('Z'), "{name}");
    }

    #[test]
    fn an_empty_file_is_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("log").display().to_string();
        drop(LogFile::create(&prefix).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
