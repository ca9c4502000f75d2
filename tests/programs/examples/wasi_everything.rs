//! Tries what a program on an ordinary machine may do, and answers with what it got.

use std::collections::HashMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use tensorgate_test_programs::{Guest, Request, Response, answer};

struct WasiEverything;

tensorgate_test_programs::rest_only!(WasiEverything);

impl Guest for WasiEverything {
    fn handle(request: Request) -> Response {
        let mut stdin = Vec::new();
        let read_stdin = std::io::stdin().read_to_end(&mut stdin).unwrap_or_default();
        let address = String::from_utf8(request.body).unwrap_or_default();
        let lines = [
            tried("read", std::fs::read("/etc/passwd").is_ok()),
            tried("read here", std::fs::read("Cargo.toml").is_ok()),
            tried("list", std::fs::read_dir("/").is_ok()),
            tried("write", std::fs::write("/tmp/out", "x").is_ok()),
            tried("connect", TcpStream::connect(&address).is_ok()),
            tried("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
            tried(
                "send",
                UdpSocket::bind("127.0.0.1:0")
                    .and_then(|socket| socket.send_to(b"x", &address))
                    .is_ok(),
            ),
            tried("look up", ("localhost", 80).to_socket_addrs().is_ok()),
            format!("variables {}", std::env::vars().count()),
            format!("arguments {}", std::env::args().count()),
            format!("stdin {read_stdin}"),
            format!("time {}", SystemTime::now() > SystemTime::UNIX_EPOCH),
            format!(
                "elapsed {}",
                Instant::now().elapsed() < Duration::from_secs(3600)
            ),
            format!("random {}", HashMap::from([(1, 2)]).len()),
        ];
        answer(200, lines.join("\n"))
    }
}

fn tried(what: &str, allowed: bool) -> String {
    format!("{what} {}", if allowed { "allowed" } else { "denied" })
}
