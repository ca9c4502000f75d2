//! The elements of a `TensorProto`, by TensorFlow's rules.
//!
//! Nothing is copied that can stay in the message: `tensor_content`, packed floats and doubles,
//! and all strings are handed on as the parts that they are, whatever their size, since the host
//! has them already. Only integers, which have to be decoded, and what a shape asks for beyond the
//! values that were sent are made here.

use tensorgate_types::{DType, Error, Result};

use super::parts::{Coding, Part, TensorParts};
use super::source::Source;
use super::wire::{Cursor, Decoded, Fault, varint};
use crate::inference::{Input, InputData, Range};
use crate::services::Message;

/// A tensor as a model takes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: Data,
}

/// Its elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Made(Vec<u8>),
    InMessage(Range),
    Strings(Vec<Range>),
}

impl Tensor {
    pub(crate) fn as_input<'a>(&'a self, name: &'a str) -> Input<'a> {
        Input {
            name,
            dtype: self.dtype,
            shape: &self.shape,
            data: match &self.data {
                Data::Made(bytes) => InputData::Fixed(bytes),
                Data::InMessage(range) => InputData::InMessage(*range),
                Data::Strings(ranges) => InputData::StringsInMessage(ranges),
            },
        }
    }
}

/// Why there is no tensor, though the message can be read.
#[derive(Debug)]
pub(crate) enum Bad {
    /// It is none that TensorFlow could have.
    Tensor,
    /// It is too large.
    Size(Error),
}

impl Bad {
    pub(crate) fn into_error(self, alias: &str) -> Error {
        match self {
            Self::Tensor => Error::invalid_argument(format!("tensor parsing error: {alias}")),
            Self::Size(error) => Error::new(
                error.code(),
                format!("tensor parsing error: {alias}: {}", error.message()),
            ),
        }
    }
}

/// Where the elements of a type are.
struct Field {
    number: u32,
    coding: Coding,
    /// Values per element.
    values: u64,
}

fn field_of(dtype: DType) -> Field {
    let (number, values) = match dtype {
        DType::FLOAT => (5, 1),
        DType::DOUBLE => (6, 1),
        DType::COMPLEX64 => (9, 2),
        DType::INT64 => (10, 1),
        DType::BOOL => (11, 1),
        DType::COMPLEX128 => (12, 2),
        DType::HALF | DType::BFLOAT16 => (13, 1),
        DType::UINT32 => (16, 1),
        DType::UINT64 => (17, 1),
        _ => (7, 1),
    };
    Field {
        number,
        coding: Coding::of_field(number).unwrap_or(Coding::Varint),
        values,
    }
}

/// 8-bit floats have a field of bytes.
fn is_float8(dtype: DType) -> bool {
    (24..=28).contains(&dtype.number())
}

/// Decodes a tensor. Takes its strings out of `parts`, if it has some.
///
/// # Errors
/// The outer ones are those of the whole message, the inner ones those of this tensor.
pub(crate) fn decode(
    parts: &mut TensorParts,
    source: &mut Source<'_, impl Message>,
) -> Decoded<Result<Tensor, Bad>> {
    let used = kind_of(parts.dtype)
        .filter(|dtype| dtype.size().is_some() && !is_float8(*dtype))
        .map(|dtype| field_of(dtype).number);
    // Numbers that nobody wants must be numbers all the same.
    for part in &parts.numbers {
        if Some(part.field) != used || parts.content.length() > 0 {
            read_numbers(*part, 0, 1, &mut Vec::new(), source)?;
        }
    }
    let Some((dtype, (shape, elements))) = kind_of(parts.dtype).zip(parts.shape.checked()) else {
        return Ok(Err(Bad::Tensor));
    };
    let shape = shape.to_vec();
    // A tensor of nothing may have any content.
    let data = if parts.content.length() > 0 && elements > 0 {
        from_content(dtype, elements, parts.content, source)?
    } else if let Some(size) = dtype.size() {
        from_numbers(dtype, size as u64, elements, parts, source)?
    } else {
        fill_strings(std::mem::take(&mut parts.strings), elements, source)
    };
    Ok(data.map(|data| Tensor { dtype, shape, data }))
}

/// The type with this number, if a tensor that a client sends can have it.
fn kind_of(number: i32) -> Option<DType> {
    /// From here on types are references to variables.
    const REFERENCES: u32 = 100;
    let number = u32::try_from(number).ok().filter(|n| *n < REFERENCES)?;
    let dtype = DType::from_number(number);
    (dtype.size().is_some() || dtype == DType::STRING).then_some(dtype)
}

fn from_content(
    dtype: DType,
    elements: u64,
    content: Cursor,
    source: &mut Source<'_, impl Message>,
) -> Decoded<Result<Data, Bad>> {
    if let Some(size) = dtype.size() {
        let fits = elements.checked_mul(size as u64) == Some(content.length());
        // TensorFlow refuses bytes that are neither true nor false.
        let fits = fits && (dtype != DType::BOOL || all_bools(content, source)?);
        return Ok(if fits {
            Ok(Data::InMessage(content.into()))
        } else {
            Err(Bad::Tensor)
        });
    }
    // All lengths, then all strings. A length has at least a byte.
    if elements > content.length() {
        return Ok(Err(Bad::Tensor));
    }
    if let Err(error) = source.take(elements * size_of::<Range>() as u64) {
        return Ok(Err(Bad::Size(error)));
    }
    let mut rest = content;
    let mut lengths = Vec::with_capacity(elements as usize);
    for _ in 0..elements {
        match rest.varint(source) {
            Ok(length) => lengths.push(Range { offset: 0, length }),
            Err(Fault::Malformed(..)) => return Ok(Err(Bad::Tensor)),
            Err(fault) => return Err(fault),
        }
    }
    for string in &mut lengths {
        match rest.skip(string.length) {
            Ok(part) => *string = part.into(),
            Err(_) => return Ok(Err(Bad::Tensor)),
        }
    }
    Ok(if rest.length() == 0 {
        Ok(Data::Strings(lengths))
    } else {
        Err(Bad::Tensor)
    })
}

