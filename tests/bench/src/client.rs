//! The leanest HTTP client there is: one connection, one request at a time, no parsing beyond
//! what finds the end of an answer. What it costs is in every figure, so it costs little.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// A keep-alive connection.
#[derive(Debug)]
pub(crate) struct Client {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            writer: stream.try_clone()?,
            reader: BufReader::with_capacity(1 << 16, stream),
            body: Vec::new(),
        })
    }

    /// Sends a request that [`request`] made and reads the answer: status and body.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.writer.write_all(request)?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("no status line: {line:?}"))?;
        let mut length = 0;
        loop {
            line.clear();
            ensure!(
                self.reader.read_line(&mut line)? > 0,
                "the answer ends in its headers"
            );
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.reader.read_exact(&mut self.body)?;
        Ok((status, &self.body))
    }
}

/// The bytes of a request with JSON.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    request_of("application/json", method, path, body)
}

/// The bytes of a request.
pub(crate) fn request_of(content_type: &str, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
