//! Reads the body of a request into memory, within limits, and unpacks it.
//!
//! The gateway takes bodies whole, as the original does. What bounds them: the length of one, the
//! memory of all ([`Budget`]), and how slowly one may come ([`Pace`]).
//!
//! **Invariant:** memory follows what arrived. What was only announced is reserved up to
//! [`FIRST`]; then the share grows fourfold each time that it is filled.

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;

use super::budget::{Budget, Reserved};
use super::fault::Fault;
use super::pace::{Pace, TooSlow, Upload};
use crate::wiring::too_long_for;

/// How long what is refused is still read, and thrown away: a client that is cut off while
/// it writes never reads why.
const DISCARD: Duration = Duration::from_secs(2);

/// What a body gets at first, however long it says it is.
const FIRST: usize = 1 << 20;

/// By how much a full share grows.
const GROWTH: usize = 4;

/// Bodies up to this size are unpacked on the spot; larger ones where they hold up nobody.
const UNPACK_AT_ONCE: usize = 64 << 10;

/// What bounds a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    /// How long it may be, packed and unpacked.
    pub(super) max: usize,
    /// The model whose bound that is; none where it is the door's.
    pub(super) model: Option<&'a str>,
    /// How slowly it may come.
    pub(super) pace: Pace,
}

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
    limits: Limits<'_>,
    budget: &Budget,
) -> Result<Held, Fault> {
    let packed = is_gzip(headers);
    if !packed && let Err(fault) = refuse_other_encodings(headers) {
        return Err(refuse(body, headers, fault).await);
    }
    let held = collect(body, headers, limits, budget).await?;
    if packed {
        unpack(held, limits).await
    } else {
        Ok(held)
    }
}

async fn collect(
    mut body: Body,
    headers: &HeaderMap,
    limits: Limits<'_>,
    budget: &Budget,
) -> Result<Held, Fault> {
    let max = limits.max;
    let mut reserved = budget.reserve_nothing();
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        return Err(refuse(body, headers, too_long(limits)).await);
    }
    let announced = announced.unwrap_or(0);
    let mut share = announced.min(FIRST);
    if let Err(fault) = reserve(&mut reserved, share, budget) {
        return Err(refuse(body, headers, fault).await);
    }
    let mut upload = Upload::new(limits.pace, budget);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = next_piece(&mut body, &mut upload).await? {
        let length = first.len() + all.len() + piece.len();
        let refused = if length > max {
            Some(too_long(limits))
        } else if length > share {
            share = share.saturating_mul(GROWTH).min(announced).max(length);
            reserve(&mut reserved, share, budget).err()
        } else {
            None
        };
        if let Some(fault) = refused {
            // Others can have what was held, while the rest comes.
            drop((first, all, piece, reserved));
            discard(body).await;
            return Err(fault);
        }
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which is kept as it is.
            first = piece;
            continue;
        }
        let before = std::mem::take(&mut first);
        all.reserve(share - all.len());
        all.extend_from_slice(&before);
        all.extend_from_slice(&piece);
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(Held { bytes, reserved })
}

async fn next_piece(body: &mut Body, upload: &mut Upload) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = upload.wait(body.frame()).await;
        let frame = frame.map_err(|TooSlow(how)| {
            Fault::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("the request body {how}"),
            )
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers say nothing that anybody here wants to know.
                if let Ok(data) = frame.into_data() {
                    upload.came(data.len());
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

fn too_long(limits: Limits<'_>) -> Fault {
    let max = limits.max;
    let message = match limits.model {
        Some(model) => too_long_for(model, max),
        None => format!("the request body is longer than {max} bytes (--max_body_bytes)"),
    };
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// Refuses a body of which nothing was read. A client that asked first is told no, and never sends
/// it: reading would invite it.
pub(super) async fn refuse(body: Body, headers: &HeaderMap, fault: Fault) -> Fault {
    if !headers.contains_key(header::EXPECT) {
        discard(body).await;
    }
    fault
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

/// The original passes such a body on as it is, and the client reads that its JSON is wrong. Words
/// that name no compression (`identity`, `utf-8`) are passed over here, too.
fn refuse_other_encodings(headers: &HeaderMap) -> Result<(), Fault> {
    const OTHERS: [&str; 5] = ["br", "compress", "deflate", "x-compress", "zstd"];
    let named = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|name| OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other)));
    match named {
        None => Ok(()),
        Some(name) => Err(Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("content-encoding {name} is not supported: gzip is"),
        )),
    }
}

async fn unpack(held: Held, limits: Limits<'_>) -> Result<Held, Fault> {
    let max = limits.max;
    let unpacked = if held.bytes.len() <= UNPACK_AT_ONCE {
        gunzip(held, max)
    } else {
        let unpacking = tokio::task::spawn_blocking(move || gunzip(held, max));
        unpacking.await.unwrap_or_else(|_| {
            Err(Fault::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the request body could not be unpacked",
            ))
        })
    };
    unpacked?.ok_or_else(|| too_long(limits))
}

