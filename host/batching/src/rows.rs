//! Joining inputs along the first dimension, and splitting outputs again.
//!
//! **Invariant:** the only bytes that are copied here are counted: inputs of joined requests,
//! their padding, and the outputs of a request that was itself split. Splitting never copies.

use bytes::Bytes;
use tensorgate_engine::NamedTensors;
use tensorgate_types::{
    AlignedBuffer, DType, Error, Result, StringData, StringDataBuilder, Tensor, TensorData,
    element_count,
};

use crate::key::inner;

/// Tensors of one name, one behind the other, `extra` times followed by the first row of the
/// last one. Inner shapes that differ are made equal where `padded` allows it. Adds what it copies
/// to `copied`.
pub(crate) fn join(
    parts: &[&Tensor],
    extra: usize,
    padded: bool,
    copied: &mut usize,
) -> Result<Tensor> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(Error::internal("a batch without members"));
    };
    let shape = longest(parts)?;
    let even: Vec<Tensor>;
    let mut evened: Vec<&Tensor> = parts.to_vec();
    if parts.iter().any(|part| inner(part) != shape) {
        if !padded {
            return Err(Error::internal(
                "Tensor concat operation failed: the shapes of the parts differ",
            ));
        }
        even = parts
            .iter()
            .map(|part| pad(part, &shape, copied))
            .collect::<Result<_>>()?;
        evened = even.iter().collect();
    }
    let row = if extra == 0 {
        None
    } else {
        Some(slice(evened.last().unwrap_or(last), 0, 1)?)
    };
    evened.extend(std::iter::repeat_n(row.as_ref(), extra).flatten());
    let rows: i64 = evened.iter().map(|part| part.shape()[0]).sum();
    let mut whole = Vec::with_capacity(shape.len() + 1);
    whole.push(rows);
    whole.extend_from_slice(&shape);
    concatenate(first.dtype(), whole, &evened, copied)
}

fn concatenate(
    dtype: DType,
    shape: Vec<i64>,
    parts: &[&Tensor],
    copied: &mut usize,
) -> Result<Tensor> {
    if dtype == DType::STRING {
        let mut strings = StringDataBuilder::default();
        for part in parts {
            let TensorData::Strings(data) = part.data() else {
                return Err(mixed());
            };
            *copied += data.bytes().len();
            data.iter().for_each(|string| strings.push(string));
        }
        return Tensor::strings(shape, strings.finish());
    }
    let length = parts.iter().map(|part| bytes_of(part).len()).sum();
    *copied += length;
    let mut buffer = AlignedBuffer::zeroed(length);
    let mut rest = buffer.as_mut_slice();
    for part in parts {
        let bytes = bytes_of(part);
        let (here, behind) = rest.split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        rest = behind;
    }
    Tensor::fixed(dtype, shape, buffer.into_bytes())
}

fn bytes_of(tensor: &Tensor) -> &[u8] {
    match tensor.data() {
        TensorData::Fixed(bytes) => bytes,
        TensorData::Strings(_) => &[],
    }
}

fn mixed() -> Error {
    Error::internal("Tensor concat operation failed: element types differ")
}

/// The longest of each inner dimension.
fn longest(parts: &[&Tensor]) -> Result<Vec<i64>> {
    let mut shape = inner(parts[0]).to_vec();
    for part in parts {
        if inner(part).len() != shape.len() || part.dtype() != parts[0].dtype() {
            return Err(mixed());
        }
        for (longest, size) in shape.iter_mut().zip(inner(part)) {
            *longest = (*longest).max(*size);
        }
    }
    Ok(shape)
}

