//! The protocol's names of element types.

use tensorgate_proto::inference::DataType;
use tensorgate_types::{DType, Error, Result};

/// Type, name, and the type in a model's configuration.
const TABLE: [(DType, &str, DataType); 14] = [
    (DType::BOOL, "BOOL", DataType::TypeBool),
    (DType::UINT8, "UINT8", DataType::TypeUint8),
    (DType::UINT16, "UINT16", DataType::TypeUint16),
    (DType::UINT32, "UINT32", DataType::TypeUint32),
    (DType::UINT64, "UINT64", DataType::TypeUint64),
    (DType::INT8, "INT8", DataType::TypeInt8),
    (DType::INT16, "INT16", DataType::TypeInt16),
    (DType::INT32, "INT32", DataType::TypeInt32),
    (DType::INT64, "INT64", DataType::TypeInt64),
    (DType::HALF, "FP16", DataType::TypeFp16),
    (DType::FLOAT, "FP32", DataType::TypeFp32),
    (DType::DOUBLE, "FP64", DataType::TypeFp64),
    (DType::BFLOAT16, "BF16", DataType::TypeBf16),
    (DType::STRING, "BYTES", DataType::TypeString),
];

fn row(dtype: DType) -> Option<&'static (DType, &'static str, DataType)> {
    TABLE.iter().find(|row| row.0 == dtype)
}

/// The name, where the protocol has one.
pub(super) fn name(dtype: DType) -> Option<&'static str> {
    row(dtype).map(|row| row.1)
}

/// A name to show: TensorFlow's where the protocol has none, so that nobody takes it for one that
/// can be sent.
pub(super) fn shown(dtype: DType) -> &'static str {
    name(dtype).unwrap_or_else(|| dtype.proto_name().unwrap_or("INVALID"))
}

/// The type in a model's configuration.
pub(super) fn configured(dtype: DType) -> DataType {
    row(dtype).map_or(DataType::TypeInvalid, |row| row.2)
}

/// The type of this name.
pub(super) fn parse(text: &str, input: &str) -> Result<DType> {
    let row = TABLE.iter().find(|row| row.1 == text);
    row.map(|row| row.0).ok_or_else(|| {
        let known: Vec<_> = TABLE.iter().map(|row| row.1).collect();
        let text: String = text.chars().take(40).collect();
        Error::invalid_argument(format!(
            "the input '{input}' has the datatype '{text}': expected one of {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for (dtype, name, _) in TABLE {
            assert_eq!(parse(name, "x").unwrap(), dtype);
            assert_eq!(shown(dtype), name);
            // The configuration's names are the same, but for one.
            let expected = format!("TYPE_{}", name.replace("BYTES", "STRING"));
            assert_eq!(configured(dtype).as_str_name(), expected);
        }
    }

    #[test]
    fn what_has_no_name_is_shown_by_tensorflows() {
        assert_eq!(shown(DType::COMPLEX64), "DT_COMPLEX64");
        assert_eq!(configured(DType::COMPLEX64), DataType::TypeInvalid);
        let error = parse("FP8", "x").unwrap_err();
        assert!(error.message().contains("'FP8': expected one of BOOL"));
    }
}
