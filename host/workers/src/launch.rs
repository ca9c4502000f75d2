//! How a worker process is started, ended, and seen to have ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts processes of one worker, one after another.
pub trait Launch: Send + Sync + 'static {
    /// Starts one, with a socket to it. It may end with the thread that calls this.
    ///
    /// # Errors
    /// When the system gives none.
    fn launch(&self) -> io::Result<(UnixStream, Box<dyn Process>)>;
}

/// A worker that was started.
pub trait Process: Send {
    /// Its number in the system.
    fn id(&self) -> u32;

    /// Ends it at once, if it has not ended. There is nothing to be saved in it.
    fn kill(&mut self);

    /// Waits until it has ended, and says how: `signal: 9 (SIGKILL)`.
    fn wait(&mut self) -> String;
}

/// This program again, as a worker.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// What it is called with.
    pub args: Vec<String>,
    /// What its environment has beside the server's.
    pub env: BTreeMap<String, OsString>,
}

impl Launch for Program {
    fn launch(&self) -> io::Result<(UnixStream, Box<dyn Process>)> {
        let (ours, theirs) = UnixStream::pair()?;
        // By this path it is the very program that runs, also when its file has been replaced.
        let child = Command::new("/proc/self/exe")
            .arg0("tensorgate")
            .args(&self.args)
            .envs(&self.env)
            .stdin(OwnedFd::from(theirs))
            .spawn()?;
        Ok((ours, Box::new(child)))
    }
}

impl Process for Child {
    fn id(&self) -> u32 {
        Self::id(self)
    }

    fn kill(&mut self) {
        // An error: it has ended by itself.
        let _ = Self::kill(self);
    }

    fn wait(&mut self) -> String {
        match Self::wait(self) {
            Ok(status) => status.to_string(),
            Err(error) => format!("nobody knows how: {error}"),
        }
    }
}
