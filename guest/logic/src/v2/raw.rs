//! Tensors as raw bytes, in a message and in an answer: elements of a fixed size as they lie in
//! memory, little-endian, and of BYTES each element behind its length in four bytes.

use tensorgate_types::{DType, Error, Result, StringData, element_count};

use super::datatype;
use crate::grpc::source::Source;
use crate::grpc::write::Body;
use crate::inference::{Input, InputData, Output, OutputData, Range};
use crate::request::Values;
use crate::services::Message;

/// An input.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) shape: Vec<i64>,
    pub(super) data: Data,
}

/// Its elements.
#[derive(Debug)]
pub(super) enum Data {
    /// Read from JSON.
    Values(Values),
    /// Decoded from a message.
    Made(Vec<u8>),
    /// As they lie in the message.
    InMessage(Range),
    /// BYTES, each a part of the message.
    Strings(Vec<Range>),
}

impl Tensor {
    pub(super) fn as_input(&self) -> Input<'_> {
        Input {
            name: &self.name,
            dtype: self.dtype,
            shape: &self.shape,
            data: match &self.data {
                Data::Values(values) => values.as_data(),
                Data::Made(bytes) => InputData::Fixed(bytes),
                Data::InMessage(range) => InputData::InMessage(*range),
                Data::Strings(ranges) => InputData::StringsInMessage(ranges),
            },
        }
    }
}

/// How many elements an input of this shape has.
pub(super) fn elements(name: &str, shape: &[i64]) -> Result<u64> {
    if shape.len() > super::MAX_DIMENSIONS {
        return Err(Error::invalid_argument(format!(
            "the input '{name}' has {} dimensions: at most {} are possible",
            shape.len(),
            super::MAX_DIMENSIONS
        )));
    }
    let count = element_count(shape).map_err(|error| {
        Error::invalid_argument(format!("the input '{name}': {}", error.message()))
    })?;
    Ok(count as u64)
}

/// What is said of an input that has another number of elements than its shape.
pub(super) fn wrong_count(
    name: &str,
    shape: &[i64],
    expected: u64,
    found: impl std::fmt::Display,
) -> Error {
    Error::invalid_argument(format!(
        "the input '{name}' has {found} elements where its shape {shape:?} has {expected}"
    ))
}

/// The elements of an input that lie in the message at `range`.
pub(super) fn in_message(
    (name, dtype, shape): (&str, DType, &[i64]),
    range: Range,
    source: &mut Source<'_, impl Message>,
) -> Result<Data> {
    let count = elements(name, shape)?;
    let Some(size) = dtype.size() else {
        return strings(name, shape, count, range, source).map(Data::Strings);
    };
    let expected = count.checked_mul(size as u64);
    if expected != Some(range.length) {
        return Err(Error::invalid_argument(format!(
            "the input '{name}' has {} bytes where its datatype {} and shape {shape:?} take {}",
            range.length,
            datatype::shown(dtype),
            expected.map_or_else(|| "more than there can be".to_owned(), |it| it.to_string()),
        )));
    }
    if dtype == DType::BOOL {
        check_bools(name, range, source)?;
    }
    Ok(Data::InMessage(range))
}

/// TensorFlow takes any other byte for neither.
fn check_bools(name: &str, range: Range, source: &mut Source<'_, impl Message>) -> Result<()> {
    let end = range.offset + range.length;
    let mut position = range.offset;
    while position < end {
        let bytes = source.peek(position, end, 1)?;
        if let Some(byte) = bytes.iter().find(|byte| **byte > 1) {
            return Err(Error::invalid_argument(format!(
                "the input '{name}' of the datatype BOOL has the byte {byte}: expected 0 or 1"
            )));
        }
        position += bytes.len() as u64;
    }
    Ok(())
}

fn strings(
    name: &str,
    shape: &[i64],
    count: u64,
    range: Range,
    source: &mut Source<'_, impl Message>,
) -> Result<Vec<Range>> {
    const LENGTH: u64 = 4;
    // Each has its length at least, so that what is allocated was sent.
    if count > range.length / LENGTH {
        return Err(Error::invalid_argument(format!(
            "the input '{name}' has {} bytes: too few for the {count} elements of its shape \
             {shape:?}, each behind its length in four bytes",
            range.length
        )));
    }
    source.take(count * size_of::<Range>() as u64)?;
    let mut strings = Vec::with_capacity(count as usize);
    let end = range.offset + range.length;
    let mut position = range.offset;
    for index in 0..count {
        let bytes = source.peek(position, end, LENGTH)?;
        let Some(length) = bytes.first_chunk::<4>() else {
            return Err(Error::invalid_argument(format!(
                "the input '{name}' of the datatype BYTES ends within the length of element {index}"
            )));
        };
        let length = u64::from(u32::from_le_bytes(*length));
        position += LENGTH;
        if length > end - position {
            return Err(Error::invalid_argument(format!(
                "the input '{name}' of the datatype BYTES says that element {index} has {length} \
                 bytes, and {} are left",
                end - position
            )));
        }
        strings.push(Range {
            offset: position,
            length,
        });
        position += length;
    }
    if position < end {
        return Err(Error::invalid_argument(format!(
            "the input '{name}' of the datatype BYTES has {} bytes behind the {count} elements of \
             its shape {shape:?}",
            end - position
        )));
    }
    Ok(strings)
}

/// The elements of an output as raw bytes.
pub(super) fn of_output(output: &mut Output) -> Result<Body> {
    let (dtype, count) = (output.dtype, element_count(&output.shape)?);
    let expected = dtype.size().and_then(|size| count.checked_mul(size));
    let data = std::mem::replace(&mut output.data, OutputData::Fixed(Vec::new()));
    match data {
        OutputData::Strings(strings) if dtype == DType::STRING && strings.len() == count => {
            serialize(&output.name, &strings).map(Body::Bytes)
        }
        OutputData::Fixed(bytes) if expected == Some(bytes.len()) => Ok(Body::Bytes(bytes)),
        OutputData::Held(id) if expected.is_some() => Ok(Body::Held {
            id,
            length: expected.unwrap_or_default() as u64,
        }),
        _ => Err(unfit(output)),
    }
}

/// Why an output cannot be sent.
pub(super) fn unfit(output: &Output) -> Error {
    Error::internal(format!(
        "the data of output {} does not fit its type {} and shape {:?}",
        output.name, output.dtype, output.shape
    ))
}

fn serialize(name: &str, strings: &StringData) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(strings.bytes().len() + 4 * strings.len());
    for string in strings.iter() {
        let length = u32::try_from(string.len()).map_err(|_| {
            Error::internal(format!(
                "an element of output {name} has {} bytes: the protocol can tell of {}",
                string.len(),
                u32::MAX
            ))
        })?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(string);
    }
    Ok(out)
}
