//! Element types, by TensorFlow's own numbers.
//!
//! A newtype and not an enum: the set grows with TensorFlow, and a number that this build does
//! not know must travel to where it is refused with its name, without being undefined behaviour
//! or a decoding error on the way.

use std::fmt;

/// An element type, as the number in `tensorflow.DataType`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DType(u32);

/// (number, name in messages, name in protobuf JSON, bytes per element; 0 = not fixed)
const TABLE: &[(u32, &str, &str, usize)] = &[
    (0, "INVALID", "DT_INVALID", 0),
    (1, "float", "DT_FLOAT", 4),
    (2, "double", "DT_DOUBLE", 8),
    (3, "int32", "DT_INT32", 4),
    (4, "uint8", "DT_UINT8", 1),
    (5, "int16", "DT_INT16", 2),
    (6, "int8", "DT_INT8", 1),
    (7, "string", "DT_STRING", 0),
    (8, "complex64", "DT_COMPLEX64", 8),
    (9, "int64", "DT_INT64", 8),
    (10, "bool", "DT_BOOL", 1),
    (11, "qint8", "DT_QINT8", 1),
    (12, "quint8", "DT_QUINT8", 1),
    (13, "qint32", "DT_QINT32", 4),
    (14, "bfloat16", "DT_BFLOAT16", 2),
    (15, "qint16", "DT_QINT16", 2),
    (16, "quint16", "DT_QUINT16", 2),
    (17, "uint16", "DT_UINT16", 2),
    (18, "complex128", "DT_COMPLEX128", 16),
    (19, "half", "DT_HALF", 2),
    (20, "resource", "DT_RESOURCE", 0),
    (21, "variant", "DT_VARIANT", 0),
    (22, "uint32", "DT_UINT32", 4),
    (23, "uint64", "DT_UINT64", 8),
    (24, "float8_e5m2", "DT_FLOAT8_E5M2", 1),
    (25, "float8_e4m3fn", "DT_FLOAT8_E4M3FN", 1),
    (26, "float8_e4m3fnuz", "DT_FLOAT8_E4M3FNUZ", 1),
    (27, "float8_e4m3b11fnuz", "DT_FLOAT8_E4M3B11FNUZ", 1),
    (28, "float8_e5m2fnuz", "DT_FLOAT8_E5M2FNUZ", 1),
    (29, "int4", "DT_INT4", 1),
    (30, "uint4", "DT_UINT4", 1),
    (31, "int2", "DT_INT2", 1),
    (32, "uint2", "DT_UINT2", 1),
    (33, "float4_e2m1fn", "DT_FLOAT4_E2M1FN", 1),
];

/// `*_REF` types are the base type's number plus this.
const REF_OFFSET: u32 = 100;

impl DType {
    /// No type (the init op's output has it).
    pub const INVALID: Self = Self(0);
    /// 32-bit IEEE float.
    pub const FLOAT: Self = Self(1);
    /// 64-bit IEEE float.
    pub const DOUBLE: Self = Self(2);
    /// 32-bit signed integer.
    pub const INT32: Self = Self(3);
    /// 8-bit unsigned integer.
    pub const UINT8: Self = Self(4);
    /// 16-bit signed integer.
    pub const INT16: Self = Self(5);
    /// 8-bit signed integer.
    pub const INT8: Self = Self(6);
    /// Byte strings of any length.
    pub const STRING: Self = Self(7);
    /// Two 32-bit floats: real, imaginary.
    pub const COMPLEX64: Self = Self(8);
    /// 64-bit signed integer.
    pub const INT64: Self = Self(9);
    /// One byte, 0 or 1.
    pub const BOOL: Self = Self(10);
    /// Quantised 8-bit signed integer.
    pub const QINT8: Self = Self(11);
    /// Quantised 8-bit unsigned integer.
    pub const QUINT8: Self = Self(12);
    /// Quantised 32-bit signed integer.
    pub const QINT32: Self = Self(13);
    /// The upper half of a 32-bit float.
    pub const BFLOAT16: Self = Self(14);
    /// Quantised 16-bit signed integer.
    pub const QINT16: Self = Self(15);
    /// Quantised 16-bit unsigned integer.
    pub const QUINT16: Self = Self(16);
    /// 16-bit unsigned integer.
    pub const UINT16: Self = Self(17);
    /// Two 64-bit floats: real, imaginary.
    pub const COMPLEX128: Self = Self(18);
    /// 16-bit IEEE float.
    pub const HALF: Self = Self(19);
    /// A handle to a resource; no client can send one.
    pub const RESOURCE: Self = Self(20);
    /// Anything; no client can send one.
    pub const VARIANT: Self = Self(21);
    /// 32-bit unsigned integer.
    pub const UINT32: Self = Self(22);
    /// 64-bit unsigned integer.
    pub const UINT64: Self = Self(23);

    /// The highest number that TensorFlow's C API binding can read back.
    pub const MAX_SUPPORTED: u32 = 23;

    /// The type with TensorFlow's number `number`; reference types become their base type.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        if number > REF_OFFSET {
            Self(number - REF_OFFSET)
        } else {
            Self(number)
        }
    }

    /// TensorFlow's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    fn row(self) -> Option<&'static (u32, &'static str, &'static str, usize)> {
        TABLE.get(self.0 as usize)
    }

    /// Bytes per element; `None` for strings, handles and numbers without a type.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        self.row().map(|row| row.3).filter(|size| *size > 0)
    }

    /// The name in TensorFlow's messages: `float`, `int32`, `string`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown dtype enum", |row| row.1)
    }

    /// The name in protobuf JSON: `DT_FLOAT`; `None` for a number that has no name.
    #[must_use]
    pub fn proto_name(self) -> Option<&'static str> {
        self.row().map(|row| row.2)
    }

    /// Whether a tensor of this type can cross between a client and a session: it has a fixed
    /// size or is a string, and the C API binding can name it.
    #[must_use]
    pub fn is_servable(self) -> bool {
        self.0 <= Self::MAX_SUPPORTED && (self.size().is_some() || self == Self::STRING)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.write_str(row.1),
            None => write!(f, "unknown dtype enum ({})", self.0),
        }
    }
}

impl fmt::Debug for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_indexed_by_number() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index);
        }
    }

    #[test]
    fn reference_types_are_their_base_type() {
        assert_eq!(DType::from_number(101), DType::FLOAT);
        assert_eq!(DType::from_number(1), DType::FLOAT);
        assert_eq!(
            DType::from_number(100).to_string(),
            "unknown dtype enum (100)"
        );
    }

    #[test]
    fn only_types_that_the_c_api_can_name_are_servable() {
        let refused: Vec<u32> = (0..40)
            .filter(|number| !DType::from_number(*number).is_servable())
            .collect();
        assert_eq!(refused[..3], [0, 20, 21]);
        assert_eq!(refused[3..], (24..40).collect::<Vec<_>>());
    }
}
