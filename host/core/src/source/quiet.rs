//! Whether somebody is still writing into a version directory.
//!
//! A fingerprint is taken of the directory: what is in it, how long, changed when. It is quiet
//! when its fingerprint is the same as at the poll before, or when nothing in it changed within
//! the last poll interval, so that a finished directory that is moved into place is loaded at
//! once. An empty directory is never quiet: somebody has made it in order to fill it.
//!
//! **Invariant:** nothing is read but directories and metadata, and a bounded number of those.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How many entries of a version directory are looked at. A SavedModel has some tens; past the
/// limit, changes are not noticed, and a load that fails is repeated anyway.
const MAX_ENTRIES: usize = 20_000;

/// How deep: a SavedModel is three levels deep.
const MAX_DEPTH: usize = 16;

/// What can be seen of a directory's contents without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Over path, length and time of change of everything in it.
    pub(crate) digest: u64,
    /// When something in it changed last.
    pub(crate) newest: SystemTime,
    /// Whether there is nothing in it.
    pub(crate) is_empty: bool,
}

impl Fingerprint {
    /// Looks at the directory (or file) at `path`. Symbolic links inside are looked through, but
    /// not walked into.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let root = fs::metadata(path)?;
        let mut walk = Walk {
            hasher: DefaultHasher::new(),
            newest: root.modified()?,
            entries: 0,
        };
        if root.is_dir() {
            walk.directory(path, 0)?;
        } else {
            walk.entry(path, &root)?;
        }
        Ok(Self {
            digest: walk.hasher.finish(),
            newest: walk.newest,
            is_empty: walk.entries == 0,
        })
    }

    /// Whether nobody is writing, given the fingerprint of the poll before.
    pub(crate) fn is_quiet(
        &self,
        before: Option<&Self>,
        now: SystemTime,
        interval: Duration,
    ) -> bool {
        // A time of change in the future says nothing: only the comparison counts then.
        let is_old = now
            .duration_since(self.newest)
            .is_ok_and(|age| age >= interval);
        !self.is_empty && (is_old || before == Some(self))
    }
}

struct Walk {
    hasher: DefaultHasher,
    newest: SystemTime,
    entries: usize,
}

impl Walk {
    fn directory(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let mut children = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        // The file system's order may change while the contents do not.
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            if self.entries >= MAX_ENTRIES {
                return Ok(());
            }
            let path = child.path();
            // A link that leads nowhere is looked at itself.
            let metadata = fs::metadata(&path).or_else(|_| child.metadata())?;
            self.entry(&path, &metadata)?;
            if child.file_type()?.is_dir() && depth < MAX_DEPTH {
                self.directory(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        let modified = metadata.modified()?;
        (path, metadata.len(), modified).hash(&mut self.hasher);
        self.newest = self.newest.max(modified);
        self.entries += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn print(digest: u64, age: i64, is_empty: bool) -> (Fingerprint, SystemTime) {
        let newest = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let shift = Duration::from_secs(age.unsigned_abs());
        let now = if age < 0 {
            newest - shift
        } else {
            newest + shift
        };
        (
            Fingerprint {
                digest,
                newest,
                is_empty,
            },
            now,
        )
    }

    #[test]
    fn quiet_means_old_or_unchanged_and_never_empty() {
        for (title, age, before, is_empty, expected) in [
            ("seen for the first time, fresh", 3, None, false, false),
            ("seen for the first time, old", 10, None, false, true),
            ("fresh and unchanged", 3, Some(1), false, true),
            ("fresh and changed", 3, Some(2), false, false),
            ("old and changed: moved over", 11, Some(2), false, true),
            ("from the future", -3600, None, false, false),
            ("from the future and unchanged", -3600, Some(1), false, true),
            ("empty and old", 99, Some(1), true, false),
        ] {
            let (current, now) = print(1, age, is_empty);
            let before = before.map(|digest| print(digest, age, is_empty).0);
            assert_eq!(
                current.is_quiet(before.as_ref(), now, INTERVAL),
                expected,
                "{title}"
            );
        }
    }

    #[test]
    fn every_change_below_the_directory_changes_the_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("1");
        fs::create_dir(&path).unwrap();
        let empty = Fingerprint::of(&path).unwrap();
        assert!(empty.is_empty);

        fs::create_dir(path.join("variables")).unwrap();
        fs::write(path.join("variables/data"), b"abc").unwrap();
        let written = Fingerprint::of(&path).unwrap();
        assert!(!written.is_empty);
        assert_ne!(written.digest, empty.digest);
        assert_eq!(Fingerprint::of(&path).unwrap(), written);

        fs::write(path.join("variables/data"), b"abcd").unwrap();
        let longer = Fingerprint::of(&path).unwrap();
        assert_ne!(longer.digest, written.digest);

        let later = longer.newest + Duration::from_secs(5);
        let file = File::options()
            .write(true)
            .open(path.join("variables/data"))
            .unwrap();
        file.set_modified(later).unwrap();
        let touched = Fingerprint::of(&path).unwrap();
        assert_ne!(touched.digest, longer.digest);
        assert_eq!(touched.newest, later);

        fs::rename(path.join("variables/data"), path.join("variables/index")).unwrap();
        assert_ne!(Fingerprint::of(&path).unwrap().digest, touched.digest);
    }

    #[test]
    fn a_file_and_a_dangling_link_have_fingerprints_and_a_missing_path_has_none() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("1");
        fs::write(&file, b"not a directory").unwrap();
        assert!(!Fingerprint::of(&file).unwrap().is_empty);

        let directory = root.path().join("2");
        fs::create_dir(&directory).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.join("link")).unwrap();
        assert!(!Fingerprint::of(&directory).unwrap().is_empty);

        let missing = Fingerprint::of(&root.path().join("3"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
