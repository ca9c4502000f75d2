//! From a `TensorProto` in a model's file to a tensor, by TensorFlow's own rules.
//!
//! The elements are either `tensor_content`, as they lie in memory, or in the list of their type:
//! a list that is too short goes on with its last element, one that is empty is all zeros, and
//! what is too much is ignored. A list of another type counts as empty.
//!
//! **Invariant:** a value of more than [`MAX_BYTES`] is an error, however few bytes it was written
//! in.

use bytes::Bytes;
use tensorgate_proto::tensorflow as proto;
use tensorgate_types::{AlignedBuffer, DType, Error, Result, StringData, Tensor, element_count};

/// A default is a flag, a threshold, at most a table; and it is kept for as long as the model.
const MAX_BYTES: usize = 256 << 20;

/// The tensor in `message`.
///
/// # Errors
/// `INVALID_ARGUMENT`, saying what is wrong with it.
pub(crate) fn decode(message: &proto::TensorProto) -> Result<Tensor> {
    let dtype = u32::try_from(message.dtype).map_or(DType::INVALID, DType::from_number);
    if !dtype.is_servable() {
        return Err(Error::invalid_argument(format!(
            "it is of type {dtype}, which cannot be fed"
        )));
    }
    // To TensorFlow, a shape of unknown rank is that of a scalar here.
    let shape: Vec<i64> = message
        .tensor_shape
        .iter()
        .filter(|shape| !shape.unknown_rank)
        .flat_map(|shape| shape.dim.iter().map(|dim| dim.size))
        .collect();
    let count = element_count(&shape)?;
    match dtype.size() {
        None => Tensor::strings(shape, strings(message, count)?),
        Some(size) => {
            let expected = count
                .checked_mul(size)
                .filter(|bytes| *bytes <= MAX_BYTES)
                .ok_or_else(|| too_large(&shape))?;
            let content = &message.tensor_content;
            let bytes = if content.is_empty() {
                AlignedBuffer::copy_of(&typed(message, dtype, size, expected)).into_bytes()
            } else if content.len() == expected {
                AlignedBuffer::copy_of(content).into_bytes()
            } else {
                return Err(Error::invalid_argument(format!(
                    "its content is {} bytes long; {dtype} of shape {shape:?} needs {expected}",
                    content.len()
                )));
            };
            if dtype == DType::BOOL && bytes.iter().any(|byte| *byte > 1) {
                return Err(Error::invalid_argument(
                    "its content has a bool that is neither 0 nor 1",
                ));
            }
            Tensor::fixed(dtype, shape, bytes)
        }
    }
}

fn too_large(shape: &[i64]) -> Error {
    Error::invalid_argument(format!(
        "shape {shape:?} is too large: more than {} MiB",
        MAX_BYTES >> 20
    ))
}

/// The elements of the list that belongs to the type, as bytes, filled up to `expected`.
fn typed(message: &proto::TensorProto, dtype: DType, size: usize, expected: usize) -> Vec<u8> {
    /// Truncates as TensorFlow does: `size` of the low bytes.
    fn low<const N: usize>(values: &[[u8; N]], size: usize) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| &value[..size])
            .copied()
            .collect()
    }
    fn bytes_of<T: Copy, const N: usize>(values: &[T], bytes: fn(T) -> [u8; N]) -> Vec<[u8; N]> {
        values.iter().map(|value| bytes(*value)).collect()
    }
    let mut bytes = match dtype {
        DType::FLOAT => low(&bytes_of(&message.float_val, f32::to_le_bytes), size),
        DType::DOUBLE => low(&bytes_of(&message.double_val, f64::to_le_bytes), size),
        DType::COMPLEX64 => low(&bytes_of(&message.scomplex_val, f32::to_le_bytes), 4),
        DType::COMPLEX128 => low(&bytes_of(&message.dcomplex_val, f64::to_le_bytes), 8),
        DType::INT64 => low(&bytes_of(&message.int64_val, i64::to_le_bytes), size),
        DType::UINT32 => low(&bytes_of(&message.uint32_val, u32::to_le_bytes), size),
        DType::UINT64 => low(&bytes_of(&message.uint64_val, u64::to_le_bytes), size),
        DType::BOOL => message
            .bool_val
            .iter()
            .map(|value| u8::from(*value))
            .collect(),
        DType::HALF | DType::BFLOAT16 => low(&bytes_of(&message.half_val, i32::to_le_bytes), size),
        // The other integers, quantised ones too.
        _ => low(&bytes_of(&message.int_val, i32::to_le_bytes), size),
    };
    // Half a complex number is none.
    bytes.truncate(expected.min(bytes.len() - bytes.len() % size));
    let last = bytes.len().checked_sub(size).map(|at| bytes[at..].to_vec());
    match last {
        None => bytes.resize(expected, 0),
        Some(last) => {
            let missing = (expected - bytes.len()) / size;
            bytes.extend(last.repeat(missing));
        }
    }
    bytes
}

