//! `InferTensorContents`: elements in the protobuf field of their datatype.
//!
//! Packed floats and doubles lie in the message as a model takes them, and stay there; so do
//! strings. Integers are varints, and are decoded.

use tensorgate_types::{DType, Error, Result};

use super::datatype;
use super::raw::{Data, elements, wrong_count};
use crate::grpc::source::Source;
use crate::grpc::wire::{Cursor, Decoded, Fault, Value, varint};
use crate::inference::Range;
use crate::services::Message;

const NAMES: [&str; 8] = [
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
];
const BYTES: u32 = 8;

/// The field of a datatype; none for those that are sent raw only.
fn field_of(dtype: DType) -> Option<u32> {
    Some(match dtype {
        DType::BOOL => 1,
        DType::INT8 | DType::INT16 | DType::INT32 => 2,
        DType::INT64 => 3,
        DType::UINT8 | DType::UINT16 | DType::UINT32 => 4,
        DType::UINT64 => 5,
        DType::FLOAT => 6,
        DType::DOUBLE => 7,
        DType::STRING => BYTES,
        _ => return None,
    })
}

fn name(field: u32) -> &'static str {
    NAMES.get(field as usize - 1).copied().unwrap_or("nothing")
}

/// Values of a field that lie behind one another.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Whether there are no tags between them.
    packed: bool,
    place: Cursor,
}

/// The contents of one input, before anything is decoded.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The message; several pieces of it add up.
    pieces: Vec<Cursor>,
}