/// The body unpacked; none when it is longer than `max`.
fn gunzip(held: Held, max: usize) -> Result<Option<Held>, Fault> {
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
        let limit = STEP.min(max.saturating_add(1) - unpacked.len()) as u64;
        let Ok(read) = decoder.by_ref().take(limit).read_to_end(&mut unpacked) else {
            // As in the original, what cannot be unpacked is no document at all; what the client
            // reads of it is the component's affair.
            return Ok(Some(Held {
                bytes: Bytes::new(),
                reserved,
            }));
        };
        if unpacked.len() > max {
            return Ok(None);
        }
        if read == 0 {
            break;
        }
    }
    Ok(Some(Held {
        bytes: unpacked.into(),
        reserved,
    }))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;

    use futures_util::stream;

    use super::*;

    const PACE: Pace = Pace {
        idle: Duration::from_secs(50),
        least: 1000,
    };

    fn up_to(max: usize) -> Limits<'static> {
        Limits {
            max,
            model: None,
            pace: PACE,
        }
    }

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
            let held = read(pieces(given), &HeaderMap::new(), up_to(20), &budget).await;
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
            let fault = read(pieces(&["abc", "def"]), &headers, up_to(5), &budget).await;
            let fault = fault.unwrap_err();
            assert_eq!(fault.status, 413);
            assert_eq!(
                fault.message,
                "the request body is longer than 5 bytes (--max_body_bytes)"
            );
        }
        let other = read(pieces(&["abcdef"]), &announced, up_to(9), &budget).await;
        for headers in [HeaderMap::new(), announced] {
            let fault = read(pieces(&["abc", "def"]), &headers, up_to(9), &budget).await;
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
        let held = read(packed.clone().into(), &encoding, up_to(200_000), &budget).await;
        assert_eq!(held.unwrap().bytes, text);
        let fault = read(packed.into(), &encoding, up_to(199_999), &budget).await;
        assert_eq!(fault.unwrap_err().status, 413);
        let nothing = read(pieces(&["nonsense"]), &encoding, up_to(100), &budget).await;
        assert_eq!(nothing.unwrap().bytes, "");
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn refuses_other_compressions_by_name() {
        let budget = Budget::new(100);
        for (encoding, status) in [
            ("br", Some(415)),
            ("identity, ZSTD", Some(415)),
            ("deflate", Some(415)),
            ("identity", None),
            ("utf-8", None),
        ] {
            let headers = headers(&[(header::CONTENT_ENCODING, encoding)]);
            let held = read(pieces(&["{}"]), &headers, up_to(10), &budget).await;
            let fault = held.err();
            assert_eq!(fault.map(|fault| fault.status.as_u16()), status);
        }
    }

    #[tokio::test]
    async fn does_not_ask_for_what_it_would_refuse() {
        let budget = Budget::new(100);
        let headers = headers(&[
            (header::CONTENT_LENGTH, "11"),
            (header::EXPECT, "100-continue"),
        ]);
        // Reading this body would wait.
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let fault = read(silent, &headers, up_to(10), &budget);
        let fault = futures_util::FutureExt::now_or_never(fault);
        assert_eq!(fault.unwrap().unwrap_err().status, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_given_up() {
        let budget = Budget::new(100);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let fault = read(silent, &HeaderMap::new(), up_to(10), &budget).await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.status, 408);
        assert_eq!(fault.message, "the request body stopped coming for 50s");
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        let budget = Budget::new(100);
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
        });
        let body = Body::from_stream(trickle);
        let fault = read(body, &HeaderMap::new(), up_to(100), &budget).await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.status, 408);
        assert_eq!(
            fault.message,
            "the request body comes too slowly: the server takes no less than 1000 bytes in a \
             second (--min_upload_bytes_per_second)"
        );
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn an_announced_length_costs_little_until_it_comes() {
        let budget = Budget::new(usize::MAX);
        let length = 5 << 20;
        let announced = headers(&[(header::CONTENT_LENGTH, &length.to_string())]);
        let piece = |length| Ok::<_, Infallible>(Bytes::from(vec![7; length]));
        for (came, held) in [
            (0, FIRST),
            (1 << 20, FIRST),
            (2 << 20, 4 << 20),
            (4 << 20, 4 << 20),
            ((4 << 20) + 1, 4 << 20),
        ] {
            let start = stream::iter((came > 0).then(|| piece(came)));
            let body = Body::from_stream(futures_util::StreamExt::chain(start, stream::pending()));
            let mut reading = Box::pin(read(body, &announced, up_to(1 << 30), &budget));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(reading.as_mut().poll(&mut context).is_pending());
            assert_eq!(budget.used(), held.max(came), "{came}");
        }
        let all: Vec<_> = (0..80).map(|_| piece(1 << 16)).collect();
        let body = Body::from_stream(stream::iter(all));
        let held = read(body, &announced, up_to(1 << 30), &budget).await;
        let held = held.unwrap();
        assert_eq!((held.bytes.len(), budget.used()), (length, length));
    }

    #[tokio::test]
    async fn what_is_refused_for_lack_of_memory_is_read_to_its_end() {
        let budget = Budget::new(10);
        for announced in [
            HeaderMap::new(),
            headers(&[(header::CONTENT_LENGTH, "12")]),
            headers(&[(header::CONTENT_ENCODING, "br")]),
        ] {
            let read_to_end = std::sync::atomic::AtomicUsize::new(0);
            let counted = std::sync::Arc::new(read_to_end);
            let counting = std::sync::Arc::clone(&counted);
            let body = stream::iter((0..12).map(move |_| {
                counting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from_static(b"x"))
            }));
            let fault = read(Body::from_stream(body), &announced, up_to(20), &budget);
            let status = fault.await.unwrap_err().status.as_u16();
            assert!(matches!(status, 503 | 415), "{status}");
            assert_eq!(counted.load(std::sync::atomic::Ordering::Relaxed), 12);
            assert_eq!(budget.used(), 0);
        }
    }
}