fn strings(message: &proto::TensorProto, count: usize) -> Result<StringData> {
    if !message.tensor_content.is_empty() {
        return string_content(&message.tensor_content, count);
    }
    let given = &message.string_val[..count.min(message.string_val.len())];
    let last = given.last().map_or(&[][..], Vec::as_slice);
    let missing = count - given.len();
    let total = given.iter().map(Vec::len).sum::<usize>();
    let filled = missing.checked_mul(last.len()).map(|more| more + total);
    // Each string costs an offset too.
    if filled.is_none_or(|total| total > MAX_BYTES) || count > MAX_BYTES / size_of::<u64>() {
        return Err(Error::invalid_argument(format!(
            "{count} strings are too large: more than {} MiB",
            MAX_BYTES >> 20
        )));
    }
    let given = given.iter().map(Vec::as_slice);
    Ok(given.chain(std::iter::repeat_n(last, missing)).collect())
}

/// As many lengths as there are strings, then the strings.
fn string_content(content: &[u8], count: usize) -> Result<StringData> {
    let wrong = || Error::invalid_argument(format!("its content is not that of {count} strings"));
    // A length takes a byte at least.
    if count > content.len() {
        return Err(wrong());
    }
    let mut rest = content;
    let mut offsets = Vec::with_capacity(count + 1);
    let mut end = 0u64;
    offsets.push(end);
    for _string in 0..count {
        let length = prost::encoding::decode_varint(&mut rest).map_err(|_error| wrong())?;
        end = end.checked_add(length).ok_or_else(wrong)?;
        offsets.push(end);
    }
    if end != rest.len() as u64 {
        return Err(wrong());
    }
    StringData::new(offsets, Bytes::copy_from_slice(rest))
}

#[cfg(test)]
mod tests {
    use tensorgate_types::TensorData;

    use super::*;

    fn message(dtype: DType, shape: &[i64]) -> proto::TensorProto {
        let dim = |size: &i64| proto::tensor_shape_proto::Dim {
            size: *size,
            name: String::new(),
        };
        proto::TensorProto {
            dtype: i32::try_from(dtype.number()).unwrap(),
            tensor_shape: Some(proto::TensorShapeProto {
                dim: shape.iter().map(dim).collect(),
                unknown_rank: false,
            }),
            ..Default::default()
        }
    }

    fn bytes(message: &proto::TensorProto) -> Vec<u8> {
        match decode(message).unwrap().data() {
            TensorData::Fixed(bytes) => bytes.to_vec(),
            TensorData::Strings(_) => panic!("strings"),
        }
    }

    fn texts(message: &proto::TensorProto) -> Vec<Vec<u8>> {
        match decode(message).unwrap().data() {
            TensorData::Strings(strings) => strings.iter().map(<[u8]>::to_vec).collect(),
            TensorData::Fixed(_) => panic!("numbers"),
        }
    }

    fn refused(message: &proto::TensorProto) -> String {
        decode(message).unwrap_err().message().to_owned()
    }

    #[test]
    fn every_type_has_its_list_and_a_short_one_goes_on_with_its_last_element() {
        let everything = |dtype| proto::TensorProto {
            float_val: vec![1.5, 2.5],
            double_val: vec![1.25, 2.25],
            // 300 does not fit a byte, and is truncated as TensorFlow does.
            int_val: vec![300, -1],
            scomplex_val: vec![1.0, 2.0, 3.0, 4.0, 9.0],
            int64_val: vec![-5, i64::MIN],
            bool_val: vec![false, true],
            dcomplex_val: vec![1.0, 2.0, 3.0, 4.0],
            half_val: vec![0x3c00, 0x4000],
            uint32_val: vec![7, u32::MAX],
            uint64_val: vec![7, u64::MAX],
            ..message(dtype, &[3])
        };
        let le = |values: &[&[u8]]| values.concat();
        let two = |first: &[u8], last: &[u8]| le(&[first, last, last]);
        let float = |value: f32| value.to_le_bytes().to_vec();
        let double = |value: f64| value.to_le_bytes().to_vec();
        let table = [
            (DType::FLOAT, two(&float(1.5), &float(2.5))),
            (DType::DOUBLE, two(&double(1.25), &double(2.25))),
            (DType::INT32, two(&300i32.to_le_bytes(), &[0xff; 4])),
            (DType::QINT32, two(&300i32.to_le_bytes(), &[0xff; 4])),
            (DType::INT16, two(&[44, 1], &[0xff; 2])),
            (DType::UINT16, two(&[44, 1], &[0xff; 2])),
            (DType::QINT16, two(&[44, 1], &[0xff; 2])),
            (DType::QUINT16, two(&[44, 1], &[0xff; 2])),
            (DType::INT8, two(&[44], &[0xff])),
            (DType::UINT8, two(&[44], &[0xff])),
            (DType::QINT8, two(&[44], &[0xff])),
            (DType::QUINT8, two(&[44], &[0xff])),
            (
                DType::INT64,
                two(&(-5i64).to_le_bytes(), &i64::MIN.to_le_bytes()),
            ),
            (DType::UINT32, two(&7u32.to_le_bytes(), &[0xff; 4])),
            (DType::UINT64, two(&7u64.to_le_bytes(), &[0xff; 8])),
            (DType::BOOL, vec![0, 1, 1]),
            (DType::HALF, two(&[0, 0x3c], &[0, 0x40])),
            (DType::BFLOAT16, two(&[0, 0x3c], &[0, 0x40])),
            (
                DType::COMPLEX64,
                two(
                    &[float(1.0), float(2.0)].concat(),
                    &[float(3.0), float(4.0)].concat(),
                ),
            ),
            (
                DType::COMPLEX128,
                two(
                    &[double(1.0), double(2.0)].concat(),
                    &[double(3.0), double(4.0)].concat(),
                ),
            ),
        ];
        for (dtype, expected) in table {
            assert_eq!(bytes(&everything(dtype)), expected, "{dtype}");
            // As it lies in memory, it wins.
            let content = proto::TensorProto {
                tensor_content: vec![1; expected.len()],
                ..everything(dtype)
            };
            assert_eq!(bytes(&content), vec![1; expected.len()], "{dtype}");
            // None at all is zeros.
            assert_eq!(
                bytes(&message(dtype, &[3])),
                vec![0; expected.len()],
                "{dtype}"
            );
        }
    }

