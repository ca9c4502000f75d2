//! As much of an HTTP client as asking a server on this machine takes.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Longer than any example's model takes to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `GET path`.
pub(crate) fn get(port: u16, path: &str) -> Result<Answer> {
    ask(port, &format!("GET {path}"), "")
}

/// `POST path`.
pub(crate) fn post(port: u16, path: &str, body: &str) -> Result<Answer> {
    ask(port, &format!("POST {path}"), body)
}

fn ask(port: u16, method_and_path: &str, body: &str) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("nobody listens on {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends when the connection does, and is never chunked.
    write!(
        stream,
        "{method_and_path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .with_context(|| format!("no whole answer to {method_and_path}"))?;
    parse(&text).with_context(|| format!("no HTTP in the answer to {method_and_path}: {text}"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_status_and_body_apart() {
        let answer = parse("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\r\n\r\n}");
        assert_eq!(
            answer,
            Some(Answer {
                status: 200,
                body: "{\r\n\r\n}".to_owned()
            })
        );
        assert_eq!(parse("SSH-2.0-OpenSSH_9.2\r\n\r\n"), None);
    }
}
