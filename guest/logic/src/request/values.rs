//! Typed buffers: what a JSON value becomes.
//!
//! Elements are little-endian in memory on every machine that this runs on, so that a buffer is
//! handed on as it is.

use half::{bf16, f16};
use tensorgate_types::DType;

use crate::inference::{Input, InputData};
use crate::json::number::Number;

#[cfg(target_endian = "big")]
compile_error!("tensors are handed on in memory order, which must be little-endian");

/// A tensor made from JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The input's name in the signature.
    pub name: String,
    /// The element type that the signature declares.
    pub dtype: DType,
    /// The dimensions.
    pub shape: Vec<i64>,
    /// The elements.
    pub values: Values,
}

impl Tensor {
    /// The tensor as a model takes it.
    #[must_use]
    pub fn as_input(&self) -> Input<'_> {
        Input {
            name: &self.name,
            dtype: self.dtype,
            shape: &self.shape,
            data: self.values.as_data(),
        }
    }
}

/// A number type that JSON numbers become.
pub(crate) trait Element: Copy {
    /// The element for a number, if it is of the right class and within the range.
    fn from_number(number: Number) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty: $class:ident),+) => {
        $(impl Element for $type {
            fn from_number(number: Number) -> Option<Self> {
                Self::try_from(number.$class()?).ok()
            }
        })+
    };
}
integers!(i8: as_i64, i16: as_i64, i32: as_i64, i64: as_i64);
integers!(u8: as_i64, u16: as_i64, u32: as_u64, u64: as_u64);

impl Element for f32 {
    fn from_number(number: Number) -> Option<Self> {
        // By way of a double, as the original does: too large becomes infinite.
        Some(number.as_f64() as Self)
    }
}

impl Element for f64 {
    fn from_number(number: Number) -> Option<Self> {
        Some(number.as_f64())
    }
}

impl Element for f16 {
    fn from_number(number: Number) -> Option<Self> {
        Some(Self::from_f64(number.as_f64()))
    }
}

impl Element for bf16 {
    fn from_number(number: Number) -> Option<Self> {
        Some(Self::from_f64(number.as_f64()))
    }
}

/// The elements of a tensor, by type.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum Values {
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Bool(Vec<u8>),
    /// Offsets (one more than there are strings), and the strings behind one another.
    Strings(Vec<u64>, Vec<u8>),
}

/// Runs `$body` with `$list` bound to the vector of whichever number type it is.
macro_rules! each_number {
    ($values:expr, $list:ident => $body:expr, bool $bools:ident => $bool:expr, strings $offsets:ident, $bytes:ident => $strings:expr) => {
        match $values {
            Values::F16($list) => $body,
            Values::Bf16($list) => $body,
            Values::F32($list) => $body,
            Values::F64($list) => $body,
            Values::I8($list) => $body,
            Values::I16($list) => $body,
            Values::I32($list) => $body,
            Values::I64($list) => $body,
            Values::U8($list) => $body,
            Values::U16($list) => $body,
            Values::U32($list) => $body,
            Values::U64($list) => $body,
            Values::Bool($bools) => $bool,
            Values::Strings($offsets, $bytes) => $strings,
        }
    };
}

impl Values {
    /// An empty buffer for elements of this type; `None` for types that JSON cannot be made into.
    pub(crate) fn new(dtype: DType) -> Option<Self> {
        Some(match dtype {
            DType::HALF => Self::F16(Vec::new()),
            DType::BFLOAT16 => Self::Bf16(Vec::new()),
            DType::FLOAT => Self::F32(Vec::new()),
            DType::DOUBLE => Self::F64(Vec::new()),
            DType::INT8 => Self::I8(Vec::new()),
            DType::INT16 => Self::I16(Vec::new()),
            DType::INT32 => Self::I32(Vec::new()),
            DType::INT64 => Self::I64(Vec::new()),
            DType::UINT8 => Self::U8(Vec::new()),
            DType::UINT16 => Self::U16(Vec::new()),
            DType::UINT32 => Self::U32(Vec::new()),
            DType::UINT64 => Self::U64(Vec::new()),
            DType::BOOL => Self::Bool(Vec::new()),
            DType::STRING => Self::Strings(vec![0], Vec::new()),
            _ => return None,
        })
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        each_number!(self, list => list.len(), bool list => list.len(),
            strings offsets, _bytes => offsets.len() - 1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `more` elements (of strings: for their ends).
    pub(crate) fn reserve(&mut self, more: usize) {
        each_number!(self, list => list.reserve(more), bool list => list.reserve(more),
            strings offsets, _bytes => offsets.reserve(more));
    }

    /// Keeps the first `len` elements.
    pub(crate) fn truncate(&mut self, len: usize) {
        each_number!(self, list => list.truncate(len), bool list => list.truncate(len),
        strings offsets, bytes => {
            offsets.truncate(len + 1);
            bytes.truncate(offsets.last().map_or(0, |end| *end as usize));
        });
    }

    /// Adds a number; `false` when it does not fit the type.
    pub(crate) fn push_number(&mut self, number: Number) -> bool {
        each_number!(self, list => match Element::from_number(number) {
            Some(element) => {
                list.push(element);
                true
            }
            None => false,
        }, bool _list => false, strings _offsets, _bytes => false)
    }

    /// The elements as they are handed on.
    #[must_use]
    pub fn as_data(&self) -> InputData<'_> {
        each_number!(self, list => InputData::Fixed(bytemuck::cast_slice(list)),
            bool list => InputData::Fixed(list),
            strings offsets, bytes => InputData::Strings { offsets, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_or_are_refused() {
        let fits = |dtype, number| {
            let mut values = Values::new(dtype).unwrap();
            values.push_number(number).then(|| match values.as_data() {
                InputData::Fixed(bytes) => bytes.to_vec(),
                _ => vec![],
            })
        };
        use Number::{Double, Natural, Negative};
        assert_eq!(fits(DType::UINT8, Natural(255)), Some(vec![255]));
        assert_eq!(fits(DType::UINT8, Natural(256)), None);
        assert_eq!(fits(DType::UINT8, Negative(-1)), None);
        assert_eq!(fits(DType::INT8, Negative(-128)), Some(vec![0x80]));
        assert_eq!(fits(DType::INT32, Double(1.0)), None);
        assert_eq!(fits(DType::UINT64, Natural(u64::MAX)), Some(vec![255; 8]));
        assert_eq!(fits(DType::INT64, Natural(u64::MAX)), None);
        assert_eq!(fits(DType::FLOAT, Natural(1)), Some(vec![0, 0, 0x80, 0x3F]));
        assert_eq!(fits(DType::HALF, Double(1.0)), Some(vec![0, 0x3C]));
        assert_eq!(fits(DType::BFLOAT16, Double(1.0)), Some(vec![0x80, 0x3F]));
        assert_eq!(
            fits(DType::FLOAT, Double(1e39)),
            Some(f32::INFINITY.to_le_bytes().to_vec())
        );
        assert_eq!(fits(DType::BOOL, Natural(1)), None);
        assert_eq!(fits(DType::STRING, Natural(1)), None);
        assert!(Values::new(DType::COMPLEX64).is_none());
    }
}
