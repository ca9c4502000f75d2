//! A relay between two programs: passes bytes on, and counts them and the connections.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// What has gone through.
#[derive(Debug, Default)]
struct Counts {
    there: AtomicU64,
    back: AtomicU64,
    /// Whether new connections are closed at once.
    refuses: AtomicBool,
}

/// A relay to one port of this machine. Its threads end with the connections that they serve.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    counts: Arc<Counts>,
}

impl Relay {
    /// One before this port.
    ///
    /// # Panics
    /// When the system gives no port.
    #[must_use]
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                let (there, back) = (Arc::clone(&shared), Arc::clone(&shared));
                let copies = [&client, &server].map(TcpStream::try_clone);
                let [Ok(client_too), Ok(server_too)] = copies else {
                    continue;
                };
                thread::spawn(move || pass(client, server, &there.there));
                thread::spawn(move || pass(server_too, client_too, &back.back));
            }
        });
        Self { address, counts }
    }

    /// Where it listens, as an address of HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes that went to the port and came back from it, so far.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let there = self.counts.there.load(Ordering::SeqCst);
        (there, self.counts.back.load(Ordering::SeqCst))
    }

    /// From now on new connections are closed at once, or are not.
    pub fn refuse(&self, refuses: bool) {
        self.counts.refuses.store(refuses, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut piece = [0; 16 << 10];
    // A relay that delays small packets would be the slowest part of what it is put between.
    let _ = to.set_nodelay(true);
    let mut once = || -> io::Result<bool> {
        let length = from.read(&mut piece)?;
        counted.fetch_add(length as u64, Ordering::SeqCst);
        to.write_all(&piece[..length])?;
        Ok(length > 0)
    };
    while let Ok(true) = once() {}
    // Both fail where the other side has ended already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
