//! What a request has outside its component: the message of a gRPC call, and outputs of models
//! that stay with the host. A component names parts of them by numbers; here the numbers become
//! bytes, which are shared and not copied.
//!
//! **Invariant:** every number is a component's and may be a lie. What does not fit is an error
//! that names the number and what it was held against.

use bytes::Bytes;
use tensorgate_types::{Counter, Error, ErrorCode, Result, copy};

use crate::contract::transfer::{ChunkIn, RangeIn};

/// Outputs that one request may have held. Models with hundreds of outputs exist.
const MAX_HELD: usize = 4096;

/// Pieces of one message. An answer has a few for each output.
const MAX_CHUNKS: usize = 16 << 10;

/// The parts of one request that its component has not seen, or not kept.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// The message; none for a request over REST.
    message: Option<Bytes>,
    /// The body of a request over REST, which the component has seen.
    body: Option<Bytes>,
    held: Vec<Bytes>,
    held_bytes: usize,
}

impl Outside {
    pub(crate) fn of(message: Option<Bytes>) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }

    /// What belongs to a request over REST with this body.
    pub(crate) fn of_body(body: Bytes) -> Self {
        Self {
            body: Some(body),
            ..Self::default()
        }
    }

    /// The body, shared.
    pub(crate) fn body(&self) -> Option<Bytes> {
        self.body.clone()
    }

    /// Bytes of the message; none when there is no message.
    pub(crate) fn message_len(&self) -> usize {
        self.message.as_ref().map_or(0, Bytes::len)
    }

    fn message(&self) -> Result<&Bytes> {
        self.message.as_ref().ok_or_else(|| {
            Error::failed_precondition("this request has no message that parts could be taken of")
        })
    }

    /// A part of the message.
    pub(crate) fn part(&self, range: RangeIn) -> Result<Bytes> {
        Ok(self.message()?.slice(self.bounds(range)?))
    }

    /// Parts of the message behind one another, and where each of them begins and ends: as many
    /// copied bytes as they have together, which must not be more than `limit`.
    pub(crate) fn gather(
        &self,
        ranges: &[RangeIn],
        limit: usize,
        copied: &Counter,
    ) -> Result<(Vec<u64>, Bytes)> {
        let message = self.message()?;
        let mut offsets = Vec::with_capacity(ranges.len() + 1);
        let mut end = 0_usize;
        offsets.push(0);
        // All are checked before a byte is allocated.
        for range in ranges {
            let bounds = self.bounds(*range)?;
            end = end
                .checked_add(bounds.len())
                .filter(|end| *end <= limit)
                .ok_or_else(|| too_much_copied(limit))?;
            offsets.push(end as u64);
        }
        let mut bytes = Vec::with_capacity(end);
        for range in ranges {
            copy(&message[self.bounds(*range)?], &mut bytes, copied);
        }
        Ok((offsets, bytes.into()))
    }

    fn bounds(&self, range: RangeIn) -> Result<std::ops::Range<usize>> {
        let len = self.message()?.len();
        let RangeIn { offset, length } = range;
        let bounds = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            (end <= len).then_some(start..end)
        };
        bounds().ok_or_else(|| {
            Error::new(
                ErrorCode::OutOfRange,
                format!("the message has {len} bytes, and no {length} bytes from {offset}"),
            )
        })
    }

    /// Keeps an output, and gives it a number. `limit` is for all that are kept together.
    pub(crate) fn hold(&mut self, output: Bytes, limit: usize) -> Result<u32> {
        if self.held.len() >= MAX_HELD {
            return Err(Error::resource_exhausted(format!(
                "one request may leave {MAX_HELD} outputs with the host"
            )));
        }
        let bytes = self.held_bytes.saturating_add(output.len());
        if bytes > limit {
            return Err(Error::resource_exhausted(format!(
                "the outputs have {bytes} bytes, the server sends at most {limit}"
            )));
        }
        let number = self.held.len() as u32;
        self.held.push(output);
        self.held_bytes = bytes;
        Ok(number)
    }

    fn held(&self, number: u32) -> Result<Bytes> {
        let held = usize::try_from(number)
            .ok()
            .and_then(|at| self.held.get(at));
        held.cloned().ok_or_else(|| {
            Error::invalid_argument(format!(
                "this request has left {} outputs with the host, and none of the number {number}",
                self.held.len()
            ))
        })
    }

    /// Puts a message together. Pieces of the request and outputs are shared; empty ones are left
    /// out. `limit` is for all bytes together.
    pub(crate) fn assemble(&self, chunks: Vec<ChunkIn>, limit: usize) -> Result<Assembled> {
        if chunks.len() > MAX_CHUNKS {
            return Err(Error::invalid_argument(format!(
                "a message may have {MAX_CHUNKS} pieces, got {}",
                chunks.len()
            )));
        }
        let mut assembled = Assembled::default();
        for chunk in chunks {
            let bytes = match chunk {
                ChunkIn::Bytes(bytes) => {
                    assembled.copied += bytes.len();
                    bytes
                }
                ChunkIn::InMessage(range) => self.part(range)?,
                ChunkIn::Held(number) => self.held(number)?,
            };
            assembled.size = assembled.size.saturating_add(bytes.len());
            if !bytes.is_empty() {
                assembled.chunks.push(bytes);
            }
        }
        if assembled.size > limit {
            return Err(Error::resource_exhausted(format!(
                "the message has {} bytes, the server takes at most {limit}",
                assembled.size
            )));
        }
        Ok(assembled)
    }
}

