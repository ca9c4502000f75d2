//! A Python server that somebody would take instead: `tests/bench/peers/NAME_peer.py` in an environment
//! of its own.
//!
//! Invariant: when it is dropped, every process that it started is ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::client::{Client, request};
use crate::cpu::family_ids;
use crate::workload::Workload;

/// Importing TensorFlow takes seconds, and some servers do it in several processes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to end by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"instances": ...}`, the body of TensorFlow Serving.
    Instances,
    /// The Open Inference Protocol, version 2.
    OpenInference,
}

/// One that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    path: &'static str,
}

/// All of them.
pub(crate) const ALL: [Kind; 4] = [
    Kind {
        name: "litserve",
        dialect: Dialect::Instances,
        path: "/predict",
    },
    Kind {
        name: "bentoml",
        dialect: Dialect::Instances,
        path: "/predict",
    },
    Kind {
        name: "mlserver",
        dialect: Dialect::OpenInference,
        path: "/v2/models/MODEL/infer",
    },
    Kind {
        name: "mosec",
        dialect: Dialect::Instances,
        path: "/inference",
    },
];

impl Kind {
    /// Where the model is asked.
    pub(crate) fn path(self, workload: &Workload) -> String {
        self.path.replace("MODEL", workload.name)
    }

    /// What it is asked.
    pub(crate) fn body(self, workload: &Workload, rows: usize) -> bytes::Bytes {
        match self.dialect {
            Dialect::Instances => workload.json(rows),
            Dialect::OpenInference => workload.open_inference(rows),
        }
    }
}

/// Where they come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    pub(crate) scripts: &'a Path,
    /// With a directory for each.
    pub(crate) environments: &'a Path,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where its processes write which batches they ran.
    batches: PathBuf,
    log: PathBuf,
    /// Every process that was seen to belong to it.
    seen: Vec<u32>,
}

impl Peer {
    /// Starts it, and waits until it answers the request with as many rows.
    ///
    /// # Errors
    /// When it does not, with the name of its log.
    pub(crate) fn start(
        kind: Kind,
        workload: &Workload,
        places: Places<'_>,
        out: &Path,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        drop(listener);
        let place = out
            .join("peers")
            .join(format!("{}-{}", kind.name, workload.name));
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("cannot empty the peer's directory");
            }
            _ => {}
        }
        let batches = place.join("batches");
        fs::create_dir_all(&batches)
            .with_context(|| format!("cannot make {}", batches.display()))?;
        let (place, batches) = (place.canonicalize()?, batches.canonicalize()?);
        let log = place.join("log");
        let output = File::create(&log)?;
        let child = Command::new(places.environments.join(kind.name).join("bin/python"))
            .arg(places.scripts.join(format!("{}_peer.py", kind.name)))
            .current_dir(&place)
            .env("PEER_MODEL", crate::newest(&workload.base_path)?)
            .env("PEER_NAME", workload.name)
            .env("PEER_INPUT", workload.input)
            .env("PEER_OUTPUT", workload.output)
            .env("PEER_PORT", address.port().to_string())
            .env("PEER_BATCHES", &batches)
            .env("TF_CPP_MIN_LOG_LEVEL", "3")
            // Nothing is sent to anybody.
            .env("BENTOML_DO_NOT_TRACK", "True")
            .env("BENTOML_HOME", place.join("home"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: its processes are found by it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", kind.name))?;
        let mut peer = Self {
            child,
            address,
            batches,
            log,
            seen: Vec::new(),
        };
        peer.wait_until_ready(kind, workload)?;
        peer.seen = family_ids(peer.id());
        Ok(peer)
    }

    fn wait_until_ready(&mut self, kind: Kind, workload: &Workload) -> Result<()> {
        let asked = request("POST", &kind.path(workload), &kind.body(workload, 1));
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < PATIENCE {
            let answer = Client::connect(self.address).and_then(|mut client| {
                let (status, body) = client.send(&asked)?;
                Ok((status, body.to_vec()))
            });
            match answer {
                Ok((200, body)) => {
                    ensure!(!body.is_empty(), "{} answered nothing", kind.name);
                    return Ok(());
                }
                Ok((status, body)) => last = format!("{status} {}", String::from_utf8_lossy(&body)),
                Err(error) => last = format!("{error:#}"),
            }
            if let Some(ended) = self.child.try_wait()? {
                bail!("{} ended: {ended}; see {}", kind.name, self.log.display());
            }
            self.seen = family_ids(self.id());
            thread::sleep(Duration::from_millis(100));
        }
        bail!(
            "{} was not ready in {PATIENCE:?}, it said: {last}; see {}",
            kind.name,
            self.log.display()
        )
    }

    /// Its first process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The answer to the request with so many rows.
    ///
    /// # Errors
    /// When it gives none.
    pub(crate) fn answer(&self, kind: Kind, workload: &Workload, rows: usize) -> Result<Vec<u8>> {
        let asked = request("POST", &kind.path(workload), &kind.body(workload, rows));
        let mut client = Client::connect(self.address)?;
        let (status, body) = client.send(&asked)?;
        let shown = String::from_utf8_lossy(body);
        ensure!(status == 200, "{} answered {status}: {shown}", kind.name);
        Ok(body.to_vec())
    }

    /// The sizes of the batches that its models ran, with how often.
    ///
    /// # Errors
    /// When what its processes wrote cannot be read.
    pub(crate) fn batches(&self) -> Result<BTreeMap<usize, u64>> {
        let mut sum = BTreeMap::new();
        for entry in fs::read_dir(&self.batches)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let counts: BTreeMap<usize, u64> = serde_json::from_slice(&fs::read(&path)?)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                for (size, count) in counts {
                    *sum.entry(size).or_default() += count;
                }
            }
        }
        Ok(sum)
    }

    /// Tells the processes that are left to end, by their ids.
    fn signal(&self, name: &str, ids: &[u32]) {
        let mut alive: Vec<String> = Vec::new();
        for id in family_ids(self.id()).iter().filter(|id| ids.contains(id)) {
            alive.push(id.to_string());
        }
        if !alive.is_empty() {
            // Errors: it has ended since.
            let _ = Command::new("kill").arg(name).args(alive).status();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.seen.extend(family_ids(self.id()));
        self.signal("-TERM", &[self.id()]);
        let start = Instant::now();
        // The first process is not waited for before the others have ended: as long as it is
        // there, its id is nobody else's, and neither is its group.
        while family_ids(self.id()).len() > 1 && start.elapsed() < STOP_PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        self.signal("-KILL", &self.seen);
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_in_its_own_way() {
        let workload = Workload::find(Path::new("/models"), "cnn").unwrap();
        let paths = ALL.map(|kind| kind.path(&workload));
        assert_eq!(paths[2], "/v2/models/cnn/infer");
        assert!(ALL[2].body(&workload, 1).starts_with(b"{\"inputs\": "));
        assert!(
            ALL[3]
                .body(&workload, 1)
                .starts_with(b"{\"signature_name\"")
        );
    }
}
