//! How messages are compressed: the names, and both ways.
//!
//! **Invariant:** unpacking is bounded by the message limit and by the budget, step by step, so a
//! small message that says it is a large one costs no more than a large one.

use std::io::{Read, Write as _};

use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, HeaderName, HeaderValue};
use tensorgate_types::Error;

use super::message::{Held, too_long};

/// What the client's message is packed with.
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What the other side can unpack.
pub(super) const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What we can.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("identity, deflate, gzip");

/// Up to this size work is done on the spot; beyond, where it holds up nobody.
const AT_ONCE: usize = 64 << 10;

/// How much is unpacked at a time.
const STEP: usize = 64 << 10;

/// A way to pack messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// None.
    #[default]
    Identity,
    /// With zlib's header and checksum, which is what gRPC calls deflate.
    Deflate,
    /// gzip.
    Gzip,
}

impl Encoding {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"identity" => Some(Self::Identity),
            b"deflate" => Some(Self::Deflate),
            b"gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    pub(super) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Identity => "identity",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
        })
    }

    /// What a request says. One that we do not have is `UNIMPLEMENTED`, as gRPC's specification
    /// asks for.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(name) = headers.get(ENCODING) else {
            return Ok(Self::Identity);
        };
        Self::named(name.as_bytes()).ok_or_else(|| {
            let name = String::from_utf8_lossy(name.as_bytes());
            let accepted = "identity, deflate and gzip";
            Error::unimplemented(format!(
                "grpc-encoding {name} is not supported: {accepted} are"
            ))
        })
    }

    /// Whether the client can unpack this.
    pub(super) fn is_accepted(self, headers: &HeaderMap) -> bool {
        headers
            .get_all(ACCEPT)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .any(|name| Self::named(name.trim_ascii()) == Some(self))
    }

    /// Unpacks a message, up to `max` bytes.
    pub(super) async fn unpack(self, packed: Held, max: usize) -> Result<Bytes, Error> {
        if packed.as_slice().len() <= AT_ONCE && max <= AT_ONCE {
            return self.unpack_now(&packed, max);
        }
        tokio::task::spawn_blocking(move || self.unpack_now(&packed, max))
            .await
            .unwrap_or_else(|error| {
                Err(Error::internal("the message could not be unpacked").with_source(error))
            })
    }

    fn unpack_now(self, packed: &Held, max: usize) -> Result<Bytes, Error> {
        let bytes = packed.as_slice();
        match self {
            Self::Identity => Ok(Bytes::copy_from_slice(bytes)),
            Self::Deflate => inflate(ZlibDecoder::new(bytes), packed, max, |decoder| {
                decoder.into_inner().is_empty()
            }),
            Self::Gzip => inflate(GzDecoder::new(bytes), packed, max, |decoder| {
                decoder.into_inner().is_empty()
            }),
        }
    }

    /// Packs an answer.
    pub(super) async fn pack(self, chunks: Vec<Bytes>) -> Result<Vec<u8>, Error> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let pack = move || self.pack_now(&chunks);
        let packed = if length <= AT_ONCE {
            pack()
        } else {
            tokio::task::spawn_blocking(pack)
                .await
                .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        };
        packed.map_err(|error| Error::internal("the answer could not be packed").with_source(error))
    }

    fn pack_now(self, chunks: &[Bytes]) -> std::io::Result<Vec<u8>> {
        let level = flate2::Compression::default();
        match self {
            Self::Identity => Ok(chunks.concat()),
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                chunks
                    .iter()
                    .try_for_each(|chunk| encoder.write_all(chunk))?;
                encoder.finish()
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                chunks
                    .iter()
                    .try_for_each(|chunk| encoder.write_all(chunk))?;
                encoder.finish()
            }
        }
    }
}

