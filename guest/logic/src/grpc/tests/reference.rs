//! TensorFlow's rules for tensors once more, slowly and over protobuf's own decoder.

use tensorgate_proto::tensorflow::TensorProto;
use tensorgate_types::DType;

/// A tensor as it can be compared: type, shape, and one entry for numbers or one per string.
pub(super) type Plain = (u32, Vec<i64>, Vec<Vec<u8>>);

/// The tensor of a message, if TensorFlow could have it.
pub(super) fn decode(proto: &TensorProto) -> Option<Plain> {
    let number = u32::try_from(proto.dtype).ok().filter(|n| *n < 100)?;
    let dtype = DType::from_number(number);
    let size = dtype.size();
    if size.is_none() && dtype != DType::STRING {
        return None;
    }
    let dims = proto.tensor_shape.clone().unwrap_or_default().dim;
    let shape: Vec<i64> = dims.iter().map(|dim| dim.size).collect();
    if shape.len() > 254 || shape.iter().any(|dim| *dim < 0) {
        return None;
    }
    let mut elements: i64 = 1;
    for dim in &shape {
        elements = elements.checked_mul(*dim)?;
    }
    let elements = usize::try_from(elements).ok()?;
    let data = match size {
        None => strings(proto, elements)?,
        Some(size) if !proto.tensor_content.is_empty() && elements > 0 => {
            let content = &proto.tensor_content;
            let bools = dtype != DType::BOOL || content.iter().all(|byte| *byte <= 1);
            let fits = bools && Some(content.len()) == elements.checked_mul(size);
            fits.then(|| vec![proto.tensor_content.clone()])?
        }
        Some(size) => {
            let mut values = typed(dtype, size, proto);
            let zero = vec![0; size];
            let last = values.last().unwrap_or(&zero).clone();
            values.resize(elements, last);
            vec![values.concat()]
        }
    };
    Some((number, shape, data))
}

fn strings(proto: &TensorProto, elements: usize) -> Option<Vec<Vec<u8>>> {
    if proto.tensor_content.is_empty() || elements == 0 {
        let mut values = proto.string_val.clone();
        values.resize(elements, values.last().cloned().unwrap_or_default());
        return Some(values);
    }
    let mut rest = &*proto.tensor_content;
    let mut lengths = Vec::new();
    for _ in 0..elements {
        lengths.push(prost::encoding::decode_varint(&mut rest).ok()?);
    }
    let mut values = Vec::new();
    for length in lengths {
        let length = usize::try_from(length).ok()?;
        let (value, behind) = rest.split_at_checked(length)?;
        values.push(value.to_vec());
        rest = behind;
    }
    rest.is_empty().then_some(values)
}

/// The elements that were sent in the field of the type.
fn typed(dtype: DType, size: usize, proto: &TensorProto) -> Vec<Vec<u8>> {
    fn low<T: Copy>(values: &[T], size: usize, wide: impl Fn(T) -> u64) -> Vec<Vec<u8>> {
        values
            .iter()
            .map(|value| wide(*value).to_le_bytes()[..size].to_vec())
            .collect()
    }
    fn pairs(values: &[Vec<u8>]) -> Vec<Vec<u8>> {
        values.chunks_exact(2).map(<[_]>::concat).collect()
    }
    let bits = |values: &[f32]| low(values, 4, |value| u64::from(value.to_bits()));
    let wide_bits = |values: &[f64]| low(values, 8, f64::to_bits);
    match dtype.number() {
        1 => bits(&proto.float_val),
        2 => wide_bits(&proto.double_val),
        8 => pairs(&bits(&proto.scomplex_val)),
        9 => low(&proto.int64_val, 8, i64::cast_unsigned),
        10 => low(&proto.bool_val, 1, u64::from),
        14 | 19 => low(&proto.half_val, 2, |value| value as u64),
        18 => pairs(&wide_bits(&proto.dcomplex_val)),
        22 => low(&proto.uint32_val, 4, u64::from),
        23 => low(&proto.uint64_val, 8, |value| value),
        24..=28 => proto.float8_val.iter().map(|byte| vec![*byte]).collect(),
        _ => low(&proto.int_val, size, |value| value as u64),
    }
}
