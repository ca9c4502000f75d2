//! The file of a UNIX socket: taken over from a server that is gone, never from one that answers.
//!
//! **Invariant:** only a socket is ever removed, and at the end only our own.

use std::fs::{self, Metadata};
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A socket's file, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Which file it is: another server may have put its own there meanwhile. Its time is looked
    /// at too, since file systems use numbers again.
    identity: (u64, u64, i64, i64),
}

impl SocketFile {
    /// Listens at `path`, without blocking.
    pub(super) fn bind(path: &Path) -> io::Result<(UnixListener, Self)> {
        make_room(path)?;
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let identity = identity(&fs::symlink_metadata(path)?);
        let path = path.to_owned();
        Ok((listener, Self { path, identity }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::warn!("cannot remove the socket {path}: {error}");
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64, i64, i64) {
    let (dev, ino) = (metadata.dev(), metadata.ino());
    (dev, ino, metadata.mtime(), metadata.mtime_nsec())
}

/// Removes a socket that nobody listens at.
fn make_room(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        let why = "something is there that is no socket";
        return Err(Error::new(ErrorKind::AlreadyExists, why));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            ErrorKind::AddrInUse,
            "another server answers there",
        )),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_place_of_a_dead_socket_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.try_exists().unwrap(), "its server left it behind");
        let (listener, file) = SocketFile::bind(&path).unwrap();
        let error = SocketFile::bind(&path).unwrap_err();
        assert_eq!(error.to_string(), "another server answers there");
        drop((listener, file));
        assert!(!path.try_exists().unwrap());

        fs::write(&path, "a letter").unwrap();
        let error = SocketFile::bind(&path).unwrap_err();
        assert_eq!(error.to_string(), "something is there that is no socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
    }

    #[test]
    fn leaves_the_socket_of_the_next_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (listener, file) = SocketFile::bind(&path).unwrap();
        drop(listener);
        // Keeps the file's number from being used again within a tick of the clock.
        fs::hard_link(&path, directory.path().join("other")).unwrap();
        let (_next, next_file) = SocketFile::bind(&path).unwrap();
        drop(file);
        assert!(path.try_exists().unwrap());
        drop(next_file);
        assert!(!path.try_exists().unwrap());
    }

    #[test]
    fn says_why_there_is_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        assert!(SocketFile::bind(&directory.path().join("no/socket")).is_err());
        let long = directory.path().join("x".repeat(200));
        assert!(SocketFile::bind(&long).is_err());
    }
}
