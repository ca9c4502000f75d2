//! Answers on the wire: bytes that are made here, and between them what stays with the host.
//!
//! Fields stand in the order of their numbers, as protobuf writes them.

use tensorgate_types::{DType, Error, Result, StringData, element_count};

use crate::inference::{Output, OutputData};
use crate::services::Chunk;

/// Outputs of so many bytes stay with the host where they can be sent as they are. A copy into
/// the sandbox and out again costs microseconds for less.
pub(crate) const HOLD_FROM: u64 = 64 << 10;

/// A buffer of this size is handed on by itself; a smaller one is copied behind what is there.
const OWN_CHUNK: usize = 16 << 10;

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    done: Vec<Chunk>,
    bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds elements: small ones to the bytes that are there, large ones as they are.
    pub(crate) fn push(&mut self, body: Body) {
        match body {
            Body::Bytes(bytes) if bytes.len() < OWN_CHUNK => self.bytes.extend(bytes),
            Body::Bytes(bytes) => self.chunk(Chunk::Bytes(bytes)),
            Body::Held { id, .. } => self.chunk(Chunk::Held(id)),
        }
    }

    fn chunk(&mut self, chunk: Chunk) {
        if !self.bytes.is_empty() {
            self.done
                .push(Chunk::Bytes(std::mem::take(&mut self.bytes)));
        }
        self.done.push(chunk);
    }

    /// A content type and the bytes of a body, in the field `number`.
    pub(crate) fn body_field(&mut self, number: u32, content_type: &str, bytes: Vec<u8>) {
        let mut head = Vec::new();
        put_text(&mut head, 1, content_type);
        put_length(&mut head, 2, bytes.len() as u64);
        put_length(&mut self.bytes, number, (head.len() + bytes.len()) as u64);
        self.bytes.extend(head);
        self.push(Body::Bytes(bytes));
    }

    pub(crate) fn finish(mut self) -> Vec<Chunk> {
        if !self.bytes.is_empty() {
            self.done.push(Chunk::Bytes(self.bytes));
        }
        self.done
    }

    /// An entry of a map from names to tensors, in the field `number`.
    pub(crate) fn tensor_entry(
        &mut self,
        number: u32,
        output: Output,
        as_content: bool,
    ) -> Result<()> {
        let (name, (head, body)) = (output.name.clone(), tensor(output, as_content)?);
        let tensor_length = head.len() as u64 + body.length();
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        put_length(&mut entry, 2, tensor_length);
        put_length(&mut self.bytes, number, entry.len() as u64 + tensor_length);
        self.bytes.extend(entry);
        self.bytes.extend(head);
        self.push(body);
        Ok(())
    }
}

/// The elements of a tensor, behind the fields that tell what they are.
pub(crate) enum Body {
    Bytes(Vec<u8>),
    Held { id: u32, length: u64 },
}

impl Body {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Held { length, .. } => *length,
        }
    }
}

/// Whether a typed field's bytes are the elements as they lie in memory.
pub(crate) fn is_raw(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::FLOAT | DType::DOUBLE | DType::COMPLEX64 | DType::COMPLEX128 | DType::BOOL
    )
}

/// The field that a type's elements go into, as TensorFlow chooses it.
fn field_of(dtype: DType) -> u32 {
    match dtype {
        DType::FLOAT => 5,
        DType::DOUBLE => 6,
        DType::STRING => 8,
        DType::COMPLEX64 => 9,
        DType::INT64 => 10,
        DType::BOOL => 11,
        DType::COMPLEX128 => 12,
        DType::HALF | DType::BFLOAT16 => 13,
        DType::UINT32 => 16,
        DType::UINT64 => 17,
        _ => 7,
    }
}

const TENSOR_CONTENT: u32 = 4;

