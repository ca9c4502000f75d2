//! Building the server, and running one in the background for as long as something needs it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::host;
use crate::http;
use crate::process;
use crate::progress;
use crate::repo::{Profile, Repo};
use crate::setup;

/// How long a server may take until its models are there. TensorFlow alone takes seconds to load
/// from a cold disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take to stop once it has been asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at something that is about to happen.
const LOOK: Duration = Duration::from_millis(50);

/// Builds the server; its build makes the gateway component that it carries.
pub(crate) fn build(repo: &Repo, profile: Profile) -> Result<()> {
    setup::wasm_target(repo)?;
    progress::step(
        &format!("building the server ({})", profile.name()),
        || match profile {
            // What tests run: built along with them.
            Profile::Dev => host::build(repo),
            Profile::Release | Profile::Dist => {
                host::build_only(repo, profile, &["--bin", "tensorgate"])
            }
        },
    )
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    grpc: u16,
    log: PathBuf,
}

impl Server {
    /// Starts `command` (which holds everything but the ports) and waits until every model in
    /// `models` answers. What it says goes to `log`.
    pub(crate) fn start(mut command: Command, models: &[&str], log: PathBuf) -> Result<Self> {
        let [grpc, rest] = free_ports()?;
        command
            .arg(format!("--port={grpc}"))
            .arg(format!("--rest_api_port={rest}"));
        Self::start_at([grpc, rest], command, models, log)
    }

    /// The same for `tensorgate up` of a manifest whose components answer for the models. It has
    /// no port for gRPC.
    pub(crate) fn start_up(mut command: Command, models: &[&str], log: PathBuf) -> Result<Self> {
        let [_, rest] = free_ports()?;
        command.arg(format!("--listen=127.0.0.1:{rest}"));
        Self::start_at([0, rest], command, models, log)
    }

    fn start_at(
        [grpc, rest]: [u16; 2],
        mut command: Command,
        models: &[&str],
        log: PathBuf,
    ) -> Result<Self> {
        let file = process::log_file(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("cannot share the log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let mut server = Self {
            child,
            port: rest,
            grpc,
            log,
        };
        let mut gone = None;
        let ready = wait_until_ready(rest, models, || {
            gone = server.child.try_wait().ok().flatten();
            gone.is_none()
        });
        match (ready, gone) {
            (Ok(()), _) => Ok(server),
            (Err(_), Some(status)) => {
                bail!(
                    "the server stopped ({status})\n{}",
                    process::tail(&server.log)
                )
            }
            (Err(error), None) => Err(error.context(process::tail(&server.log))),
        }
    }

    /// Where it answers HTTP.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it answers gRPC.
    pub(crate) fn grpc_port(&self) -> u16 {
        self.grpc
    }

    /// Asks it to stop, and fails where it does not do so in an orderly way.
    pub(crate) fn stop(mut self) -> Result<()> {
        process::run(Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]))?;
        let deadline = Instant::now() + STOP_PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!(
                    "the server still runs {} s after SIGTERM\n{}",
                    STOP_PATIENCE.as_secs(),
                    process::tail(&self.log)
                );
            }
            std::thread::sleep(LOOK);
        };
        if !status.success() {
            bail!(
                "the server did not stop in an orderly way ({status})\n{}",
                process::tail(&self.log)
            );
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // For the paths where `stop` was not reached. Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns when every model answers as available; fails after [`PATIENCE`], or as soon as
/// `is_alive` says no.
pub(crate) fn wait_until_ready(
    port: u16,
    models: &[&str],
    mut is_alive: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut waiting: Vec<&str> = models.to_vec();
    while !waiting.is_empty() {
        waiting.retain(|model| !is_available(port, model));
        if !is_alive() {
            bail!("the server stopped before it was ready");
        }
        if Instant::now() > deadline {
            bail!(
                "not available after {} s: {}",
                PATIENCE.as_secs(),
                waiting.join(", ")
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether a model answers, and no version of it is still on its way.
fn is_available(port: u16, model: &str) -> bool {
    let coming = ["\"START\"", "\"LOADING\""];
    http::get(port, &format!("/v1/models/{model}")).is_ok_and(|answer| {
        answer.status == 200
            && answer.body.contains("\"AVAILABLE\"")
            && !coming.iter().any(|state| answer.body.contains(state))
    })
}

/// Two ports that nobody listens on now. Both are held at once, so they differ.
fn free_ports() -> Result<[u16; 2]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port");
    let (one, other) = (listen()?, listen()?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_log_of_a_server_that_does_not_start() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such library >&2; exit 1", "server"]);
        let log = std::env::temp_dir().join(format!("xtask-server-{}", std::process::id()));
        let error = Server::start(command, &["m"], log.clone()).unwrap_err();
        std::fs::remove_file(log).unwrap();
        let error = error.to_string();
        assert!(error.contains("stopped (exit status: 1)"), "{error}");
        assert!(error.contains("no such library"), "{error}");
    }
}
