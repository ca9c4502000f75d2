//! Tensors, and typed views of them.
//!
//! A tensor is what crosses the sandbox's border: a type, a shape and bytes. A [`View`] is what
//! code works on: a slice of numbers with its shape.
//!
//! **Invariant:** a tensor has exactly as many elements as its shape says; every constructor
//! checks. Numbers are little-endian, as on every target that this is built for.

use std::borrow::Cow;

use bytemuck::{CheckedBitPattern, NoUninit};
use tensorgate_types::{DType, Error, Result, element_count};

use crate::strings::Strings;

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian: their bytes are used as they lie in memory");

/// A Rust type that elements of a tensor have.
///
/// Complex numbers are pairs: real, imaginary.
pub trait Element: CheckedBitPattern + NoUninit + Default {
    /// Its type in TensorFlow.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),+ $(,)?) => {
        $(impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
        })+
    };
}
elements! {
    f32 => FLOAT,
    f64 => DOUBLE,
    i8 => INT8,
    i16 => INT16,
    i32 => INT32,
    i64 => INT64,
    u8 => UINT8,
    u16 => UINT16,
    u32 => UINT32,
    u64 => UINT64,
    bool => BOOL,
    [f32; 2] => COMPLEX64,
    [f64; 2] => COMPLEX128,
}

/// A value: a type, a shape, and as many elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<i64>,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Fixed(Vec<u8>),
    Strings(Strings),
}

impl Tensor {
    /// A tensor of these values, row by row. They are copied, once.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there are not as many values as `shape` asks for.
    pub fn new<T: Element>(shape: &[i64], values: &[T]) -> Result<Self> {
        Self::from_bytes(
            T::DTYPE,
            shape.to_vec(),
            bytemuck::cast_slice(values).to_vec(),
        )
    }

