//! Files that an operator names and that are read whole.
//!
//! **Invariant:** what is no regular file is not opened, since a pipe would wait for ever for
//! somebody to write to it; and no more is read than a limit, since a file may have no end.

use std::fs::{File, FileType};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// How long a configuration may be: that of ten thousand models is shorter.
const MAX_TEXT_MIB: u64 = 16;

/// The text of a configuration.
///
/// # Errors
/// When it cannot be read, or with what was expected and what was found.
pub(crate) fn text(file: &Path) -> io::Result<String> {
    let kind = format!("a text file of {MAX_TEXT_MIB} MiB at most");
    let bytes = read(file, &kind, MAX_TEXT_MIB << 20)?;
    String::from_utf8(bytes).map_err(|_| unexpected(&kind, "bytes that are not UTF-8"))
}

/// The bytes of a file; `kind` says what is expected, and that it has `limit` bytes at most.
///
/// # Errors
/// As [`text`].
pub(crate) fn read(file: &Path, kind: &str, limit: u64) -> io::Result<Vec<u8>> {
    let opened = open(file, kind)?;
    let mut bytes = Vec::new();
    // Whatever its length is said to be: it may grow, and below /proc it is 0.
    opened.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(unexpected(kind, "a longer one"))
    }
}

/// Opens what nobody need write to first.
///
/// # Errors
/// As [`text`].
pub(crate) fn open(file: &Path, kind: &str) -> io::Result<File> {
    let found = file.metadata()?.file_type();
    if found.is_file() {
        File::open(file)
    } else {
        Err(unexpected(kind, name(found)))
    }
}

fn unexpected(kind: &str, found: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("expected {kind}, found {found}"),
    )
}

fn name(found: FileType) -> &'static str {
    if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refused(file: &Path) -> String {
        text(file).unwrap_err().to_string()
    }

    #[test]
    fn text_is_read_from_files_and_links_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "model_config_list {}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(text(path).unwrap(), "model_config_list {}");
        }
        // Its length is said to be 0.
        assert!(
            text(Path::new("/proc/self/status"))
                .unwrap()
                .contains("Pid:")
        );
        let missing = text(&directory.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_no_text_file_is_refused_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let binary = directory.path().join("binary");
        std::fs::write(&binary, [0xff, 0xfe]).unwrap();
        let long = directory.path().join("long");
        let sparse = File::create(&long).unwrap();
        sparse.set_len((MAX_TEXT_MIB << 20) + 1).unwrap();
        for (file, found) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (directory.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
            (&binary, "bytes that are not UTF-8"),
            (&long, "a longer one"),
        ] {
            let expected = format!("expected a text file of 16 MiB at most, found {found}");
            assert_eq!(refused(file), expected, "{}", file.display());
        }
        sparse.set_len(MAX_TEXT_MIB << 20).unwrap();
        assert!(text(&long).is_ok());
    }
}