/// Unpacks to the end. `is_used_up` says whether the decoder read all that it was given.
fn inflate<R: Read>(
    mut decoder: R,
    packed: &Held,
    max: usize,
    is_used_up: impl FnOnce(R) -> bool,
) -> Result<Bytes, Error> {
    let failed = |why: &str| Error::internal(format!("Decompression failed due to {why}"));
    let mut unpacked = Held::new(packed.budget());
    // Numbers shrink to a third or so; what is a bomb shows it soon.
    let first = packed.as_slice().len().saturating_mul(4).min(1 << 20);
    let mut step = vec![0; STEP];
    loop {
        let read = match decoder.read(&mut step) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(failed("data error").with_source(error));
            }
            Err(error) => return Err(failed("zlib error").with_source(error)),
        };
        let length = unpacked.as_slice().len() + read;
        if length > max {
            return Err(too_long(length, max));
        }
        let mut rest = &step[..read];
        while !rest.is_empty() {
            if unpacked.room() == 0 {
                unpacked.grow(first, max)?;
            }
            let (now, later) = rest.split_at(rest.len().min(unpacked.room()));
            unpacked.extend(now);
            rest = later;
        }
    }
    if !is_used_up(decoder) {
        return Err(failed("not all input consumed"));
    }
    Ok(unpacked.into_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::budget::Budget;
    use super::*;

    pub(in super::super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        Encoding::Gzip
            .pack_now(&[Bytes::copy_from_slice(bytes)])
            .unwrap()
    }

    pub(in super::super) fn deflate(bytes: &[u8]) -> Vec<u8> {
        Encoding::Deflate
            .pack_now(&[Bytes::copy_from_slice(bytes)])
            .unwrap()
    }

    fn held(bytes: &[u8], budget: &Budget) -> Held {
        let mut held = Held::new(budget);
        held.grow(bytes.len(), bytes.len()).unwrap();
        held.extend(bytes);
        held
    }

    #[tokio::test]
    async fn what_is_broken_has_the_words_of_the_original() {
        let budget = Budget::new(1 << 30);
        let whole = gzip(b"hi");
        let trailing = [&whole[..], b"junk"].concat();
        let twice = [&whole[..], &whole].concat();
        for (encoding, packed, why) in [
            (Encoding::Gzip, &b"nonsense, long"[..], "zlib error"),
            (Encoding::Deflate, b"nonsense, long", "zlib error"),
            (Encoding::Gzip, &whole[..whole.len() - 4], "data error"),
            (Encoding::Gzip, &trailing, "not all input consumed"),
            (Encoding::Gzip, &twice, "not all input consumed"),
        ] {
            let error = encoding.unpack(held(packed, &budget), 100).await;
            let error = error.unwrap_err();
            assert_eq!(
                error.message(),
                format!("Decompression failed due to {why}"),
                "{encoding:?}"
            );
            assert_eq!(error.code().number(), 13);
        }
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let max = 4 << 20;
        // Just enough for the packed and the unpacked bytes up to the limit.
        let budget = Budget::new(bomb.len() + max);
        let error = Encoding::Gzip.unpack(held(&bomb, &budget), max).await;
        let error = error.unwrap_err();
        assert_eq!(error.code().number(), 8);
        assert!(
            error
                .message()
                .starts_with("Received message larger than max ("),
            "{error}"
        );
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn knows_its_names() {
        let headers = |name: HeaderName, value: &'static str| {
            HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
        };
        let none = Encoding::of(&HeaderMap::new()).unwrap();
        assert_eq!(none, Encoding::Identity);
        for encoding in [Encoding::Identity, Encoding::Deflate, Encoding::Gzip] {
            let named = HeaderMap::from_iter([(ENCODING, encoding.name())]);
            assert_eq!(Encoding::of(&named).unwrap(), encoding);
        }
        let error = Encoding::of(&headers(ENCODING, "snappy")).unwrap_err();
        assert_eq!(error.code().number(), 12);
        assert_eq!(
            error.message(),
            "grpc-encoding snappy is not supported: identity, deflate and gzip are"
        );
        let accept = headers(ACCEPT, "identity,deflate, gzip");
        assert!(Encoding::Gzip.is_accepted(&accept));
        assert!(!Encoding::Gzip.is_accepted(&headers(ACCEPT, "identity")));
        assert!(!Encoding::Gzip.is_accepted(&HeaderMap::new()));
    }
}