    /// As [`new`](Self::new), from a vector. Bytes and booleans keep its memory. Wider numbers are
    /// copied once, since memory is given back with the alignment that it was taken with; where
    /// that counts, [`build`](Self::build) does without.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_vec<T: Element>(shape: &[i64], values: Vec<T>) -> Result<Self> {
        match bytemuck::allocation::try_cast_vec::<T, u8>(values) {
            Ok(bytes) => Self::from_bytes(T::DTYPE, shape.to_vec(), bytes),
            Err((_, values)) => Self::new(shape, &values),
        }
    }

    /// A tensor whose elements `fill` writes where they are to lie; they are zero before.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when `shape` has a negative dimension or more elements than memory
    /// could hold, and what `fill` gives.
    pub fn build<T: Element>(
        shape: &[i64],
        fill: impl FnOnce(&mut [T]) -> Result<()>,
    ) -> Result<Self> {
        let count = element_count(shape)?;
        let len = count
            .checked_mul(size_of::<T>())
            .filter(|len| isize::try_from(*len).is_ok())
            .ok_or_else(|| too_large(shape))?;
        let mut bytes = vec![0u8; len];
        // The allocators of the targets that we know align every piece of this size. Should one
        // not, the values go through memory that is.
        match bytemuck::checked::try_cast_slice_mut::<u8, T>(&mut bytes) {
            Ok(values) => fill(values)?,
            Err(_) => {
                let mut values = vec![T::default(); count];
                fill(&mut values)?;
                bytes.copy_from_slice(bytemuck::cast_slice(&values));
            }
        }
        Self::from_bytes(T::DTYPE, shape.to_vec(), bytes)
    }

    /// One value, without dimensions.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: Vec::new(),
            data: Data::Fixed(bytemuck::bytes_of(&value).to_vec()),
        }
    }

    /// A tensor of strings: any bytes, not only UTF-8.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there are not as many strings as `shape` asks for.
    pub fn strings<S: AsRef<[u8]>>(
        shape: &[i64],
        strings: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        Self::from_strings(shape.to_vec(), strings.into_iter().collect())
    }

    pub(crate) fn from_strings(shape: Vec<i64>, strings: Strings) -> Result<Self> {
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
            data: Data::Strings(strings),
        })
    }

    /// A tensor of any fixed-size type from its bytes, little-endian, row by row. For types that
    /// Rust has no name for (`bfloat16`, quantised ones).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when `bytes` is not as long as type and shape ask for.
    pub fn from_bytes(dtype: DType, shape: Vec<i64>, bytes: Vec<u8>) -> Result<Self> {
        let size = dtype
            .size()
            .ok_or_else(|| Error::invalid_argument(format!("{dtype} has no fixed size")))?;
        let expected = element_count(&shape)?
            .checked_mul(size)
            .ok_or_else(|| too_large(&shape))?;
        if bytes.len() != expected {
            return Err(Error::invalid_argument(format!(
                "{dtype} tensor of shape {shape:?} needs {} elements, got {}",
                expected / size,
                bytes.len() / size
            )));
        }
        Ok(Self {
            dtype,
            shape,
            data: Data::Fixed(bytes),
        })
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions, none negative; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The bytes of a tensor of a fixed-size type; none of strings.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Fixed(bytes) => Some(bytes),
            Data::Strings(_) => None,
        }
    }

    /// The elements as numbers.
    ///
    /// Within a request, [`Tensors::view`](crate::Tensors::view) does the same and its errors name
    /// the tensor.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the tensor has another type, or holds booleans that are none.
    pub fn view<T: Element>(&self) -> Result<View<'_, T>> {
        let Data::Fixed(bytes) = &self.data else {
            return Err(self.mismatch(T::DTYPE));
        };
        if self.dtype != T::DTYPE {
            return Err(self.mismatch(T::DTYPE));
        }
        let values = match bytemuck::checked::try_cast_slice(bytes) {
            Ok(values) => Cow::Borrowed(values),
            Err(bytemuck::checked::CheckedCastError::InvalidBitPattern) => {
                return Err(Error::invalid_argument(format!(
                    "expected {} elements, found bytes that are none",
                    self.dtype
                )));
            }
            // Not aligned: copied to where it is.
            Err(bytemuck::checked::CheckedCastError::PodCastError(_)) => Cow::Owned(
                bytes
                    .chunks_exact(size_of::<T>())
                    .map(bytemuck::checked::try_pod_read_unaligned)
                    .collect::<Result<_, _>>()
                    .map_err(|_| {
                        Error::invalid_argument(format!("bytes that are no {}", self.dtype))
                    })?,
            ),
        };
        Ok(View {
            shape: &self.shape,
            values,
        })
    }

    /// The elements as strings.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the tensor has another type.
    pub fn as_strings(&self) -> Result<&Strings> {
        match &self.data {
            Data::Strings(strings) => Ok(strings),
            Data::Fixed(_) => Err(self.mismatch(DType::STRING)),
        }
    }

    fn mismatch(&self, expected: DType) -> Error {
        Error::invalid_argument(format!(
            "expected {expected}, found {} of shape {:?}",
            self.dtype, self.shape
        ))
    }

    /// Checks the shape, in which -1 stands for any size.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it has another rank or another size somewhere.
    pub fn expect_shape(&self, expected: &[i64]) -> Result<&Self> {
        let fits = self.shape.len() == expected.len()
            && self
                .shape
                .iter()
                .zip(expected)
                .all(|(found, expected)| *expected < 0 || found == expected);
        if fits {
            Ok(self)
        } else {
            Err(Error::invalid_argument(format!(
                "expected shape {expected:?}, found {} of shape {:?}",
                self.dtype, self.shape
            )))
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_parts(self) -> (DType, Vec<i64>, Data) {
        (self.dtype, self.shape, self.data)
    }
}

fn too_large(shape: &[i64]) -> Error {
    Error::invalid_argument(format!("tensor of shape {shape:?} is too large"))
}

/// The elements of a tensor as numbers, row by row, with their shape.
///
/// Borrowed from the tensor; copied only where it does not lie aligned.
#[derive(Debug, Clone, PartialEq)]
pub struct View<'a, T: Element> {
    shape: &'a [i64],
    values: Cow<'a, [T]>,
}

