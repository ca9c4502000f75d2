//! The one message of a unary call: read out of its frame, within limits, and unpacked.
//!
//! A frame is a byte that says whether the message is compressed, four bytes of length, and the
//! message. As the original's library does, the first message is taken and what follows is left
//! alone: a call is answered without waiting for the client to end it.
//!
//! **Invariant:** memory follows what arrived. A length that was only announced costs nothing: the
//! buffer grows fourfold each time that it was really filled, up to the announced length, and what
//! it grows to is taken from the [`Budget`] first.

use axum::body::HttpBody;
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use tensorgate_types::{Error, ErrorCode};

use super::encoding::Encoding;
use crate::door::budget::{Budget, Reserved};
use crate::door::pace::{Pace, TooSlow, Upload};

/// The flag and the length.
const PREFIX: usize = 5;

/// What a message gets at first, however long it says it is.
const FIRST: usize = 1 << 20;

/// By how much a full buffer grows.
const GROWTH: usize = 4;

/// What bounds a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one message, packed and unpacked.
    pub(super) max: usize,
    /// How slowly it may come.
    pub(super) pace: Pace,
}

/// Reads the message and unpacks it.
pub(super) async fn read<B>(
    body: B,
    encoding: Encoding,
    limits: Limits,
    budget: &Budget,
) -> Result<Bytes, Error>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut source = Source {
        body,
        piece: Bytes::new(),
        upload: Upload::new(limits.pace, budget),
    };
    let (flag, length) = source.prefix().await?;
    if length > limits.max {
        return Err(too_long(length, limits.max));
    }
    let packed = source.message(length, budget).await?;
    match (flag, encoding) {
        (0, _) => Ok(packed.into_bytes()),
        (1, Encoding::Identity) => Err(Error::internal(
            "Compression bit set but no encoding configured",
        )),
        (1, encoding) => encoding.unpack(packed, limits.max).await,
        (flag, _) => Err(Error::internal(format!("Bad GRPC frame type 0x{flag:02x}"))),
    }
}

/// In the words of the original's library.
pub(super) fn too_long(length: usize, max: usize) -> Error {
    Error::resource_exhausted(format!(
        "Received message larger than max ({length} vs. {max})"
    ))
}

/// A message in memory, and its share of the budget.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    reserved: Reserved,
}