    #[test]
    fn what_is_too_much_is_ignored_and_a_missing_shape_is_a_scalar() {
        let many = proto::TensorProto {
            int_val: vec![1, 2, 3],
            ..message(DType::UINT8, &[2])
        };
        assert_eq!(bytes(&many), [1, 2]);
        let scalar = proto::TensorProto {
            tensor_shape: None,
            ..many.clone()
        };
        assert_eq!(decode(&scalar).unwrap().shape(), &[0i64; 0]);
        assert_eq!(bytes(&scalar), [1]);
        let mut unknown = many;
        unknown.tensor_shape.as_mut().unwrap().unknown_rank = true;
        assert_eq!(decode(&unknown).unwrap().shape(), &[0i64; 0]);
    }

    #[test]
    fn reference_types_are_their_base_type() {
        let reference = proto::TensorProto {
            dtype: 101,
            float_val: vec![2.0],
            ..message(DType::FLOAT, &[])
        };
        assert_eq!(decode(&reference).unwrap().dtype(), DType::FLOAT);
    }

    #[test]
    fn strings_are_a_list_or_lengths_and_bytes() {
        let list = proto::TensorProto {
            string_val: vec![b"a".to_vec(), b"\xffbc".to_vec()],
            ..message(DType::STRING, &[3])
        };
        assert_eq!(texts(&list), [&b"a"[..], b"\xffbc", b"\xffbc"]);
        assert_eq!(texts(&message(DType::STRING, &[2])), [b"", b""]);
        let content = proto::TensorProto {
            tensor_content: b"\x01\x00\x02abc".to_vec(),
            ..message(DType::STRING, &[3])
        };
        assert_eq!(texts(&content), [&b"a"[..], b"", b"bc"]);
        for wrong in [
            &b"\x01\x00\x03abc"[..],
            b"\x01\x00\x01abc",
            b"\x01",
            b"\xff\xff\xff",
        ] {
            let wrong = proto::TensorProto {
                tensor_content: wrong.to_vec(),
                ..message(DType::STRING, &[3])
            };
            assert_eq!(refused(&wrong), "its content is not that of 3 strings");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_its_reason() {
        let short = proto::TensorProto {
            tensor_content: vec![0; 7],
            ..message(DType::FLOAT, &[2])
        };
        assert_eq!(
            refused(&short),
            "its content is 7 bytes long; float of shape [2] needs 8"
        );
        let bools = proto::TensorProto {
            tensor_content: vec![2],
            ..message(DType::BOOL, &[])
        };
        assert_eq!(
            refused(&bools),
            "its content has a bool that is neither 0 nor 1"
        );
        assert_eq!(
            refused(&message(DType::VARIANT, &[])),
            "it is of type variant, which cannot be fed"
        );
        assert!(decode(&message(DType::FLOAT, &[-1])).is_err());
        let large = "shape [1073741824] is too large: more than 256 MiB";
        assert_eq!(refused(&message(DType::FLOAT, &[1 << 30])), large);
        assert!(
            refused(&message(DType::FLOAT, &[1 << 62, 1 << 62])).ends_with("too many elements")
        );
        assert_eq!(
            refused(&message(DType::STRING, &[1 << 40])),
            "1099511627776 strings are too large: more than 256 MiB"
        );
    }
}
