//! Components that were pushed to this server: kept on a disk, with the history of what stood
//! before which model.
//!
//! ```text
//! DIR/blobs/<sha256>.wasm         a component, written once
//! DIR/models/<name>/history       a line for each change, appended and never rewritten
//! ```
//!
//! **Ordering:** a blob is on the disk before a line names it, and a line is on the disk before
//! anybody is told that something was pushed. **Invariant:** what a crash leaves behind is a blob
//! that nobody names, or a line without its end, which is passed over.

mod history;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

pub(crate) use history::{Action, Change, History, Scope};

/// A store in one directory. One server at a time may write to it.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    models: BTreeMap<String, History>,
    /// Held for as long as the store is: another server that wants it is refused.
    _lock: File,
}

/// The SHA-256 of a component, in hexadecimal digits.
pub(crate) fn digest_of(wasm: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(wasm);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Store {
    /// Opens a store, or makes one.
    ///
    /// # Errors
    /// When the directory cannot be written, or another server has it.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let models_dir = directory.join("models");
        fs::create_dir_all(&models_dir)?;
        fs::create_dir_all(directory.join("blobs"))?;
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock()
            .map_err(|error| io::Error::other(format!("another server has it open ({error})")))?;
        let mut models = BTreeMap::new();
        for entry in fs::read_dir(&models_dir)? {
            let entry = entry?;
            let encoded = entry.file_name();
            // What is no name of ours was put there by somebody else.
            let Some(name) = encoded.to_str().and_then(decode) else {
                continue;
            };
            let text = match fs::read_to_string(entry.path().join("history")) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            models.insert(name, History::parse(&text));
        }
        Ok(Self {
            directory: directory.to_owned(),
            models,
            _lock: lock,
        })
    }

    /// What was pushed for each model, in the order of their names.
    pub(crate) fn models(&self) -> &BTreeMap<String, History> {
        &self.models
    }

    /// The digest of what was pushed for a version, if anything is: for the version itself, or for
    /// all of its model's.
    pub(crate) fn current(&self, model: &str, version: i64) -> Option<&str> {
        let history = self.models.get(model)?;
        let own = history.current(Scope::Version(version));
        own.or_else(|| history.current(Scope::All))
    }

    /// A component, as it was pushed.
    ///
    /// # Errors
    /// When it is gone, or is not what it was.
    pub(crate) fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        let wasm = fs::read(self.blob(digest))?;
        if digest_of(&wasm) == digest {
            return Ok(wasm);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is not what was pushed", self.blob(digest).display()),
        ))
    }

    /// Keeps a component, and notes that it stands before these versions from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn push(&mut self, model: &str, scope: Scope, wasm: &[u8]) -> io::Result<Change> {
        let digest = digest_of(wasm);
        let blob = self.blob(&digest);
        if self.read(&digest).is_err() {
            let staged = blob.with_extension("new");
            let mut file = File::create(&staged)?;
            file.write_all(wasm)?;
            file.sync_all()?;
            fs::rename(&staged, &blob)?;
            sync(&self.directory.join("blobs"))?;
        }
        self.note(model, scope, Action::Push, Some(digest))
    }

    /// What stood before these versions before the last change, to be noted by
    /// [`roll_back`](Self::roll_back).
    pub(crate) fn before(&self, model: &str, scope: Scope) -> Option<Option<String>> {
        self.models.get(model)?.before(scope)
    }

    /// Notes that what stood there before stands there again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn roll_back(
        &mut self,
        model: &str,
        scope: Scope,
        to: Option<String>,
    ) -> io::Result<Change> {
        self.note(model, scope, Action::RollBack, to)
    }

    fn note(
        &mut self,
        model: &str,
        scope: Scope,
        action: Action,
        digest: Option<String>,
    ) -> io::Result<Change> {
        let directory = self.directory.join("models").join(encode(model));
        let is_new = !directory.try_exists()?;
        fs::create_dir_all(&directory)?;
        let history = self.models.entry(model.to_owned()).or_default();
        let change = history.next(scope, action, digest);
        let file = directory.join("history");
        let mut file = File::options().create(true).append(true).open(file)?;
        // A line whose end a crash has taken is ended here, so that it spoils no other.
        let lead = if history.is_torn() { "\n" } else { "" };
        file.write_all(format!("{lead}{change}\n").as_bytes())?;
        file.sync_all()?;
        if is_new {
            sync(&directory)?;
            sync(&self.directory.join("models"))?;
        }
        history.add(change.clone());
        Ok(change)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.directory.join("blobs").join(format!("{digest}.wasm"))
    }
}

/// Names of a directory are on the disk when the directory is.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A model's name as the name of a directory: letters, digits, `-` and `_` as they are, all else
/// in hexadecimal digits.
fn encode(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02x}");
            }
        }
        text
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if letter == '%' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            let mut buffer = [0; 4];
            bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
            rest = &rest[letter.len_utf8()..];
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!(store.current("a/b", 1), None);
        store.push("a/b", Scope::All, b"one").unwrap();
        store.push("a/b", Scope::Version(2), b"two").unwrap();
        store.push("a/b", Scope::All, b"three").unwrap();
        assert_eq!(
            store.before("a/b", Scope::All),
            Some(Some(digest_of(b"one")))
        );
        drop(store);
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!(store.current("a/b", 1), Some(&*digest_of(b"three")));
        assert_eq!(store.current("a/b", 2), Some(&*digest_of(b"two")));
        assert_eq!(store.current("other", 2), None);
        assert_eq!(store.read(&digest_of(b"two")).unwrap(), b"two");
        let to = store.before("a/b", Scope::Version(2)).unwrap();
        assert_eq!(to, None);
        store.roll_back("a/b", Scope::Version(2), to).unwrap();
        assert_eq!(store.current("a/b", 2), Some(&*digest_of(b"three")));
        assert_eq!(store.models()["a/b"].changes().len(), 4);
    }

    #[test]
    fn a_store_has_one_server_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let _store = Store::open(directory.path()).unwrap();
        let error = Store::open(directory.path()).unwrap_err();
        assert!(error.to_string().contains("another server"), "{error}");
    }

    #[test]
    fn what_a_crash_or_somebody_else_left_behind_spoils_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        store.push("m", Scope::All, b"one").unwrap();
        drop(store);
        let history = directory.path().join("models/m/history");
        let mut file = File::options().append(true).open(history).unwrap();
        file.write_all(b"2 17000").unwrap();
        fs::create_dir(directory.path().join("models/%zz")).unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!(store.current("m", 1), Some(&*digest_of(b"one")));
        store.push("m", Scope::All, b"two").unwrap();
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.current("m", 1), Some(&*digest_of(b"two")));
        let blob = directory
            .path()
            .join(format!("blobs/{}.wasm", digest_of(b"two")));
        fs::write(blob, b"other").unwrap();
        let error = store.read(&digest_of(b"two")).unwrap_err();
        assert!(
            error.to_string().contains("is not what was pushed"),
            "{error}"
        );
    }

    #[test]
    fn names_of_models_are_names_of_directories() {
        for name in ["m", "a/b", "..", "ä %", "A-b_9"] {
            let encoded = encode(name);
            assert!(!encoded.contains(['/', '.']), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert_eq!(decode("%4"), None);
    }
}
