//! A `TensorProto` before its elements are looked at: where they lie.
//!
//! Fields may come in any order, repeated fields packed, unpacked or both, and a message in
//! several pieces; what the elements are is known only at the end.

use tensorgate_types::DType;

use super::source::Source;
use super::wire::{Cursor, Decoded, Fault, Value};
use crate::inference::Range;
use crate::services::Message;

/// TensorFlow's limit for the number of dimensions.
const MAX_DIMENSIONS: usize = 254;

/// How the values of a repeated field lie on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Varint,
    Bits32,
    Bits64,
}

impl Coding {
    /// Of the fields of a tensor that hold numbers.
    pub(crate) fn of_field(number: u32) -> Option<Self> {
        match number {
            5 | 9 => Some(Self::Bits32),
            6 | 12 => Some(Self::Bits64),
            7 | 10 | 11 | 13 | 16 | 17 => Some(Self::Varint),
            _ => None,
        }
    }

    /// Bytes per value, where that is fixed.
    pub(crate) fn width(self) -> Option<u64> {
        match self {
            Self::Varint => None,
            Self::Bits32 => Some(4),
            Self::Bits64 => Some(8),
        }
    }
}

/// Values of one field that lie behind one another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) field: u32,
    /// Whether there are no tags between the values.
    pub(crate) packed: bool,
    pub(crate) place: Cursor,
}

/// A shape as it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    dims: Vec<i64>,
    has_too_many: bool,
}

impl Shape {
    fn merge(&mut self, mut place: Cursor, source: &mut Source<'_, impl Message>) -> Decoded<()> {
        while let Some((number, value)) = place.next(source)? {
            // Whether the rank is known (field 3) does not matter: TensorFlow takes the
            // dimensions that are there.
            let (2, Value::Part(mut dim)) = (number, value) else {
                continue;
            };
            let mut size = 0;
            while let Some((number, value)) = dim.next(source)? {
                match (number, value) {
                    (1, Value::Varint(value)) => size = value.cast_signed(),
                    (2, Value::Part(name)) => drop(name.string(source)?),
                    _ => {}
                }
            }
            if self.dims.len() < MAX_DIMENSIONS {
                self.dims.push(size);
            } else {
                self.has_too_many = true;
            }
        }
        Ok(())
    }

    /// The dimensions and the number of elements, if TensorFlow can have such a tensor.
    pub(crate) fn checked(&self) -> Option<(&[i64], u64)> {
        if self.has_too_many {
            return None;
        }
        // In this order, as TensorFlow multiplies: a zero at the end does not help.
        let elements = self.dims.iter().try_fold(1i64, |elements, dim| {
            elements.checked_mul(*dim).filter(|_| *dim >= 0)
        })?;
        Some((&self.dims, elements.cast_unsigned()))
    }
}

/// A `TensorProto`, its elements still in the message.
#[derive(Debug, Clone)]
pub(crate) struct TensorParts {
    pub(crate) dtype: i32,
    pub(crate) shape: Shape,
    /// `tensor_content`; empty when there is none.
    pub(crate) content: Cursor,
    /// `float8_val`; empty when there is none.
    pub(crate) float8: Cursor,
    pub(crate) numbers: Vec<Part>,
    pub(crate) strings: Vec<Range>,
}

const NOTHING: Cursor = Cursor {
    position: 0,
    end: 0,
};

impl Default for TensorParts {
    fn default() -> Self {
        Self {
            dtype: 0,
            shape: Shape::default(),
            content: NOTHING,
            float8: NOTHING,
            numbers: Vec::new(),
            strings: Vec::new(),
        }
    }
}

impl TensorParts {
    /// What it says of itself, for the words of an error.
    pub(crate) fn described(&self) -> String {
        let dtype = DType::from_number(self.dtype.try_into().unwrap_or_default());
        let shape = if self.shape.has_too_many {
            format!("more than {MAX_DIMENSIONS} dimensions")
        } else {
            format!("shape {:?}", self.shape.dims)
        };
        let elements = match (self.content.length(), self.strings.len()) {
            (0, 0) if self.numbers.is_empty() => "no elements".to_owned(),
            (0, 0) => "elements one by one".to_owned(),
            (0, strings) => format!("{strings} strings"),
            (bytes, _) => format!("{bytes} bytes of tensor_content"),
        };
        format!("{dtype}, {shape}, {elements}")
    }

    /// Adds a message to those that were read: the last of a single field wins, repeated ones
    /// add up.
    pub(crate) fn merge(
        &mut self,
        mut place: Cursor,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<()> {
        while let Some((at, number, value)) = place.next_at(source)? {
            match (number, value) {
                (1, Value::Varint(value)) => self.dtype = value as i32,
                (2, Value::Part(shape)) => self.shape.merge(shape, source)?,
                (4, Value::Part(content)) => self.content = content,
                (8, Value::Part(string)) => {
                    source.take(size_of::<Range>() as u64)?;
                    self.strings.push(string.into());
                }
                (18, Value::Part(bytes)) => self.float8 = bytes,
                _ => {
                    if let Some(coding) = Coding::of_field(number) {
                        let end = place.position;
                        let run = Cursor { position: at, end };
                        self.add_numbers(number, coding, value, run, source)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add_numbers(
        &mut self,
        field: u32,
        coding: Coding,
        value: Value,
        run: Cursor,
        source: &mut Source<'_, impl Message>,
    ) -> Decoded<()> {
        let (packed, place) = match (value, coding) {
            (Value::Part(place), _) => {
                let width = coding.width().unwrap_or(1);
                if !place.length().is_multiple_of(width) {
                    return Err(Fault::Malformed(
                        "packed numbers are cut off",
                        place.position,
                    ));
                }
                if place.length() == 0 {
                    return Ok(());
                }
                (true, place)
            }
            (Value::Varint(_), Coding::Varint)
            | (Value::Bits32, Coding::Bits32)
            | (Value::Bits64, Coding::Bits64) => (false, run),
            _ => return Ok(()),
        };
        // A message of unpacked numbers would otherwise become a list much larger than itself.
        if let Some(last) = self.numbers.last_mut()
            && !packed
            && !last.packed
            && last.field == field
            && last.place.end == place.position
        {
            last.place.end = place.end;
            return Ok(());
        }
        source.take(size_of::<Part>() as u64)?;
        self.numbers.push(Part {
            field,
            packed,
            place,
        });
        Ok(())
    }
}
