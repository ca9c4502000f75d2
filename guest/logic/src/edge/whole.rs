//! Bodies that are here as a whole, and answers that are put together here.

use tensorgate_types::{Error, ErrorCode, Result};

use crate::inference::Range;
use crate::services::{Chunk, MAX_READ, Message};

/// A message that is here as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a>(pub &'a [u8]);

impl<'a> Whole<'a> {
    /// A part of it, as it lies there.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` when it is shorter.
    pub fn part(&self, part: Range) -> Result<&'a [u8]> {
        let start = usize::try_from(part.offset).ok();
        let length = usize::try_from(part.length).ok();
        let end = start
            .zip(length)
            .and_then(|(start, length)| start.checked_add(length));
        let range = start.zip(end).map(|(start, end)| start..end);
        range.and_then(|range| self.0.get(range)).ok_or_else(|| {
            Error::new(
                ErrorCode::OutOfRange,
                format!(
                    "the message has {} bytes, and {} from {} on were asked for",
                    self.0.len(),
                    part.length,
                    part.offset
                ),
            )
        })
    }

    /// Puts an answer together that may have parts of this message in it.
    ///
    /// # Errors
    /// `INTERNAL` where it has parts that are nowhere.
    pub fn assemble(&self, chunks: Vec<Chunk>) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for chunk in chunks {
            match chunk {
                // The first of them, which is often the only one, is kept as it is.
                Chunk::Bytes(bytes) if all.is_empty() => all = bytes,
                Chunk::Bytes(bytes) => all.extend_from_slice(&bytes),
                Chunk::InMessage(part) => all.extend_from_slice(self.part(part)?),
                // An `Edge` gives everything that a model gave.
                Chunk::Held(number) => {
                    return Err(Error::internal(format!(
                        "the answer has the output {number} in it, which nobody holds"
                    )));
                }
            }
        }
        Ok(all)
    }
}

impl Message for Whole<'_> {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn head(&self) -> &[u8] {
        self.0
    }

    fn read(&self, part: Range) -> Result<Vec<u8>> {
        if part.length > MAX_READ {
            return Err(Error::invalid_argument(format!(
                "one read gives {MAX_READ} bytes at most, got {}",
                part.length
            )));
        }
        self.part(part).map(<[u8]>::to_vec)
    }
}
