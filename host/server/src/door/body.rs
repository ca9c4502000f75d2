//! Reads the body of a request into memory, within limits, and unpacks it.
//!
//! The gateway takes bodies whole, as the original does. What bounds them: the length of one, the
//! memory of all ([`Budget`]), and the time between two pieces of one.

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;

use super::budget::{Budget, Reserved};
use super::fault::Fault;

/// How long to wait for the next piece of a body. The original's (libevent's) 50 seconds.
const IDLE: Duration = Duration::from_secs(50);

/// How long what is over the limit is still read, and thrown away: a client that is cut off while
/// it writes never reads why.
const DISCARD: Duration = Duration::from_secs(2);

/// Bodies up to this size are unpacked on the spot; larger ones where they hold up nobody.
const UNPACK_AT_ONCE: usize = 64 << 10;

/// A body in memory, and its share of the budget.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    reserved: Reserved,
}

/// Reads a body and unpacks it as `headers` say.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    max: usize,
    budget: &Budget,
) -> Result<Held, Fault> {
    let held = collect(body, headers, max, budget).await?;
    if is_gzip(headers) {
        unpack(held, max).await
    } else {
        Ok(held)
    }
}

async fn collect(
    mut body: Body,
    headers: &HeaderMap,
    max: usize,
    budget: &Budget,
) -> Result<Held, Fault> {
    let mut reserved = budget.reserve_nothing();
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        discard(body).await;
        return Err(too_long(max));
    }
    reserve(&mut reserved, announced.unwrap_or(0), budget)?;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = next_piece(&mut body).await? {
        let length = first.len() + all.len() + piece.len();
        if length > max {
            discard(body).await;
            return Err(too_long(max));
        }
        reserve(&mut reserved, length, budget)?;
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which is kept as it is.
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.unwrap_or(0).max(length));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(Held { bytes, reserved })
}

async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame())
            .await
            .map_err(|_| {
                Fault::new(
                    StatusCode::REQUEST_TIMEOUT,
                    format!("the request body stopped coming for {} s", IDLE.as_secs()),
                )
            })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers say nothing that anybody here wants to know.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                return Err(Fault::new(
                    StatusCode::BAD_REQUEST,
                    format!("the request body could not be read: {error}"),
                ));
            }
        }
    }
}

fn reserve(reserved: &mut Reserved, bytes: usize, budget: &Budget) -> Result<(), Fault> {
    if reserved.grow_to(bytes) {
        return Ok(());
    }
    Err(Fault::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "the server holds as many request bodies as it may: {} bytes (--max_buffered_bytes)",
            budget.limit()
        ),
    ))
}

fn too_long(max: usize) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the request body is longer than {max} bytes (--max_body_bytes)"),
    )
}

async fn discard(mut body: Body) {
    // Whether the client has stopped or the time is up: it has had its chance.
    let _ = tokio::time::timeout(DISCARD, async {
        while let Some(Ok(_)) = body.frame().await {}
    })
    .await;
}

// --- Packed bodies ---

/// As the original decides it: the header holds the word.
fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            value.windows(4).any(|word| word == b"gzip")
        })
}

async fn unpack(held: Held, max: usize) -> Result<Held, Fault> {
    if held.bytes.len() <= UNPACK_AT_ONCE {
        return gunzip(held, max);
    }
    tokio::task::spawn_blocking(move || gunzip(held, max))
        .await
        .unwrap_or_else(|_| {
            Err(Fault::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request body could not be unpacked",
            ))
        })
}

fn gunzip(held: Held, max: usize) -> Result<Held, Fault> {
    const STEP: usize = 64 << 10;
    let Held {
        bytes,
        mut reserved,
    } = held;
    let budget = reserved.budget().clone();
    let mut decoder = flate2::read::MultiGzDecoder::new(&*bytes);
    let mut unpacked = Vec::new();
    loop {
        reserve(&mut reserved, bytes.len() + unpacked.len() + STEP, &budget)?;
        let limit = STEP.min(max + 1 - unpacked.len()) as u64;
        let read = decoder
            .by_ref()
            .take(limit)
            .read_to_end(&mut unpacked)
            .map_err(|error| {
                Fault::new(
                    StatusCode::BAD_REQUEST,
                    format!("the request body is not valid gzip: {error}"),
                )
            })?;
        if unpacked.len() > max {
            return Err(too_long(max));
        }
        if read == 0 {
            break;
        }
    }
    Ok(Held {
        bytes: unpacked.into(),
        reserved,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;

    use futures_util::stream;

    use super::*;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<Result<Bytes, Infallible>> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
            .collect();
        Body::from_stream(stream::iter(pieces))
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn joins_pieces_and_keeps_one_piece_as_it_is() {
        let budget = Budget::new(100);
        for (given, expected) in [
            (&[][..], ""),
            (&["whole"], "whole"),
            (&["one ", "two ", "three"], "one two three"),
        ] {
            let held = read(pieces(given), &HeaderMap::new(), 20, &budget).await;
            let held = held.unwrap();
            assert_eq!(held.bytes, expected);
            assert_eq!(budget.used(), expected.len());
        }
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn names_the_limit_that_a_body_is_over() {
        let budget = Budget::new(10);
        let announced = headers(&[(header::CONTENT_LENGTH, "6")]);
        for headers in [HeaderMap::new(), announced.clone()] {
            let fault = read(pieces(&["abc", "def"]), &headers, 5, &budget).await;
            let fault = fault.unwrap_err();
            assert_eq!(fault.status, 413);
            assert_eq!(
                fault.message,
                "the request body is longer than 5 bytes (--max_body_bytes)"
            );
        }
        let other = read(pieces(&["abcdef"]), &announced, 9, &budget).await;
        for headers in [HeaderMap::new(), announced] {
            let fault = read(pieces(&["abc", "def"]), &headers, 9, &budget).await;
            assert_eq!(fault.unwrap_err().status, 503);
        }
        assert_eq!(budget.used(), 6);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn unpacks_gzip_within_the_limit() {
        let budget = Budget::new(1 << 20);
        let encoding = headers(&[(header::CONTENT_ENCODING, "gzip")]);
        let text = vec![b'x'; 200_000];
        let packed = gzip(&text);
        let held = read(packed.clone().into(), &encoding, 200_000, &budget).await;
        assert_eq!(held.unwrap().bytes, text);
        let fault = read(packed.into(), &encoding, 199_999, &budget).await;
        assert_eq!(fault.unwrap_err().status, 413);
        let fault = read(pieces(&["nonsense"]), &encoding, 100, &budget).await;
        assert_eq!(fault.unwrap_err().status, 400);
        assert_eq!(budget.used(), 0);
    }
}