impl<'a, T: Element> View<'a, T> {
    /// The dimensions, none negative; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &'a [i64] {
        self.shape
    }

    /// All elements, the last dimension changing fastest.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The elements of each index of the first dimension: of each row of a batch. A scalar is one
    /// row. Rows without elements are empty slices.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let count = match self.shape.first() {
            Some(count) => usize::try_from(*count).unwrap_or(0),
            None => 1,
        };
        let width = self.values.len().checked_div(count).unwrap_or(0);
        (0..count).map(move |row| &self.values[row * width..(row + 1) * width])
    }

    #[cfg(feature = "ndarray")]
    pub(crate) fn into_values(self) -> Cow<'a, [T]> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_it_was_made_of() {
        let tensor = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
        let view = tensor.view::<f32>().unwrap();
        assert_eq!(view.shape(), [2, 2]);
        assert_eq!(view.values(), [1.0, 2.0, 3.0, 4.0]);
        let rows: Vec<&[f32]> = view.rows().collect();
        assert_eq!(rows, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(Tensor::scalar(7i64).view::<i64>().unwrap().values(), [7]);
        let complex = Tensor::new(&[1], &[[1.0f32, -1.0]]).unwrap();
        assert_eq!(complex.dtype(), DType::COMPLEX64);
    }

    #[test]
    fn every_element_type_has_its_size() {
        fn check<T: Element>() {
            assert_eq!(T::DTYPE.size(), Some(size_of::<T>()), "{}", T::DTYPE);
            let tensor = Tensor::from_vec(&[3], vec![T::default(); 3]).unwrap();
            assert_eq!(tensor.view::<T>().unwrap().values().len(), 3);
        }
        check::<f32>();
        check::<f64>();
        check::<i8>();
        check::<i16>();
        check::<i32>();
        check::<i64>();
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<bool>();
        check::<[f32; 2]>();
        check::<[f64; 2]>();
    }

    #[test]
    fn holds_as_many_elements_as_its_shape_says() {
        let short = Tensor::new(&[3], &[1.0f32]).unwrap_err();
        assert_eq!(
            short.message(),
            "float tensor of shape [3] needs 3 elements, got 1"
        );
        let strings = Tensor::strings(&[2], ["a"]).unwrap_err();
        assert_eq!(
            strings.message(),
            "string tensor of shape [2] needs 2 strings, got 1"
        );
        assert!(Tensor::new(&[-1], &[1.0f32]).is_err());
        assert!(Tensor::build::<f64>(&[i64::MAX, 2], |_| Ok(())).is_err());
        assert!(Tensor::build::<f64>(&[i64::MAX / 4], |_| Ok(())).is_err());
    }

    #[test]
    fn is_written_in_place() {
        let tensor = Tensor::build(&[2], |values: &mut [i32]| {
            values.copy_from_slice(&[5, 6]);
            Ok(())
        });
        assert_eq!(tensor.unwrap(), Tensor::new(&[2], &[5, 6]).unwrap());
        let failed = Tensor::build(&[1], |_: &mut [u8]| Err(Error::internal("no")));
        assert_eq!(failed.unwrap_err().message(), "no");
    }

    #[test]
    fn refuses_a_view_of_another_type_and_says_what_it_found() {
        let tensor = Tensor::new(&[1, 2], &[1i32, 2]).unwrap();
        let error = tensor.view::<f32>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: expected float, found int32 of shape [1, 2]"
        );
        let error = tensor.as_strings().unwrap_err();
        assert_eq!(
            error.message(),
            "expected string, found int32 of shape [1, 2]"
        );
        assert!(tensor.expect_shape(&[-1, 2]).is_ok());
        let error = tensor.expect_shape(&[-1, 3]).unwrap_err();
        assert_eq!(
            error.message(),
            "expected shape [-1, 3], found int32 of shape [1, 2]"
        );
    }

    #[test]
    fn bytes_that_are_no_booleans_are_an_error() {
        let tensor = Tensor::from_bytes(DType::BOOL, vec![2], vec![1, 2]).unwrap();
        assert_eq!(
            tensor.view::<bool>().unwrap_err().message(),
            "expected bool elements, found bytes that are none"
        );
    }

    #[test]
    fn rows_of_nothing_are_empty() {
        let none = Tensor::new::<f32>(&[0, 3], &[]).unwrap();
        assert_eq!(none.view::<f32>().unwrap().rows().count(), 0);
        let empty = Tensor::new::<f32>(&[2, 0], &[]).unwrap();
        let view = empty.view::<f32>().unwrap();
        assert_eq!(view.rows().collect::<Vec<_>>(), [&[] as &[f32]; 2]);
    }
}