/// `tensor` with its inner dimensions made as long as `to`, filled with its own first element.
fn pad(tensor: &Tensor, to: &[i64], copied: &mut usize) -> Result<Tensor> {
    let mut shape = vec![tensor.shape()[0]];
    shape.extend_from_slice(to);
    let elements = element_count(&shape)?;
    match tensor.data() {
        TensorData::Fixed(bytes) => {
            let size = tensor.dtype().size().ok_or_else(mixed)?;
            let length = elements
                .checked_mul(size)
                .ok_or_else(|| too_large(&shape))?;
            *copied += length;
            let mut buffer = AlignedBuffer::zeroed(length);
            let target = buffer.as_mut_slice();
            let filler = bytes.get(..size).ok_or_else(mixed)?;
            if filler.iter().any(|byte| *byte != 0) {
                target
                    .chunks_exact_mut(size)
                    .for_each(|element| element.copy_from_slice(filler));
            }
            runs(tensor.shape(), &shape, |from, at, count| {
                target[at * size..(at + count) * size]
                    .copy_from_slice(&bytes[from * size..(from + count) * size]);
            });
            Tensor::fixed(tensor.dtype(), shape, buffer.into_bytes())
        }
        TensorData::Strings(data) => {
            let strings: Vec<&[u8]> = data.iter().collect();
            let filler = *strings.first().ok_or_else(mixed)?;
            let mut target = vec![filler; elements];
            runs(tensor.shape(), &shape, |from, at, count| {
                target[at..at + count].copy_from_slice(&strings[from..from + count]);
            });
            *copied += target.iter().map(|string| string.len()).sum::<usize>();
            Tensor::strings(shape, StringData::from_iter(target))
        }
    }
}

fn too_large(shape: &[i64]) -> Error {
    Error::invalid_argument(format!(
        "A tensor of shape {shape:?}, to which a batch pads its members, is too large"
    ))
}

/// The innermost runs of `from`, each with where it lies there and in `to`, and its length.
fn runs(from: &[i64], to: &[i64], mut each: impl FnMut(usize, usize, usize)) {
    let sizes = |shape: &[i64]| -> Vec<usize> {
        let sizes = shape.iter();
        // Not negative, and bounded by the elements there are.
        sizes.map(|size| size.unsigned_abs() as usize).collect()
    };
    let (from, to) = (sizes(from), sizes(to));
    let Some((length, outer)) = from.split_last() else {
        return;
    };
    let mut index = vec![0; outer.len()];
    let count: usize = outer.iter().product();
    for number in 0..count {
        let at = index
            .iter()
            .zip(&to)
            .fold(0, |at, (index, size)| at * size + index);
        each(number * length, at * to.last().unwrap_or(&1), *length);
        for (index, size) in index.iter_mut().zip(outer).rev() {
            *index += 1;
            if *index < *size {
                break;
            }
            *index = 0;
        }
    }
}

/// Rows `start..start + rows` of a tensor that has them; shares its memory.
pub(crate) fn slice(tensor: &Tensor, start: usize, rows: usize) -> Result<Tensor> {
    let mut shape = tensor.shape().to_vec();
    let has = shape.first().map_or(0, |rows| rows.unsigned_abs() as usize);
    if start + rows > has {
        return Err(Error::internal("rows that are not there"));
    }
    shape[0] = i64::try_from(rows).map_err(|_| Error::internal("too many rows"))?;
    match tensor.data() {
        TensorData::Fixed(bytes) => {
            let row = bytes.len() / has.max(1);
            let bytes = bytes.slice(start * row..(start + rows) * row);
            Tensor::fixed(tensor.dtype(), shape, bytes)
        }
        TensorData::Strings(data) => {
            let row = data.len() / has.max(1);
            let part = strings(data, start * row, rows * row)?;
            Tensor::strings(shape, part)
        }
    }
}

fn strings(data: &StringData, start: usize, count: usize) -> Result<StringData> {
    if count == 0 {
        return StringData::new(Vec::new(), Bytes::new());
    }
    let offsets = &data.offsets()[start..=start + count];
    let (from, to) = (offsets[0], offsets[count]);
    let bytes = data.bytes().slice(from as usize..to as usize);
    StringData::new(offsets.iter().map(|at| at - from).collect(), bytes)
}

/// Whether every output has `rows` rows.
pub(crate) fn have_rows(outputs: &NamedTensors, rows: usize) -> bool {
    outputs
        .iter()
        .all(|(_, tensor)| tensor.shape().first().copied() == i64::try_from(rows).ok())
}

