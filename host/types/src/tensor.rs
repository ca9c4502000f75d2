//! A value: a type, a shape and bytes.
//!
//! Strings are offsets into one byte buffer, so that a batch of a thousand strings is two
//! allocations. Bytes are shared, not copied, when a tensor is cloned or sliced.

use bytes::Bytes;

use crate::{DType, Elements, Error, Place, Result, element_count};

/// A tensor. `data` always has as many elements as `shape` says: every constructor checks.
#[derive(Debug, Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<i64>,
    data: TensorData,
}

/// Tensors by the name that a signature gives them.
pub type NamedTensors = Vec<(String, Tensor)>;

/// The elements of a tensor.
#[derive(Debug, Clone)]
pub enum TensorData {
    /// Elements of a fixed size, little-endian, row by row. Aligned to
    /// [`ALIGNMENT`](crate::ALIGNMENT) where they came from a [`Place`] of their own.
    Fixed(Elements),
    /// Strings.
    Strings(StringData),
}

impl Tensor {
    /// A tensor of a fixed-size type.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when `bytes` is not as long as `dtype` and `shape` ask for.
    pub fn fixed(dtype: DType, shape: Vec<i64>, bytes: impl Into<Elements>) -> Result<Self> {
        let bytes = bytes.into();
        let size = dtype
            .size()
            .ok_or_else(|| Error::invalid_argument(format!("{dtype} has no fixed size")))?;
        let expected = element_count(&shape)?.checked_mul(size).ok_or_else(|| {
            Error::invalid_argument(format!("tensor of shape {shape:?} is too large"))
        })?;
        if bytes.len() != expected {
            return Err(Error::invalid_argument(format!(
                "{dtype} tensor of shape {shape:?} needs {expected} bytes, got {}",
                bytes.len()
            )));
        }
        Ok(Self {
            dtype,
            shape,
            data: TensorData::Fixed(bytes),
        })
    }

    /// A tensor of strings.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there are not as many strings as `shape` asks for.
    pub fn strings(shape: Vec<i64>, strings: StringData) -> Result<Self> {
        let expected = element_count(&shape)?;
        if strings.len() != expected {
            return Err(Error::invalid_argument(format!(
                "string tensor of shape {shape:?} needs {expected} strings, got {}",
                strings.len()
            )));
        }
        Ok(Self {
            dtype: DType::STRING,
            shape,
            data: TensorData::Strings(strings),
        })
    }

    /// A tensor from a slice of numbers, copied into aligned memory.
    ///
    /// # Errors
    /// As [`fixed`](Self::fixed).
    pub fn from_slice<T: bytemuck::NoUninit>(
        dtype: DType,
        shape: Vec<i64>,
        values: &[T],
    ) -> Result<Self> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let mut place = Place::new(bytes.len());
        place.push(bytes);
        Self::fixed(dtype, shape, place.into_elements())
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions; none of them is negative. Empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The elements.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements of all parts as one, without a copy, where [`Elements::join`] can. Each part
    /// keeps its value in any case.
    pub fn join_elements(parts: &mut [&mut Self]) -> Option<Elements> {
        let elements: Option<Vec<&mut Elements>> = parts
            .iter_mut()
            .map(|part| match &mut part.data {
                TensorData::Fixed(elements) => Some(elements),
                TensorData::Strings(_) => None,
            })
            .collect();
        Elements::join(&mut elements?)
    }

    /// The parts: type, shape, elements.
    #[must_use]
    pub fn into_parts(self) -> (DType, Vec<i64>, TensorData) {
        (self.dtype, self.shape, self.data)
    }
}

/// Many byte strings in one buffer. String `i` is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone)]
pub struct StringData {
    offsets: Vec<u64>,
    bytes: Bytes,
}

impl StringData {
    /// Strings from their parts.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when `offsets` does not start at 0, runs backwards or does not end at
    /// the length of `bytes`. No offsets at all mean no strings.
    pub fn new(offsets: Vec<u64>, bytes: Bytes) -> Result<Self> {
        check_offsets(&offsets, bytes.len())?;
        Ok(Self { offsets, bytes })
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offsets
            .windows(2)
            // In range: `new` has checked every offset against the buffer.
            .map(|pair| &self.bytes[pair[0] as usize..pair[1] as usize])
    }

    /// The offsets: one more than there are strings, or none at all.
    #[must_use]
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// All strings behind one another.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The parts: offsets, bytes.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u64>, Bytes) {
        (self.offsets, self.bytes)
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StringData {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut builder = StringDataBuilder::default();
        for string in strings {
            builder.push(string.as_ref());
        }
        builder.finish()
    }
}

/// Makes [`StringData`], one string after another.
#[derive(Debug)]
pub struct StringDataBuilder {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl Default for StringDataBuilder {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }
}

impl StringDataBuilder {
    /// Adds a string.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.offsets.push(self.bytes.len() as u64);
    }

    /// The strings.
    #[must_use]
    pub fn finish(self) -> StringData {
        StringData {
            offsets: self.offsets,
            bytes: Bytes::from(self.bytes),
        }
    }
}

fn check_offsets(offsets: &[u64], len: usize) -> Result<()> {
    let Some((first, last)) = offsets.first().zip(offsets.last()) else {
        return if len == 0 {
            Ok(())
        } else {
            Err(Error::invalid_argument(format!(
                "string tensor has {len} bytes and no offsets"
            )))
        };
    };
    if *first != 0 || *last != len as u64 {
        return Err(Error::invalid_argument(format!(
            "string offsets must run from 0 to the {len} bytes there are, got {first} to {last}"
        )));
    }
    if offsets.is_sorted() {
        Ok(())
    } else {
        Err(Error::invalid_argument("string offsets run backwards"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_elements_as_its_shape_says() {
        let ok = Tensor::from_slice(DType::FLOAT, vec![2, 1], &[1.0f32, 2.0]);
        assert!(ok.is_ok());
        let short = Tensor::from_slice(DType::FLOAT, vec![3], &[1.0f32, 2.0]);
        assert_eq!(
            short.unwrap_err().message(),
            "float tensor of shape [3] needs 12 bytes, got 8"
        );
        let strings = Tensor::strings(vec![2], StringData::from_iter(["a"]));
        assert_eq!(
            strings.unwrap_err().message(),
            "string tensor of shape [2] needs 2 strings, got 1"
        );
        assert!(Tensor::fixed(DType::STRING, vec![], Bytes::new()).is_err());
    }

    #[test]
    fn strings_are_any_bytes() {
        let data = StringData::from_iter([&b"\xff\x00"[..], b"", b"abc"]);
        let all: Vec<&[u8]> = data.iter().collect();
        assert_eq!(all, [&b"\xff\x00"[..], b"", b"abc"]);
    }

    #[test]
    fn lying_offsets_are_refused() {
        for (offsets, len) in [
            (vec![], 1),
            (vec![1, 3], 3),
            (vec![0, 4], 3),
            (vec![0, 3, 2, 3], 3),
            (vec![0, u64::MAX], 3),
        ] {
            assert!(StringData::new(offsets, Bytes::from(vec![0; len])).is_err());
        }
        assert!(StringData::new(vec![], Bytes::new()).unwrap().is_empty());
    }
}
