//! Protobuf's wire format: fields, one after another, of a part of the message.
//!
//! Fields are skipped where a reader of the original skips them: unknown numbers, and known ones
//! of another wire type.

use tensorgate_types::Error;

use super::source::Source;
use crate::inference::Range;
use crate::services::Message;

/// How deep groups may lie in one another: protobuf's own limit.
const MAX_DEPTH: usize = 100;

/// Why a message cannot be decoded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is no message of its type: what is wrong, and where.
    Malformed(&'static str, u64),
    /// Something else: too large, or the host does not give it.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Fault {
    /// The error of a call whose message, of the type `name`, cannot be decoded. The original
    /// ends such calls with `INTERNAL` and no words, as gRPC's libraries do.
    pub(crate) fn into_error(self, name: &str) -> Error {
        match self {
            Self::Malformed(what, at) => {
                Error::internal(format!("cannot parse {name}: {what} at byte {at}"))
            }
            Self::Other(error) => error,
        }
    }
}

pub(crate) type Decoded<T> = Result<T, Fault>;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    Varint(u64),
    Bits64,
    Bits32,
    Part(Cursor),
}

/// A place in a part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: u64,
    pub(crate) end: u64,
}

impl From<Cursor> for Range {
    fn from(cursor: Cursor) -> Self {
        Self {
            offset: cursor.position,
            length: cursor.length(),
        }
    }
}

impl Cursor {
    pub(crate) fn whole(source: &Source<'_, impl Message>) -> Self {
        Self {
            position: 0,
            end: source.length(),
        }
    }

    pub(crate) fn length(self) -> u64 {
        self.end - self.position
    }

    /// The next field that is no group: its number and what it holds.
    pub(crate) fn next(
        &mut self,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Option<(u32, Value)>> {
        let field = self.next_at(source)?;
        Ok(field.map(|(_, number, value)| (number, value)))
    }

    /// The next field, and where its tag begins (behind groups that were skipped).
    pub(crate) fn next_at(
        &mut self,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Option<(u64, u32, Value)>> {
        // The numbers of the groups that are open: they are skipped whole.
        let mut groups: Vec<u32> = Vec::new();
        while self.position < self.end {
            let at = self.position;
            let tag = self.varint(source)?;
            let Ok(tag) = u32::try_from(tag) else {
                return Err(Fault::Malformed("a field's tag is too large", at));
            };
            let number = tag >> 3;
            if number == 0 {
                return Err(Fault::Malformed("a field has the number 0", at));
            }
            let value = match tag & 7 {
                0 => Value::Varint(self.varint(source)?),
                1 => self.skip(8).map(|_| Value::Bits64)?,
                2 => {
                    let at = self.position;
                    let length = self.varint(source)?;
                    if length > i32::MAX as u64 {
                        return Err(Fault::Malformed("a field is too long", at));
                    }
                    Value::Part(self.skip(length)?)
                }
                3 if groups.len() < MAX_DEPTH => {
                    groups.push(number);
                    continue;
                }
                3 => return Err(Fault::Malformed("groups lie too deep", at)),
                4 if groups.pop() == Some(number) => continue,
                4 => return Err(Fault::Malformed("a group ends that did not begin", at)),
                5 => self.skip(4).map(|_| Value::Bits32)?,
                _ => return Err(Fault::Malformed("a field has no known wire type", at)),
            };
            if groups.is_empty() {
                return Ok(Some((at, number, value)));
            }
        }
        if groups.is_empty() {
            Ok(None)
        } else {
            Err(Fault::Malformed("a group does not end", self.end))
        }
    }

    pub(crate) fn varint(&mut self, source: &mut Source<'_, impl Message>) -> Decoded<u64> {
        let at = self.position;
        let bytes = source.peek(at, self.end, 10)?;
        match varint(bytes) {
            Some((value, length)) => {
                self.position += length as u64;
                Ok(value)
            }
            None if bytes.len() < 10 => Err(Fault::Malformed("a number is cut off", at)),
            None => Err(Fault::Malformed("a number is too long", at)),
        }
    }

    /// Goes over the next `length` bytes, and gives them.
    pub(crate) fn skip(&mut self, length: u64) -> Decoded<Self> {
        if length > self.length() {
            return Err(Fault::Malformed("a field is cut off", self.position));
        }
        let part = Self {
            position: self.position,
            end: self.position + length,
        };
        self.position = part.end;
        Ok(part)
    }

    /// The part as a string.
    pub(crate) fn string(self, source: &mut Source<'_, impl Message>) -> Decoded<String> {
        String::from_utf8(source.copy(self.into())?)
            .map_err(|_| Fault::Malformed("a string is not UTF-8", self.position))
    }
}

/// The number that `bytes` begin with, and how many bytes it has.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (index * 7);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}