/// Rows `start..start + rows` of all outputs.
pub(crate) fn slice_all(outputs: &NamedTensors, start: usize, rows: usize) -> Result<NamedTensors> {
    outputs
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), slice(tensor, start, rows)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(shape: &[i64], values: &[f32]) -> Tensor {
        Tensor::from_slice(DType::FLOAT, shape.to_vec(), values).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        let chunks = bytes_of(tensor).as_chunks::<4>().0.iter();
        chunks.map(|chunk| f32::from_le_bytes(*chunk)).collect()
    }

    fn words(shape: &[i64], words: &[&str]) -> Tensor {
        Tensor::strings(shape.to_vec(), words.iter().collect()).unwrap()
    }

    fn read(tensor: &Tensor) -> Vec<String> {
        let TensorData::Strings(data) = tensor.data() else {
            panic!("not strings");
        };
        let strings = data.iter();
        strings
            .map(|string| String::from_utf8(string.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn joins_and_splits_numbers() {
        let (a, b) = (
            floats(&[1, 2], &[1., 2.]),
            floats(&[2, 2], &[3., 4., 5., 6.]),
        );
        let mut copied = 0;
        let joined = join(&[&a, &b], 2, false, &mut copied).unwrap();
        assert_eq!(joined.shape(), [5, 2]);
        assert_eq!(values(&joined), [1., 2., 3., 4., 5., 6., 3., 4., 3., 4.]);
        assert_eq!(copied, 5 * 2 * 4);
        let part = slice(&joined, 1, 2).unwrap();
        assert_eq!(part.shape(), [2, 2]);
        assert_eq!(values(&part), [3., 4., 5., 6.]);
        // The same memory.
        assert_eq!(bytes_of(&part).as_ptr(), bytes_of(&joined)[8..].as_ptr());
        assert!(slice(&joined, 4, 2).is_err());
    }

    #[test]
    fn joins_and_splits_strings() {
        let (a, b) = (words(&[2, 1], &["a", "bc"]), words(&[1, 1], &[""]));
        let mut copied = 0;
        let joined = join(&[&a, &b], 1, false, &mut copied).unwrap();
        assert_eq!(joined.shape(), [4, 1]);
        assert_eq!(read(&joined), ["a", "bc", "", ""]);
        assert_eq!(read(&slice(&joined, 1, 2).unwrap()), ["bc", ""]);
        assert_eq!(read(&slice(&joined, 1, 0).unwrap()), [""; 0]);
    }

    #[test]
    fn pads_with_the_first_element_of_each() {
        let a = floats(&[1, 1, 2], &[7., 8.]);
        let b = floats(&[1, 2, 1], &[0., 1.]);
        let joined = join(&[&a, &b], 0, true, &mut 0).unwrap();
        assert_eq!(joined.shape(), [2, 2, 2]);
        assert_eq!(values(&joined), [7., 8., 7., 7., 0., 0., 1., 0.]);
        let a = words(&[2, 1], &["x", "y"]);
        let b = words(&[1, 3], &["p", "q", "r"]);
        let joined = join(&[&a, &b], 1, true, &mut 0).unwrap();
        assert_eq!(joined.shape(), [4, 3]);
        let expected = ["x", "x", "x", "y", "x", "x", "p", "q", "r", "p", "q", "r"];
        assert_eq!(read(&joined), expected);
    }

    #[test]
    fn tells_whether_outputs_have_the_rows() {
        let outputs = vec![
            ("a".to_owned(), floats(&[2, 1], &[1., 2.])),
            ("b".to_owned(), floats(&[2], &[1., 2.])),
        ];
        assert!(have_rows(&outputs, 2));
        assert!(!have_rows(&outputs, 1));
        assert!(!have_rows(&vec![("c".to_owned(), floats(&[], &[1.]))], 1));
        let parts = slice_all(&outputs, 1, 1).unwrap();
        assert_eq!(values(&parts[1].1), [2.]);
    }
}
