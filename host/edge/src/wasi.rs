//! WASI as a component finds it here: all of it is there, and next to nothing is allowed.
//!
//! Components from Rust, Python and JavaScript import files and sockets that they never use, so
//! everything is linked. At run time there are no files, no network, no environment, no arguments
//! and no standard input, except what an operator has granted ([`Grants`]). Random numbers are real: hash maps are seeded with them. Clocks are
//! coarse, which is enough to take a time and too little to time the host's caches.
//!
//! What a component prints is kept up to a few KiB, for the log and for the error of a trap.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, async_trait};

/// Bytes of the last output that are kept: a panic's message with its location.
const KEPT_OUTPUT: usize = 4 << 10;

/// What a component may write in one go; more takes another call.
const WRITE_SIZE: usize = 64 << 10;

/// Random bytes in one call. They are made on the host's time.
const MAX_RANDOM: u64 = 64 << 10;

/// The resolution of both clocks.
const CLOCK_STEP: Duration = Duration::from_millis(1);

/// What a component may see of the house. By default nothing.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Environment variables, by name.
    pub environment: Vec<(String, String)>,
    /// Directories of the house.
    pub directories: Vec<Directory>,
    /// Addresses that it may connect to by TCP; none means no network. There is no look-up of
    /// names.
    pub addresses: Vec<SocketAddr>,
}

/// A directory that a component may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it is.
    pub host: PathBuf,
    /// What it is called inside.
    pub guest: String,
    /// Whether files may be written there.
    pub writable: bool,
}

impl Grants {
    /// Why they cannot be given, where they cannot: a directory that is not there.
    pub(crate) fn problem(&self) -> Option<String> {
        self.directories.iter().find_map(|directory| {
            let host = directory.host.display();
            match std::fs::metadata(&directory.host) {
                Ok(found) if found.is_dir() => None,
                Ok(_) => Some(format!("{host} is granted to it and is no directory")),
                Err(error) => Some(format!("{host} is granted to it: {error}")),
            }
        })
    }
}

/// A context that allows what is granted, with this for standard output and error.
pub(crate) fn context(printed: &Printed, grants: &Grants) -> WasiCtx {
    // What is not named here is denied already: arguments, standard input.
    let mut context = WasiCtx::builder();
    for (name, value) in &grants.environment {
        context.env(name, value);
    }
    for directory in &grants.directories {
        let rights = if directory.writable {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        // It was there when the component was loaded; one that has gone is not seen.
        if let Err(error) = context.preopened_dir(&directory.host, &directory.guest, rights) {
            tracing::debug!("{} is not there: {error}", directory.host.display());
        }
    }
    if !grants.addresses.is_empty() {
        let addresses = grants.addresses.clone();
        context.socket_addr_check(move |address, usage| {
            let granted =
                matches!(usage, SocketAddrUse::TcpConnect) && addresses.contains(&address);
            // To connect, a socket is bound to any address of this side first.
            let own = matches!(usage, SocketAddrUse::TcpBind) && address.port() == 0;
            Box::pin(std::future::ready(granted || own))
        });
    }
    context
        .stdout(printed.clone())
        .stderr(printed.clone())
        .wall_clock(CoarseWallClock)
        .monotonic_clock(CoarseMonotonicClock(Instant::now()))
        .max_random_size(MAX_RANDOM)
        .allow_tcp(!grants.addresses.is_empty())
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

// --- Output ---

/// What a component has printed: the last [`KEPT_OUTPUT`] bytes of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    /// The text, without what is not UTF-8 and without surrounding white space.
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &bytes[bytes.len().saturating_sub(KEPT_OUTPUT)..];
        String::from_utf8_lossy(kept).trim().to_owned()
    }

    fn push(&self, written: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(&written[written.len().saturating_sub(KEPT_OUTPUT)..]);
        // Only now and then, so that a component that prints much does not move bytes each time.
        if bytes.len() > 4 * KEPT_OUTPUT {
            let surplus = bytes.len() - KEPT_OUTPUT;
            bytes.drain(..surplus);
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // For the WASI generation after this one, which is not linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_SIZE)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

// --- Clocks ---

fn coarse(time: Duration) -> Duration {
    let step = CLOCK_STEP.as_nanos();
    let rounded = time.as_nanos() / step * step;
    // 584 years of nanoseconds fit.
    Duration::from_nanos(u64::try_from(rounded).unwrap_or(u64::MAX))
}

struct CoarseWallClock;

impl HostWallClock for CoarseWallClock {
    fn resolution(&self) -> Duration {
        CLOCK_STEP
    }

    fn now(&self) -> Duration {
        // A machine that lives before 1970 is told that it is 1970.
        coarse(
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}

struct CoarseMonotonicClock(Instant);

impl HostMonotonicClock for CoarseMonotonicClock {
    fn resolution(&self) -> u64 {
        nanos(CLOCK_STEP)
    }

    fn now(&self) -> u64 {
        nanos(coarse(self.0.elapsed()))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_of_what_is_printed() {
        let printed = Printed::default();
        for _ in 0..100 {
            printed.push(&[b'x'; KEPT_OUTPUT]);
        }
        printed.push(b"the end\n");
        let text = printed.text();
        assert!(text.ends_with("xthe end"));
        assert!(text.len() <= KEPT_OUTPUT);
        assert!(printed.0.lock().expect("no panic").len() <= 4 * KEPT_OUTPUT);
    }

    #[test]
    fn clocks_are_coarse() {
        assert_eq!(
            coarse(Duration::from_micros(1999)),
            Duration::from_millis(1)
        );
    }
}