fn all_bools(content: Cursor, source: &mut Source<'_, impl Message>) -> Result<bool> {
    let mut position = content.position;
    while position < content.end {
        let bytes = source.peek(position, content.end, 1)?;
        if bytes.iter().any(|byte| *byte > 1) {
            return Ok(false);
        }
        position += bytes.len() as u64;
    }
    Ok(true)
}

fn fill_strings(
    mut strings: Vec<Range>,
    elements: u64,
    source: &mut Source<'_, impl Message>,
) -> Result<Data, Bad> {
    let more = elements.saturating_sub(strings.len() as u64);
    let last = strings.last().copied().unwrap_or(Range {
        offset: 0,
        length: 0,
    });
    // The host makes a string of each, so that repeating a long one costs more than it seems.
    let each = size_of::<Range>() as u64 + last.length;
    let memory = more.saturating_mul(each);
    source.take(memory).map_err(Bad::Size)?;
    // Within the budget, so within memory.
    strings.resize(elements as usize, last);
    Ok(Data::Strings(strings))
}

fn from_numbers(
    dtype: DType,
    size: u64,
    elements: u64,
    parts: &TensorParts,
    source: &mut Source<'_, impl Message>,
) -> Decoded<Result<Data, Bad>> {
    let field = field_of(dtype);
    let wanted = elements.saturating_mul(size);
    let float8 = Part {
        field: 18,
        packed: true,
        place: parts.float8,
    };
    let is_float8 = is_float8(dtype);
    let mut there: Vec<Part> = Vec::new();
    if is_float8 {
        there.push(float8);
    } else {
        let of_type = parts
            .numbers
            .iter()
            .filter(|part| part.field == field.number);
        there.extend(of_type);
    }
    let is_raw = is_float8 || field.coding.width().is_some();
    if let [part] = *there
        && is_raw
        && part.packed
        && elements > 0
        && part.place.length() >= wanted
    {
        return Ok(Ok(Data::InMessage(Range {
            offset: part.place.position,
            length: wanted,
        })));
    }
    if let Err(error) = source.take(wanted) {
        return Ok(Err(Bad::Size(error)));
    }
    let mut bytes = Vec::with_capacity(wanted as usize);
    for part in there {
        if is_float8 {
            let length = part.place.length().min(wanted);
            let place = Range {
                offset: part.place.position,
                length,
            };
            source.append(place, &mut bytes)?;
            continue;
        }
        // A complex element is two values of half its size.
        let values = elements.saturating_mul(field.values);
        let have = (bytes.len() as u64) * field.values / size;
        let width = (size / field.values) as usize;
        read_numbers(part, values.saturating_sub(have), width, &mut bytes, source)?;
    }
    fill(&mut bytes, size as usize, wanted as usize);
    Ok(Ok(Data::Made(bytes)))
}

/// Cuts an incomplete element off, and repeats the last one (or zero) up to `wanted` bytes.
fn fill(bytes: &mut Vec<u8>, size: usize, wanted: usize) {
    bytes.truncate(bytes.len() / size * size);
    if bytes.is_empty() {
        bytes.resize(wanted, 0);
    }
    let last = bytes.len().saturating_sub(size);
    while bytes.len() < wanted {
        // What lies behind `last` is copies of one element: twice as many each time.
        let more = (bytes.len() - last).min(wanted - bytes.len());
        bytes.extend_from_within(last..last + more);
    }
}

/// Adds the first `limit` values of a part to `out`, `width` bytes of each; the others are only
/// checked.
fn read_numbers(
    part: Part,
    limit: u64,
    width: usize,
    out: &mut Vec<u8>,
    source: &mut Source<'_, impl Message>,
) -> Decoded<()> {
    let coding = Coding::of_field(part.field).unwrap_or(Coding::Varint);
    let is_bool = part.field == 11;
    let mut rest = part.place;
    let mut left = limit;
    if !part.packed {
        // Every value of a run has been read once, with its tag, when the parts were found.
        while left > 0 && rest.position < rest.end {
            rest.varint(source)?;
            match coding.width() {
                None => {
                    let value = rest.varint(source)?;
                    push(value, is_bool, width, out);
                }
                Some(bytes) => source.append(rest.skip(bytes)?.into(), out)?,
            }
            left -= 1;
        }
        return Ok(());
    }
    if let Some(bytes) = coding.width() {
        let length = rest.length().min(left.saturating_mul(bytes));
        let place = rest.skip(length)?;
        return Ok(source.append(place.into(), out)?);
    }
    while rest.position < rest.end {
        let bytes = source.peek(rest.position, rest.end, 10)?;
        let at_end = bytes.len() as u64 == rest.length();
        let mut used = 0;
        // Ten bytes are enough for any number, so that only the end of a window needs care.
        while used < bytes.len() && (at_end || bytes.len() - used >= 10) {
            let Some((value, length)) = varint(&bytes[used..]) else {
                let at = rest.position + used as u64;
                return Err(Fault::Malformed("a packed number is cut off", at));
            };
            used += length;
            if left > 0 {
                push(value, is_bool, width, out);
                left -= 1;
            }
        }
        rest.position += used as u64;
    }
    Ok(())
}

fn push(value: u64, is_bool: bool, width: usize, out: &mut Vec<u8>) {
    if is_bool {
        out.push(u8::from(value != 0));
    } else {
        out.extend_from_slice(&value.to_le_bytes()[..width]);
    }
}
