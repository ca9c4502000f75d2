//! Joining inputs along the first dimension, and splitting outputs again.
//!
//! **Invariant:** all bytes that are copied here are counted: inputs of joined requests that do not
//! lie side by side, their padding, and the outputs of a request that was itself split. Splitting
//! never copies.

use std::borrow::Borrow;

use bytes::Bytes;
use tensorgate_engine::NamedTensors;
use tensorgate_types::{
    Counter, DType, Error, Place, Result, StringData, StringDataBuilder, Tensor, TensorData, copy,
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
    copied: &Counter,
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
    concatenate(first.dtype(), shape_of(&evened, &shape), &evened, copied)
}

/// The same of parts that lie side by side, in this order: nothing is copied. None where they do
/// not; all parts are as they were then.
pub(crate) fn join_in_place(parts: &mut [&mut Tensor]) -> Option<Tensor> {
    let first = &*parts[0];
    let (dtype, shape) = (first.dtype(), inner(first).to_vec());
    if parts
        .iter()
        .any(|part| part.dtype() != dtype || inner(part) != shape)
    {
        return None;
    }
    let whole = shape_of(parts, &shape);
    let elements = Tensor::join_elements(parts)?;
    Tensor::fixed(dtype, whole, elements).ok()
}

/// All rows of these parts, each of this shape.
fn shape_of<T: Borrow<Tensor>>(parts: &[T], inner: &[i64]) -> Vec<i64> {
    let rows = parts.iter().map(|part| part.borrow().shape()[0]).sum();
    let mut whole = Vec::with_capacity(inner.len() + 1);
    whole.push(rows);
    whole.extend(inner);
    whole
}

fn concatenate(
    dtype: DType,
    shape: Vec<i64>,
    parts: &[&Tensor],
    copied: &Counter,
) -> Result<Tensor> {
    if dtype == DType::STRING {
        let mut strings = StringDataBuilder::default();
        for part in parts {
            let TensorData::Strings(data) = part.data() else {
                return Err(mixed());
            };
            data.iter()
                .for_each(|string| copy(string, &mut strings, copied));
        }
        return Tensor::strings(shape, strings.finish());
    }
    let length = parts.iter().map(|part| bytes_of(part).len()).sum();
    let mut place = Place::new(length);
    for part in parts {
        copy(bytes_of(part), &mut place, copied);
    }
    Tensor::fixed(dtype, shape, place.into_elements())
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
fn pad(tensor: &Tensor, to: &[i64], copied: &Counter) -> Result<Tensor> {
    let mut shape = vec![tensor.shape()[0]];
    shape.extend(to);
    let elements = element_count(&shape)?;
    match tensor.data() {
        TensorData::Fixed(bytes) => {
            let size = tensor.dtype().size().ok_or_else(mixed)?;
            let length = elements
                .checked_mul(size)
                .ok_or_else(|| too_large(&shape))?;
            let filler = bytes.get(..size).ok_or_else(mixed)?;
            let mut place = Place::new(length);
            // Elements that are there: runs come in the order in which they lie in the target.
            let mut there = 0;
            runs(tensor.shape(), &shape, |from, at, count| {
                (there..at).for_each(|_| copy(filler, &mut place, copied));
                let run = &bytes[from * size..(from + count) * size];
                copy(run, &mut place, copied);
                there = at + count;
            });
            (there..elements).for_each(|_| copy(filler, &mut place, copied));
            Tensor::fixed(tensor.dtype(), shape, place.into_elements())
        }
        TensorData::Strings(data) => {
            let strings: Vec<&[u8]> = data.iter().collect();
            let filler = *strings.first().ok_or_else(mixed)?;
            let mut padded = StringDataBuilder::default();
            let mut there = 0;
            runs(tensor.shape(), &shape, |from, at, count| {
                (there..at).for_each(|_| copy(filler, &mut padded, copied));
                for string in &strings[from..from + count] {
                    copy(string, &mut padded, copied);
                }
                there = at + count;
            });
            (there..elements).for_each(|_| copy(filler, &mut padded, copied));
            Tensor::strings(shape, padded.finish())
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
    use tensorgate_types::Slab;

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
        let copied = Counter::default();
        let joined = join(&[&a, &b], 2, false, &copied).unwrap();
        assert_eq!(joined.shape(), [5, 2]);
        assert_eq!(values(&joined), [1., 2., 3., 4., 5., 6., 3., 4., 3., 4.]);
        assert_eq!(copied.get(), 5 * 2 * 4);
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
        let copied = Counter::default();
        let joined = join(&[&a, &b], 1, false, &copied).unwrap();
        assert_eq!(joined.shape(), [4, 1]);
        assert_eq!(read(&joined), ["a", "bc", "", ""]);
        assert_eq!(read(&slice(&joined, 1, 2).unwrap()), ["bc", ""]);
        assert_eq!(read(&slice(&joined, 1, 0).unwrap()), [""; 0]);
    }

    #[test]
    fn pads_with_the_first_element_of_each() {
        let a = floats(&[1, 1, 2], &[7., 8.]);
        let b = floats(&[1, 2, 1], &[0., 1.]);
        let copied = Counter::default();
        let joined = join(&[&a, &b], 0, true, &copied).unwrap();
        // Each to the longest, and then both together.
        assert_eq!(copied.get(), 2 * (8 * 4));
        assert_eq!(joined.shape(), [2, 2, 2]);
        assert_eq!(values(&joined), [7., 8., 7., 7., 0., 0., 1., 0.]);
        let a = words(&[2, 1], &["x", "y"]);
        let b = words(&[1, 3], &["p", "q", "r"]);
        let joined = join(&[&a, &b], 1, true, &copied).unwrap();
        assert_eq!(joined.shape(), [4, 3]);
        let expected = ["x", "x", "x", "y", "x", "x", "p", "q", "r", "p", "q", "r"];
        assert_eq!(read(&joined), expected);
    }

    /// Rows of two floats in places of a slab.
    fn placed(slab: &mut Slab, rows: &[[f32; 2]]) -> Tensor {
        let mut place = slab.place(rows.len() * 8).unwrap();
        for value in rows.as_flattened() {
            place.push(&value.to_le_bytes());
        }
        let shape = vec![rows.len() as i64, 2];
        Tensor::fixed(DType::FLOAT, shape, place.into_elements()).unwrap()
    }

    #[test]
    fn neighbours_are_a_batch_where_they_are() {
        let mut slab = Slab::new(1000);
        let mut a = placed(&mut slab, &[[1., 2.]]);
        let mut b = placed(&mut slab, &[[3., 4.], [5., 6.]]);
        let mut c = placed(&mut slab, &[[7., 8.]]);
        // Not in their order, and not with a hole.
        assert!(join_in_place(&mut [&mut b, &mut a]).is_none());
        assert!(join_in_place(&mut [&mut a, &mut c]).is_none());
        let joined = join_in_place(&mut [&mut a, &mut b, &mut c]).unwrap();
        assert_eq!(joined.shape(), [4, 2]);
        assert_eq!(values(&joined), [1., 2., 3., 4., 5., 6., 7., 8.]);
        assert_eq!(bytes_of(&b).as_ptr(), bytes_of(&joined)[8..].as_ptr());
        // What has ridden can ride again in other company.
        let copied = Counter::default();
        let again = join(&[&c, &b], 0, false, &copied).unwrap();
        assert_eq!(values(&again), [7., 8., 3., 4., 5., 6.]);
        assert_eq!(copied.get(), 3 * 8);
        let mut words = words(&[1], &["a"]);
        assert!(join_in_place(&mut [&mut words]).is_none());
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