impl Held {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            bytes: Vec::new(),
            reserved: budget.reserve_nothing(),
        }
    }

    pub(super) fn budget(&self) -> &Budget {
        self.reserved.budget()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Room for more bytes now.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Makes a full buffer fourfold, from `first` up to `max`. A message that grows so is copied a
    /// third of a time on the whole.
    pub(super) fn grow(&mut self, first: usize, max: usize) -> Result<(), Error> {
        let now = self.bytes.capacity();
        let wanted = now.saturating_mul(GROWTH).max(first).min(max);
        if wanted <= now {
            return Ok(());
        }
        if !self.reserved.grow_to(wanted) {
            return Err(Error::unavailable(format!(
                "the server holds as many messages as it may: {} bytes (--max_buffered_bytes)",
                self.reserved.budget().limit()
            )));
        }
        self.bytes
            .try_reserve_exact(wanted - self.bytes.len())
            .map_err(|_| {
                Error::unavailable(format!(
                    "the server has no memory left for a message of {wanted} bytes"
                ))
            })
    }

    /// Takes bytes for which there is [room](Self::room).
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes, which keep their share until the last holder has let them go: a run that
    /// outlives its request still holds its message.
    pub(super) fn into_bytes(mut self) -> Bytes {
        // Pages that were never written to are not there.
        self.reserved.shrink_to(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body, piece by piece.
struct Source<B> {
    body: B,
    /// What of the last piece is still unread.
    piece: Bytes,
    upload: Upload,
}

impl<B> Source<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    async fn prefix(&mut self) -> Result<(u8, usize), Error> {
        let mut prefix = [0; PREFIX];
        let mut filled = 0;
        while filled < PREFIX {
            self.need_piece().await?;
            let take = self.piece.len().min(PREFIX - filled);
            self.piece.copy_to_slice(&mut prefix[filled..filled + take]);
            filled += take;
        }
        let [flag, length @ ..] = prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        Ok((flag, length))
    }

    async fn message(&mut self, length: usize, budget: &Budget) -> Result<Held, Error> {
        let mut held = Held::new(budget);
        while held.bytes.len() < length {
            self.need_piece().await?;
            while !self.piece.is_empty() && held.bytes.len() < length {
                if held.room() == 0 {
                    held.grow(FIRST, length)?;
                }
                let missing = length - held.bytes.len();
                let take = self.piece.len().min(held.room()).min(missing);
                held.extend(&self.piece.split_to(take));
            }
        }
        Ok(held)
    }

    /// Makes sure that a byte is there.
    async fn need_piece(&mut self) -> Result<(), Error> {
        while self.piece.is_empty() {
            let frame = self.upload.wait(self.body.frame()).await;
            let frame = frame.map_err(|TooSlow(how)| {
                Error::new(ErrorCode::DeadlineExceeded, format!("the message {how}"))
            })?;
            match frame {
                // What the original answers to a call without a message, or with half of one.
                None => return Err(Error::internal("Couldn't initialize byte buffer reader")),
                // Trailers of a request say nothing that anybody here wants to know.
                Some(Ok(frame)) => {
                    self.piece = frame.into_data().unwrap_or_default();
                    self.upload.came(self.piece.len());
                }
                Some(Err(error)) => {
                    let message = format!("the message could not be read: {error}");
                    return Err(Error::new(ErrorCode::Cancelled, message));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream;

    use super::super::encoding::tests::{deflate, gzip};
    use super::*;

    const PACE: Pace = Pace {
        idle: std::time::Duration::from_secs(50),
        least: 1000,
    };

    pub(super) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![flag];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        frame
    }

    fn in_pieces(bytes: &[u8], size: usize) -> Body {
        let pieces: Vec<_> = bytes
            .chunks(size)
            .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
            .collect();
        Body::from_stream(stream::iter(pieces))
    }

    async fn read_limited(
        bytes: &[u8],
        encoding: Encoding,
        max: usize,
        budget: &Budget,
    ) -> Result<Bytes, Error> {
        let limits = Limits { max, pace: PACE };
        read(in_pieces(bytes, 3), encoding, limits, budget).await
    }

    #[tokio::test]
    async fn reads_one_message_however_it_is_cut() {
        let budget = Budget::new(1000);
        for message in [&b""[..], b"m", b"a message"] {
            let frame = framed(0, message);
            let read = read_limited(&frame, Encoding::Identity, 100, &budget).await;
            let bytes = read.unwrap();
            assert_eq!(bytes, message);
            assert_eq!(budget.used(), message.len());
            let kept = bytes.clone();
            drop(bytes);
            assert_eq!(budget.used(), message.len(), "somebody still holds it");
            drop(kept);
            assert_eq!(budget.used(), 0);
        }
    }

    #[tokio::test]
    async fn takes_the_first_of_several_messages_and_waits_for_no_end() {
        let budget = Budget::new(1000);
        let mut two = framed(0, b"first");
        two.extend(framed(0, b"second"));
        let read_first = read_limited(&two, Encoding::Identity, 100, &budget);
        assert_eq!(read_first.await.unwrap(), "first");
        let whole = Bytes::from(framed(0, b"first"));
        let endless = futures_util::StreamExt::chain(
            stream::iter([Ok::<_, Infallible>(whole)]),
            stream::pending(),
        );
        let limits = Limits {
            max: 100,
            pace: PACE,
        };
        let body = Body::from_stream(endless);
        let first = read(body, Encoding::Identity, limits, &budget).await;
        assert_eq!(first.unwrap(), "first");
    }

    #[tokio::test]
    async fn what_is_no_message_has_the_status_of_the_original() {
        let budget = Budget::new(1000);
        let cut = framed(0, b"message");
        for (bytes, code, words) in [
            (Vec::new(), 13, "Couldn't initialize byte buffer reader"),
            (vec![0, 0], 13, "Couldn't initialize byte buffer reader"),
            (
                cut[..8].to_vec(),
                13,
                "Couldn't initialize byte buffer reader",
            ),
            (framed(2, b"m"), 13, "Bad GRPC frame type 0x02"),
            (framed(1, b"m"), 13, "Compression bit set but no encoding"),
            (
                framed(0, &[0; 11]),
                8,
                "Received message larger than max (11 vs. 10)",
            ),
            (
                vec![0, 255, 255, 255, 255],
                8,
                "Received message larger than max (4294967295 vs. 10)",
            ),
        ] {
            let error = read_limited(&bytes, Encoding::Identity, 10, &budget).await;
            let error = error.unwrap_err();
            assert_eq!(error.code().number(), code, "{error}");
            assert!(error.message().contains(words), "{error}");
            assert_eq!(budget.used(), 0);
        }
    }

    #[tokio::test]
    async fn an_announced_length_costs_nothing_until_it_comes() {
        let budget = Budget::new(usize::MAX);
        let length = 1_usize << 30;
        let mut frame = vec![0];
        frame.extend(u32::try_from(length).unwrap().to_be_bytes());
        frame.extend([7; 10]);
        let start = stream::iter([Ok::<_, Infallible>(Bytes::from(frame))]);
        let body = Body::from_stream(futures_util::StreamExt::chain(start, stream::pending()));
        let limits = Limits {
            max: length,
            pace: PACE,
        };
        let reading = read(body, Encoding::Identity, limits, &budget);
        let mut reading = std::pin::pin!(reading);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(reading.as_mut().poll(&mut context).is_pending());
        assert_eq!(budget.used(), FIRST);
    }

    #[tokio::test]
    async fn what_the_budget_does_not_have_is_unavailable() {
        let budget = Budget::new(100);
        let other = read_limited(&framed(0, &[0; 60]), Encoding::Identity, 100, &budget).await;
        let error = read_limited(&framed(0, &[0; 60]), Encoding::Identity, 100, &budget).await;
        assert_eq!(error.unwrap_err().code(), ErrorCode::Unavailable);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn large_messages_grow_into_one_buffer() {
        let budget = Budget::new(1 << 30);
        let message: Vec<u8> = (0..9_000_001_u32).map(|i| i as u8).collect();
        let limits = Limits {
            max: 1 << 30,
            pace: PACE,
        };
        let body = in_pieces(&framed(0, &message), 16 << 10);
        let bytes = read(body, Encoding::Identity, limits, &budget)
            .await
            .unwrap();
        assert!(bytes == message);
        assert_eq!(budget.used(), message.len());
    }

    #[tokio::test]
    async fn unpacks_what_is_marked_as_packed() {
        let budget = Budget::new(1 << 20);
        let text = vec![b'x'; 5000];
        for (encoding, packed) in [
            (Encoding::Gzip, gzip(&text)),
            (Encoding::Deflate, deflate(&text)),
        ] {
            let read = read_limited(&framed(1, &packed), encoding, 5000, &budget).await;
            assert_eq!(read.unwrap(), text);
            // The flag decides, not the header.
            let read = read_limited(&framed(0, b"plain"), encoding, 5000, &budget).await;
            assert_eq!(read.unwrap(), "plain");
            let error = read_limited(&framed(1, &packed), encoding, 4999, &budget).await;
            let error = error.unwrap_err();
            assert_eq!(error.code(), ErrorCode::ResourceExhausted);
            assert_eq!(
                error.message(),
                "Received message larger than max (5000 vs. 4999)"
            );
            assert_eq!(budget.used(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_stops_coming_is_given_up() {
        let budget = Budget::new(1000);
        let start = stream::iter([Ok::<_, Infallible>(Bytes::from_static(&[0, 0]))]);
        let body = Body::from_stream(futures_util::StreamExt::chain(start, stream::pending()));
        let limits = Limits {
            max: 100,
            pace: PACE,
        };
        let error = read(body, Encoding::Identity, limits, &budget).await;
        let error = error.unwrap_err();
        assert_eq!(error.message(), "the message stopped coming for 50s");
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(budget.used(), 0);

        let prefix = stream::iter([Ok::<_, Infallible>(Bytes::from_static(&[0, 0, 0, 0, 100]))]);
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"m")), ()))
        });
        let body = Body::from_stream(futures_util::StreamExt::chain(prefix, trickle));
        let error = read(body, Encoding::Identity, limits, &budget).await;
        let error = error.unwrap_err();
        assert!(
            error.message().starts_with("the message comes too slowly"),
            "{error}"
        );
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(budget.used(), 0);
    }
}
