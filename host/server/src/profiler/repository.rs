//! Where a trace is written: `<...>/plugins/profile/<session>/<host>.xplane.pb`, TensorBoard's
//! layout.
//!
//! The client chooses the place, and may be anybody. So what it chooses must be an absolute path
//! that ends with `plugins/profile`, without `..`, and names that are only names; and a file that
//! is there is never touched.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

use tensorgate_types::{Error, ErrorCode, Result};

use super::messages::ProfileRequest;

/// How the directory of traces ends.
const LAYOUT: &str = "plugins/profile";

/// The longest name of a session or a host: with its ending it fits every file system.
const MAX_NAME: usize = 128;

/// The file for the trace; `None` when none is wanted.
///
/// # Errors
/// `INVALID_ARGUMENT` for a place where none is written.
pub(super) fn file(request: &ProfileRequest) -> Result<Option<PathBuf>> {
    if request.repository_root.is_empty() {
        return Ok(None);
    }
    let root = Path::new(&request.repository_root);
    let plain = root
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !root.is_absolute() || !plain || !root.ends_with(LAYOUT) {
        return Err(Error::invalid_argument(format!(
            "no trace is written to {}: expected an absolute path without `..` that ends with \
             {LAYOUT}",
            request.repository_root
        )));
    }
    let session = name("session_id", &request.session_id)?;
    // As TensorFlow names it: a colon ends a host in a path.
    let host = name("host_name", &request.host_name.replace(':', "_"))?;
    Ok(Some(root.join(session).join(format!("{host}.xplane.pb"))))
}

fn name(what: &str, name: &str) -> Result<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-[]".contains(letter);
    let plain = !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed);
    if !plain || name.starts_with('.') {
        return Err(Error::invalid_argument(format!(
            "{what} {name:?} is no name for a trace: expected letters, digits, and any of . _ - : \
             [ ] behind the first, {MAX_NAME} at most"
        )));
    }
    Ok(name.to_owned())
}

/// Writes the trace. It appears whole, or not at all.
///
/// # Errors
/// `ALREADY_EXISTS` when there is a file, `FAILED_PRECONDITION` when there can be none.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| {
        let path = file.display();
        if error.kind() == ErrorKind::AlreadyExists {
            let message = format!("there is a trace already: {path}");
            Error::new(ErrorCode::AlreadyExists, message)
        } else {
            Error::failed_precondition(format!("cannot write the trace {path}: {error}"))
        }
    };
    let directory = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(failed)?;
    // Beside its place, then linked: a link does not overwrite what is there.
    let staged = file.with_extension("part");
    let mut open = OpenOptions::new();
    let mut created = open
        .write(true)
        .create_new(true)
        .open(&staged)
        .map_err(failed)?;
    let linked = created
        .write_all(bytes)
        .and_then(|()| fs::hard_link(&staged, file));
    // Also when that failed: it is ours.
    let _removed = fs::remove_file(&staged);
    linked.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(root: &str, session: &str, host: &str) -> ProfileRequest {
        ProfileRequest {
            repository_root: root.to_owned(),
            session_id: session.to_owned(),
            host_name: host.to_owned(),
            ..ProfileRequest::default()
        }
    }

    #[test]
    fn a_trace_has_tensorboards_layout_and_no_other() {
        let root = "/log/plugins/profile";
        let good = file(&request(root, "2026_11_21", "127.0.0.1:8500")).unwrap();
        let expected = "/log/plugins/profile/2026_11_21/127.0.0.1_8500.xplane.pb";
        assert_eq!(good.as_deref(), Some(Path::new(expected)));
        assert_eq!(file(&request("", "s", "h")).unwrap(), None);
        for (root, session, host) in [
            ("log/plugins/profile", "s", "h"),
            ("/log", "s", "h"),
            ("/log/../plugins/profile", "s", "h"),
            ("/log/plugins/profile/..", "s", "h"),
            ("gs://log/plugins/profile", "s", "h"),
            (root, "", "h"),
            (root, "..", "h"),
            (root, "a/b", "h"),
            (root, "s", ""),
            (root, "s", "../h"),
            (root, "s", ".h"),
            (root, &"s".repeat(129), "h"),
        ] {
            let error = file(&request(root, session, host)).unwrap_err();
            assert_eq!(
                error.code(),
                ErrorCode::InvalidArgument,
                "{root} {session} {host}"
            );
        }
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let log = tempfile::tempdir().unwrap();
        let file = log.path().join("plugins/profile/s/h.xplane.pb");
        write(&file, b"one").unwrap();
        let error = write(&file, b"two").unwrap_err();
        assert_eq!(error.code(), ErrorCode::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        let files = fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
        let under_a_file = file.join("s/h.xplane.pb");
        let error = write(&under_a_file, b"three").unwrap_err();
        assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    }
}