/// A `TensorProto` in two pieces.
fn tensor(output: Output, as_content: bool) -> Result<(Vec<u8>, Body)> {
    let unfit = Error::internal(format!(
        "the data of output {} does not fit its type {} and shape {:?}",
        output.name, output.dtype, output.shape
    ));
    let (dtype, elements) = (output.dtype, element_count(&output.shape)?);
    let expected = dtype.size().and_then(|size| elements.checked_mul(size));
    let mut head = Vec::new();
    put_number(&mut head, 1, u64::from(dtype.number()));
    put_shape(&mut head, &output.shape);
    let body = match output.data {
        OutputData::Strings(strings) => {
            if dtype != DType::STRING || strings.len() != elements {
                return Err(unfit);
            }
            put_strings(&mut head, &strings, as_content);
            Body::Bytes(Vec::new())
        }
        OutputData::Fixed(bytes) => {
            if expected != Some(bytes.len()) {
                return Err(unfit);
            }
            if bytes.is_empty() {
                Body::Bytes(bytes)
            } else if as_content {
                put_length(&mut head, TENSOR_CONTENT, bytes.len() as u64);
                Body::Bytes(bytes)
            } else {
                let values = if is_raw(dtype) {
                    bytes
                } else {
                    varints(dtype, &bytes)
                };
                put_length(&mut head, field_of(dtype), values.len() as u64);
                Body::Bytes(values)
            }
        }
        OutputData::Held(id) => {
            let length = expected.ok_or(unfit)? as u64;
            // A type whose elements have to be encoded is not asked to stay with the host. Where
            // it does all the same, because the signature declares another type, its elements
            // can only be sent as they are.
            let as_content = as_content || !is_raw(dtype);
            let field = if as_content {
                TENSOR_CONTENT
            } else {
                field_of(dtype)
            };
            put_length(&mut head, field, length);
            Body::Held { id, length }
        }
    };
    Ok((head, body))
}

pub(crate) fn put_shape(out: &mut Vec<u8>, shape: &[i64]) {
    let mut dims = Vec::new();
    for dim in shape {
        let mut size = Vec::new();
        put_number(&mut size, 1, dim.cast_unsigned());
        put_bytes(&mut dims, 2, &size);
    }
    // Also when it is empty: a scalar has a shape.
    put_bytes(out, 2, &dims);
}

fn put_strings(out: &mut Vec<u8>, strings: &StringData, as_content: bool) {
    if !as_content {
        for string in strings.iter() {
            put_bytes(out, field_of(DType::STRING), string);
        }
        return;
    }
    let mut lengths = Vec::new();
    for string in strings.iter() {
        put_varint(&mut lengths, string.len() as u64);
    }
    let length = lengths.len() + strings.bytes().len();
    if length > 0 {
        put_length(out, TENSOR_CONTENT, length as u64);
        out.extend(lengths);
        out.extend_from_slice(strings.bytes());
    }
}

/// Integers, and the bits of small floats, as packed varints.
fn varints(dtype: DType, bytes: &[u8]) -> Vec<u8> {
    let size = dtype.size().unwrap_or(1);
    // Negative 32-bit numbers are sent as 64-bit ones.
    let is_signed = matches!(
        dtype,
        DType::INT8
            | DType::INT16
            | DType::INT32
            | DType::INT64
            | DType::QINT8
            | DType::QINT16
            | DType::QINT32
    );
    let unused = 64 - 8 * size as u32;
    let mut out = Vec::with_capacity(bytes.len());
    for element in bytes.chunks_exact(size) {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(element);
        let value = u64::from_le_bytes(wide);
        let value = if is_signed {
            ((value << unused).cast_signed() >> unused).cast_unsigned()
        } else {
            value
        };
        put_varint(&mut out, value);
    }
    out
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number, unless it is 0.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(number << 3));
        put_varint(out, value);
    }
}

/// A float, unless it is 0 (minus zero is not).
pub(crate) fn put_float(out: &mut Vec<u8>, number: u32, value: f32) {
    if value.to_bits() != 0 {
        put_varint(out, u64::from(number << 3 | 5));
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// The beginning of a field of so many bytes.
pub(crate) fn put_length(out: &mut Vec<u8>, number: u32, length: u64) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length);
}

/// A string, or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_length(out, number, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A string, unless it is empty.
pub(crate) fn put_text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, number, text.as_bytes());
    }
}

/// A `ModelSpec` that tells who answered, in the field `number`.
pub(crate) fn put_spec(out: &mut Vec<u8>, number: u32, name: &str, version: i64, signature: &str) {
    let mut wrapper = Vec::new();
    put_number(&mut wrapper, 1, version.cast_unsigned());
    let mut spec = Vec::new();
    put_text(&mut spec, 1, name);
    put_bytes(&mut spec, 2, &wrapper);
    put_text(&mut spec, 3, signature);
    put_bytes(out, number, &spec);
}