/// The error for a run that would copy more out of the message than any may.
pub(crate) fn too_much_copied(limit: usize) -> Error {
    Error::resource_exhausted(format!(
        "the inputs of one run may take {limit} bytes of copies from its message"
    ))
}

/// A message that was put together.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub(crate) chunks: Vec<Bytes>,
    /// Bytes of the message.
    pub(crate) size: usize,
    /// Those that came out of the component.
    pub(crate) copied: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(offset: u64, length: u64) -> RangeIn {
        RangeIn { offset, length }
    }

    fn outside() -> Outside {
        Outside::of(Some(Bytes::from_static(b"0123456789")))
    }

    #[test]
    fn a_part_is_shared_and_lies_within_the_message() {
        let outside = outside();
        let part = outside.part(range(2, 3)).unwrap();
        assert_eq!(part, "234");
        assert_eq!(part.as_ptr(), outside.message().unwrap()[2..].as_ptr());
        assert_eq!(outside.part(range(10, 0)).unwrap(), "");
        for (offset, length) in [
            (0, 11),
            (10, 1),
            (11, 0),
            (u64::MAX, 1),
            (1, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let error = outside.part(range(offset, length)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::OutOfRange);
            assert_eq!(
                error.message(),
                format!("the message has 10 bytes, and no {length} bytes from {offset}")
            );
        }
        let none = Outside::of(None).part(range(0, 0)).unwrap_err();
        assert_eq!(none.code(), ErrorCode::FailedPrecondition);
    }

    #[test]
    fn parts_are_gathered_up_to_a_limit() {
        let outside = outside();
        let ranges = [range(8, 2), range(0, 0), range(0, 1)];
        let copied = Counter::default();
        let (offsets, bytes) = outside.gather(&ranges, 3, &copied).unwrap();
        assert_eq!(offsets, [0, 2, 2, 3]);
        assert_eq!(bytes, "890");
        assert_eq!(outside.gather(&[], 0, &copied).unwrap().0, [0]);
        let error = outside.gather(&ranges, 2, &copied).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ResourceExhausted);
        let beyond = [range(0, 1), range(10, 1)];
        assert!(outside.gather(&beyond, 99, &copied).is_err());
        assert_eq!(copied.get(), 3);
    }

    #[test]
    fn outputs_are_held_up_to_a_limit_and_found_by_number_alone() {
        let mut outside = outside();
        assert_eq!(outside.hold(Bytes::from_static(b"ab"), 5).unwrap(), 0);
        assert_eq!(outside.hold(Bytes::from_static(b"cde"), 5).unwrap(), 1);
        assert!(outside.hold(Bytes::from_static(b"f"), 5).is_err());
        assert_eq!(outside.held(1).unwrap(), "cde");
        assert_eq!(
            outside.held(2).unwrap_err().message(),
            "this request has left 2 outputs with the host, and none of the number 2"
        );
        for _ in 2..MAX_HELD {
            outside.hold(Bytes::new(), 5).unwrap();
        }
        assert!(outside.hold(Bytes::new(), 5).is_err());
    }

    #[test]
    fn a_message_is_put_together_of_what_is_there() {
        let mut outside = outside();
        let output = Bytes::from_static(b"output");
        let number = outside.hold(output.clone(), 100).unwrap();
        let chunks = || {
            vec![
                ChunkIn::Bytes(Bytes::from_static(b"tag")),
                ChunkIn::Held(number),
                ChunkIn::Bytes(Bytes::new()),
                ChunkIn::InMessage(range(1, 2)),
            ]
        };
        let assembled = outside.assemble(chunks(), 11).unwrap();
        assert_eq!(assembled.chunks, ["tag", "output", "12"]);
        assert_eq!(assembled.chunks[1].as_ptr(), output.as_ptr());
        assert_eq!((assembled.size, assembled.copied), (11, 3));
        let error = outside.assemble(chunks(), 10).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ResourceExhausted);
        assert!(outside.assemble(Vec::new(), 0).unwrap().chunks.is_empty());
        let many = (0..=MAX_CHUNKS).map(|_| ChunkIn::Held(0)).collect();
        assert!(outside.assemble(many, usize::MAX).is_err());
    }
}