impl Contents {
    /// Adds a piece of the message.
    pub(super) fn add(
        &mut self,
        piece: Cursor,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<()> {
        source.take(size_of::<Cursor>() as u64)?;
        self.pieces.push(piece);
        Ok(())
    }

    /// Whether the client has sent contents at all.
    pub(super) fn is_there(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Decodes the elements. The outer errors are those of the whole message.
    pub(super) fn decode(
        &self,
        (input, dtype, shape): (&str, DType, &[i64]),
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Result<Data>> {
        let Some(field) = field_of(dtype) else {
            return Ok(Err(Error::invalid_argument(format!(
                "the input '{input}' of the datatype {} has no contents: it is sent in \
                 raw_input_contents",
                datatype::shown(dtype)
            ))));
        };
        let mut found = Found::default();
        for piece in &self.pieces {
            if let Some(other) = found.collect(*piece, field, source)? {
                return Ok(Err(Error::invalid_argument(format!(
                    "the input '{input}' of the datatype {} has {}: expected {}",
                    datatype::shown(dtype),
                    name(other),
                    name(field)
                ))));
            }
        }
        let expected = match elements(input, shape) {
            Ok(expected) => expected,
            Err(error) => return Ok(Err(error)),
        };
        let wrong = |count: u64| Ok(Err(wrong_count(input, shape, expected, count)));
        if field == BYTES {
            let count = found.strings.len() as u64;
            if count != expected {
                return wrong(count);
            }
            return Ok(Ok(Data::Strings(found.strings)));
        }
        if let (Some(size), [part]) = (fixed_size(field), &*found.parts)
            && part.packed
        {
            if expected.checked_mul(size) != Some(part.place.length()) {
                return wrong(part.place.length() / size);
            }
            return Ok(Ok(Data::InMessage(part.place.into())));
        }
        let mut numbers = Numbers {
            dtype,
            width: dtype.size().unwrap_or(1),
            expected,
            out: Vec::new(),
            count: 0,
            misfit: None,
        };
        for part in &found.parts {
            numbers.read(field, *part, source)?;
        }
        if let Some(value) = numbers.misfit {
            return Ok(Err(Error::invalid_argument(format!(
                "the input '{input}' has the element {value} in {}, which is no {}",
                name(field),
                datatype::shown(dtype)
            ))));
        }
        if numbers.count != expected {
            return wrong(numbers.count);
        }
        Ok(Ok(Data::Made(numbers.out)))
    }
}

/// Bytes of each value on the wire, where it is no varint.
fn fixed_size(field: u32) -> Option<u64> {
    match field {
        6 => Some(4),
        7 => Some(8),
        _ => None,
    }
}

#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    strings: Vec<Range>,
}

impl Found {
    /// Finds the values of `field`. Returns another field that has some.
    fn collect(
        &mut self,
        mut piece: Cursor,
        field: u32,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<Option<u32>> {
        while let Some((at, number, value)) = piece.next_at(source)? {
            if !(1..=BYTES).contains(&number) {
                continue;
            }
            if number != field {
                // An empty packed field says nothing.
                let says_nothing =
                    matches!(value, Value::Part(part) if part.length() == 0 && number != BYTES);
                if says_nothing {
                    continue;
                }
                return Ok(Some(number));
            }
            match value {
                Value::Part(string) if field == BYTES => {
                    source.take(size_of::<Range>() as u64)?;
                    self.strings.push(string.into());
                }
                Value::Part(place) => {
                    let size = fixed_size(field).unwrap_or(1);
                    if !place.length().is_multiple_of(size) {
                        let at = place.position;
                        return Err(Fault::Malformed("packed numbers are cut off", at));
                    }
                    if place.length() > 0 {
                        self.push(
                            Part {
                                packed: true,
                                place,
                            },
                            source,
                        )?;
                    }
                }
                Value::Varint(_) | Value::Bits32 | Value::Bits64 => {
                    let fits = match fixed_size(field) {
                        _ if field == BYTES => false,
                        None => matches!(value, Value::Varint(_)),
                        Some(4) => matches!(value, Value::Bits32),
                        Some(_) => matches!(value, Value::Bits64),
                    };
                    if fits {
                        let place = Cursor {
                            position: at,
                            end: piece.position,
                        };
                        self.unpacked(place, source)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// A run of unpacked values would otherwise become a list much larger than itself.
    fn unpacked(&mut self, place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        if let Some(last) = self.parts.last_mut()
            && !last.packed
            && last.place.end == place.position
        {
            last.place.end = place.end;
            return Ok(());
        }
        self.push(
            Part {
                packed: false,
                place,
            },
            source,
        )
    }

    fn push(&mut self, part: Part, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        source.take(size_of::<Part>() as u64)?;
        self.parts.push(part);
        Ok(())
    }
}

/// Numbers as a model takes them, being decoded.
struct Numbers {
    dtype: DType,
    width: usize,
    /// How many are kept; the others are only counted.
    expected: u64,
    out: Vec<u8>,
    count: u64,
    /// The first that does not fit the type.
    misfit: Option<i128>,
}

impl Numbers {
    fn read(
        &mut self,
        field: u32,
        part: Part,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<()> {
        let mut rest = part.place;
        // Each value has a byte at least, so that what is allocated was sent.
        let left = self.expected.saturating_sub(self.count);
        source.take(left.min(rest.length()).saturating_mul(self.width as u64))?;
        if let Some(size) = fixed_size(field) {
            while rest.position < rest.end {
                if !part.packed {
                    rest.varint(source)?;
                }
                let value = rest.skip(size)?;
                if self.count < self.expected {
                    source.append(value.into(), &mut self.out)?;
                }
                self.count += 1;
            }
            return Ok(());
        }
        if !part.packed {
            while rest.position < rest.end {
                rest.varint(source)?;
                let value = rest.varint(source)?;
                self.push(value);
            }
            return Ok(());
        }
        while rest.position < rest.end {
            let bytes = source.peek(rest.position, rest.end, 10)?;
            let at_end = bytes.len() as u64 == rest.length();
            let mut used = 0;
            // Ten bytes are enough for any number: only the end of a window needs care.
            while used < bytes.len() && (at_end || bytes.len() - used >= 10) {
                let Some((value, length)) = varint(&bytes[used..]) else {
                    let at = rest.position + used as u64;
                    return Err(Fault::Malformed("a packed number is cut off", at));
                };
                used += length;
                self.push(value);
            }
            rest.position += used as u64;
        }
        Ok(())
    }

    fn push(&mut self, value: u64) {
        self.count += 1;
        if self.count > self.expected {
            return;
        }
        let value = match self.dtype {
            DType::BOOL => u64::from(value != 0),
            _ => value,
        };
        // As protobuf reads the fields of 32 bits: the lower half counts.
        let (fits, shown) = match self.dtype {
            DType::INT8 => fits::<i8>(i128::from(value as i32)),
            DType::INT16 => fits::<i16>(i128::from(value as i32)),
            DType::UINT8 => fits::<u8>(i128::from(value as u32)),
            DType::UINT16 => fits::<u16>(i128::from(value as u32)),
            _ => (true, 0),
        };
        if !fits {
            self.misfit.get_or_insert(shown);
        }
        self.out
            .extend_from_slice(&value.to_le_bytes()[..self.width]);
    }
}

fn fits<T: TryFrom<i128>>(value: i128) -> (bool, i128) {
    (T::try_from(value).is_ok(), value)
}
