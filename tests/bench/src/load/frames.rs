//! HTTP/2 with as little work as there can be: one connection, one call at a time.
//!
//! A client that shares two CPUs with the server must not spend on its own protocol what the
//! server would have used. Header blocks are written once, bodies are sent from where they lie,
//! and answers are thrown away frame by frame.
//!
//! Invariant: a call succeeded only if its trailers say so; nothing is taken for granted of what
//! the server sends, but that it never sends more headers than [`MAX_BLOCK`].

use std::io::IoSlice;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::hpack::{self, Fields};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What both sides may send at first.
const DEFAULT_WINDOW: i64 = 65_535;
/// The largest that there is: no window of ours is ever what is measured.
const OUR_WINDOW: u32 = (1 << 31) - 1;
/// After so much of an answer the connection's window is opened again.
const RENEW: u32 = 1 << 30;
/// What every peer takes in one frame.
const MAX_FRAME: usize = 16_384;
/// Frames that are handed to the kernel at a time.
const FRAMES: usize = 64;
/// How long a header block may be.
const MAX_BLOCK: usize = 1 << 16;
const BUFFER: usize = 1 << 16;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read and not looked at yet is `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The next stream of ours; odd.
    next: u32,
    /// What may be sent on the connection, and on a stream that is new.
    window: i64,
    new_stream_window: i64,
    /// Bytes of answers since the connection's window was opened.
    received: u32,
}

/// The state of the one call.
#[derive(Debug, Default)]
struct Call {
    id: u32,
    window: i64,
    block: Vec<u8>,
    ends_with_block: bool,
    fields: Fields,
    done: bool,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let length = u32::try_from(length).expect("a frame of ours is short");
    let [_, a, b, c] = length.to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

fn parse_head(bytes: [u8; HEAD]) -> Head {
    let [a, b, c, kind, flags, d, e, f, g] = bytes;
    Head {
        length: u32::from_be_bytes([0, a, b, c]) as usize,
        kind,
        flags,
        // The first bit is reserved.
        stream: u32::from_be_bytes([d, e, f, g]) & OUR_WINDOW,
    }
}

fn setting(name: u16, value: u32) -> [u8; 6] {
    let ([a, b], [c, d, e, f]) = (name.to_be_bytes(), value.to_be_bytes());
    [a, b, c, d, e, f]
}

impl Connection {
    /// Connects, and waits for the peer's settings.
    ///
    /// # Errors
    /// When nobody answers, or not in HTTP/2.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            next: 1,
            window: DEFAULT_WINDOW,
            new_stream_window: DEFAULT_WINDOW,
            received: 0,
        };
        let settings = [
            // Header blocks then need nothing but themselves to be understood.
            setting(HEADER_TABLE_SIZE, 0),
            setting(ENABLE_PUSH, 0),
            setting(INITIAL_WINDOW_SIZE, OUR_WINDOW),
        ]
        .concat();
        let more = OUR_WINDOW - 65_535;
        let opening = [
            PREFACE,
            &head(settings.len(), SETTINGS, 0, 0),
            &settings,
            &head(4, WINDOW_UPDATE, 0, 0),
            &more.to_be_bytes(),
        ]
        .concat();
        connection.stream.write_all(&opening).await?;
        let mut nothing = Call::default();
        // The first frame of the peer has its settings.
        connection.frame(&mut nothing).await?;
        Ok(connection)
    }

    /// Calls a method, whose header block `block` is, and reads the answer to its end; the inner
    /// error is the server's refusal.
    ///
    /// # Errors
    /// When the connection breaks or the peer breaks the protocol.
    pub(crate) async fn call(&mut self, block: &[u8], body: &Bytes) -> Result<Result<(), String>> {
        let mut call = Call {
            id: self.next,
            window: self.new_stream_window,
            ..Call::default()
        };
        self.next += 2;
        ensure!(self.next < OUR_WINDOW, "the connection has no stream left");
        let opening = [&head(block.len(), HEADERS, END_HEADERS, call.id), block].concat();
        let mut opening = &opening[..];
        let mut sent = 0;
        while sent < body.len() && !call.done {
            let room = usize::try_from(self.window.min(call.window)).unwrap_or(0);
            let end = body.len().min(sent + room.min(FRAMES * MAX_FRAME));
            if end == sent && opening.is_empty() {
                self.frame(&mut call).await?;
                continue;
            }
            self.send(opening, &body[sent..end], end == body.len(), call.id)
                .await?;
            opening = &[];
            let length = i64::try_from(end - sent)?;
            self.window -= length;
            call.window -= length;
            sent = end;
        }
        while !call.done {
            self.frame(&mut call).await?;
        }
        call.fields.outcome()
    }

    /// Hands frames to the kernel: `opening` as it is, `part` cut into frames.
    async fn send(&mut self, opening: &[u8], part: &[u8], is_last: bool, id: u32) -> Result<()> {
        let chunks: Vec<&[u8]> = part.chunks(MAX_FRAME).collect();
        let heads: Vec<[u8; HEAD]> = (1..)
            .zip(&chunks)
            .map(|(number, chunk)| {
                let ends = is_last && number == chunks.len();
                head(chunk.len(), DATA, if ends { END_STREAM } else { 0 }, id)
            })
            .collect();
        let mut slices = vec![IoSlice::new(opening)];
        for (head, chunk) in heads.iter().zip(&chunks) {
            slices.extend([IoSlice::new(head), IoSlice::new(chunk)]);
        }
        let mut slices = &mut slices[..];
        // Empty slices at the front would look as if the peer took nothing.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = self.stream.write_vectored(slices).await?;
            ensure!(written > 0, "the connection takes no more");
            IoSlice::advance_slices(&mut slices, written);
        }
        Ok(())
    }

    /// Reads one frame and does what it says.
    async fn frame(&mut self, call: &mut Call) -> Result<()> {
        let mut bytes = [0; HEAD];
        self.exactly(&mut bytes).await?;
        let head = parse_head(bytes);
        let is_ours = head.stream == call.id;
        match head.kind {
            DATA => {
                self.skip(head.length).await?;
                self.renew(head.length).await?;
                call.done |= is_ours && head.flags & END_STREAM != 0;
            }
            HEADERS | CONTINUATION if is_ours => {
                let payload = self.payload(head.length).await?;
                call.headers(head, &payload)?;
            }
            RST_STREAM if is_ours => bail!("the server reset the call"),
            SETTINGS if head.flags & ACK == 0 => {
                let payload = self.payload(head.length).await?;
                self.settings(&payload, call);
                self.stream
                    .write_all(&self::head(0, SETTINGS, ACK, 0))
                    .await?;
            }
            PING if head.flags & ACK == 0 => {
                let payload = self.payload(head.length).await?;
                let answer = [&self::head(payload.len(), PING, ACK, 0)[..], &payload].concat();
                self.stream.write_all(&answer).await?;
            }
            GOAWAY => bail!("the server closes the connection"),
            WINDOW_UPDATE => {
                let payload = self.payload(head.length).await?;
                let more: [u8; 4] = payload[..].try_into().context("a window has four bytes")?;
                let more = i64::from(u32::from_be_bytes(more) & OUR_WINDOW);
                if head.stream == 0 {
                    self.window += more;
                } else if is_ours {
                    call.window += more;
                }
            }
            _ => self.skip(head.length).await?,
        }
        Ok(())
    }

    fn settings(&mut self, payload: &[u8], call: &mut Call) {
        for entry in payload.chunks_exact(6) {
            let name = u16::from_be_bytes([entry[0], entry[1]]);
            let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
            if name == INITIAL_WINDOW_SIZE {
                // It holds for the stream that is open, too.
                call.window += i64::from(value) - self.new_stream_window;
                self.new_stream_window = i64::from(value);
            }
        }
    }

    /// Opens the connection's window again when much of it was used.
    async fn renew(&mut self, length: usize) -> Result<()> {
        self.received += u32::try_from(length)?;
        if self.received > RENEW {
            let update = [
                &head(4, WINDOW_UPDATE, 0, 0)[..],
                &self.received.to_be_bytes(),
            ]
            .concat();
            self.stream.write_all(&update).await?;
            self.received = 0;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        (self.start, self.end) = (0, self.stream.read(&mut self.buffer).await?);
        ensure!(self.end > 0, "the server closed the connection");
        Ok(())
    }

    async fn exactly(&mut self, mut wanted: &mut [u8]) -> Result<()> {
        while !wanted.is_empty() {
            if self.start == self.end {
                self.fill().await?;
            }
            let count = wanted.len().min(self.end - self.start);
            let (now, later) = wanted.split_at_mut(count);
            now.copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            wanted = later;
        }
        Ok(())
    }

    async fn payload(&mut self, length: usize) -> Result<Vec<u8>> {
        ensure!(length <= MAX_BLOCK, "a frame of {length} bytes of headers");
        let mut payload = vec![0; length];
        self.exactly(&mut payload).await?;
        Ok(payload)
    }

    async fn skip(&mut self, mut length: usize) -> Result<()> {
        while length > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let count = length.min(self.end - self.start);
            self.start += count;
            length -= count;
        }
        Ok(())
    }
}

impl Call {
    /// Part of a header block, or all of it.
    fn headers(&mut self, head: Head, payload: &[u8]) -> Result<()> {
        let mut block = payload;
        if head.kind == HEADERS {
            self.ends_with_block = head.flags & END_STREAM != 0;
            let mut padding = 0;
            if head.flags & PADDED != 0 {
                let (first, rest) = block.split_first().context("no length of padding")?;
                (padding, block) = (usize::from(*first), rest);
            }
            if head.flags & PRIORITY != 0 {
                block = block.get(5..).context("no priority")?;
            }
            let length = block.len().checked_sub(padding);
            block = &block[..length.context("more padding than frame")?];
        }
        self.block.extend_from_slice(block);
        ensure!(
            self.block.len() <= MAX_BLOCK,
            "more headers than {MAX_BLOCK} bytes"
        );
        if head.flags & END_HEADERS != 0 {
            hpack::read(&self.block, &mut self.fields)?;
            self.block.clear();
            self.done |= self.ends_with_block;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_was_put_into_it() {
        let parsed = parse_head(head(70_000, HEADERS, END_HEADERS, 0x0102_0305));
        assert_eq!((parsed.length, parsed.kind), (70_000, HEADERS));
        assert_eq!((parsed.flags, parsed.stream), (END_HEADERS, 0x0102_0305));
    }

    #[test]
    fn headers_may_come_in_parts() {
        let mut call = Call::default();
        let part = |kind, flags| Head {
            length: 0,
            kind,
            flags,
            stream: 1,
        };
        // :status 200, then grpc-status 0 without Huffman's code.
        call.headers(part(HEADERS, END_HEADERS), &[0x88]).unwrap();
        assert!(!call.done);
        call.headers(part(HEADERS, END_STREAM), b"\x00\x0bgrpc")
            .unwrap();
        assert!(!call.done);
        call.headers(part(CONTINUATION, END_HEADERS), b"-status\x010")
            .unwrap();
        assert!(call.done);
        assert_eq!(call.fields.outcome().unwrap(), Ok(()));
    }

    #[test]
    fn padding_is_no_header() {
        let mut call = Call::default();
        let head = Head {
            length: 4,
            kind: HEADERS,
            flags: END_HEADERS | PADDED,
            stream: 1,
        };
        call.headers(head, &[2, 0x88, 0, 0]).unwrap();
        assert!(call.headers(head, &[9, 0x88]).is_err());
    }
}
