//! The server under test: the real binary, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::client::{Client, request};

/// How long a start may take: libtensorflow from a cold disk, and the compilation of the gateway.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server; ended by its id when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it serves REST.
    pub(crate) address: SocketAddr,
    /// Where it serves gRPC.
    pub(crate) grpc: SocketAddr,
    /// From the start of the process until its models are available.
    pub(crate) ready_after: Duration,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts `binary` with one model and more flags, and waits until the model is available.
    pub(crate) fn start(
        binary: &Path,
        model: &str,
        base_path: &Path,
        flags: &[&str],
    ) -> Result<Self> {
        let name = format!("--model_name={model}");
        let base_path = format!("--model_base_path={}", base_path.display());
        let all = [&[name.as_str(), base_path.as_str()][..], flags].concat();
        Self::with(binary, &all, &[model])
    }

    /// Starts `binary` with flags, and waits until these models are available.
    pub(crate) fn with(binary: &Path, flags: &[&str], models: &[&str]) -> Result<Self> {
        let (port, grpc) = free_ports()?;
        let start = Instant::now();
        let mut child = Command::new(binary)
            .arg("serve")
            .args([format!("--port={grpc}"), format!("--rest_api_port={port}")])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            // Ends with the process, whose end closes the pipe.
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            });
        }
        let mut server = Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            grpc: (Ipv4Addr::LOCALHOST, grpc).into(),
            ready_after: Duration::ZERO,
            log,
        };
        for model in models {
            server.wait_until_ready(start, model)?;
        }
        Ok(server)
    }

    fn wait_until_ready(&mut self, start: Instant, model: &str) -> Result<()> {
        let status = request("GET", &format!("/v1/models/{model}"), b"");
        while start.elapsed() < PATIENCE {
            let available = Client::connect(self.address)
                .and_then(|mut client| {
                    let (code, body) = client.send(&status)?;
                    Ok(code == 200 && memchr_str(body, b"\"AVAILABLE\""))
                })
                .unwrap_or(false);
            if available {
                self.ready_after = start.elapsed();
                return Ok(());
            }
            if let Some(ended) = self.child.try_wait()? {
                bail!("the server ended: {ended}\n{}", self.log().join("\n"));
            }
            // What is measured has a grain of one poll.
            thread::sleep(Duration::from_millis(1));
        }
        bail!(
            "the server was not ready in {PATIENCE:?}\n{}",
            self.log().join("\n")
        )
    }

    /// What it has logged so far.
    fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, waits for that, and returns its log.
    pub(crate) fn stop(mut self) -> Result<Vec<String>> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("the server did not end when asked to");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memchr_str(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// Two ports that are free now, held at once so that they differ. The server takes port 0 for `off`,
/// as TensorFlow Serving does.
fn free_ports() -> Result<(u16, u16)> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (one, other) = (listen()?, listen()?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
