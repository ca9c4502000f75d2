//! Tries what a program on an ordinary machine may do, and answers with what it got.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use tensorgate_test_programs::{Guest, Request, Response, answer, bindings};

struct WasiEverything;

bindings::export!(WasiEverything with_types_in bindings);

impl Guest for WasiEverything {
    fn handle(request: Request) -> Response {
        let mut stdin = Vec::new();
        let read_stdin = std::io::stdin().read_to_end(&mut stdin).unwrap_or_default();
        let address = String::from_utf8(request.body).unwrap_or_default();
        let lines = [
            tried("read", std::fs::read("/etc/passwd")),
            tried("read here", std::fs::read("Cargo.toml")),
            tried("list", std::fs::read_dir("/").map(|_| ())),
            tried("write", std::fs::write("/tmp/out", "x")),
            tried("connect", TcpStream::connect(&address)),
            tried("listen", TcpListener::bind("127.0.0.1:0")),
            tried(
                "send",
                UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", &address)),
            ),
            tried("look up", ("localhost", 80).to_socket_addrs().map(|_| ())),
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

fn tried<T: Debug, E: Debug>(what: &str, result: Result<T, E>) -> String {
    format!(
        "{what} {}",
        if result.is_ok() { "allowed" } else { "denied" }
    )
}
