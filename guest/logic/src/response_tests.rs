//! The shapes and spacing of answers.

use super::*;

fn output(name: &str, dtype: DType, shape: &[i64], bytes: Vec<u8>) -> Output {
    Output {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        data: OutputData::Fixed(bytes),
    }
}

fn floats(name: &str, shape: &[i64], values: &[f32]) -> Output {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    output(name, DType::FLOAT, shape, bytes)
}

fn ints(name: &str, shape: &[i64], values: &[i32]) -> Output {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    output(name, DType::INT32, shape, bytes)
}

fn strings(name: &str, shape: &[i64], values: &[&[u8]]) -> Output {
    Output {
        name: name.to_owned(),
        dtype: DType::STRING,
        shape: shape.to_vec(),
        data: OutputData::Strings(values.iter().copied().collect()),
    }
}

fn row(outputs: &[Output]) -> String {
    String::from_utf8(write_outputs(outputs, Format::Row).unwrap()).unwrap()
}

fn columnar(outputs: &[Output]) -> String {
    String::from_utf8(write_outputs(outputs, Format::Columnar).unwrap()).unwrap()
}

fn error(outputs: &[Output], format: Format) -> String {
    write_outputs(outputs, format)
        .unwrap_err()
        .message()
        .to_owned()
}

#[test]
fn rows_of_one_output_stand_bare() {
    assert_eq!(
        row(&[floats("y", &[3], &[2.5, 3.0, 4.5])]),
        "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}"
    );
    assert_eq!(
        row(&[floats("y", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]),
        "{\n    \"predictions\": [[1.0, 2.0], [3.0, 4.0]\n    ]\n}"
    );
    assert_eq!(
        row(&[ints("y", &[1, 2, 0], &[])]),
        "{\n    \"predictions\": [[[], []]\n    ]\n}"
    );
}

#[test]
fn rows_of_several_outputs_are_objects() {
    let outputs = [
        ints("a", &[2], &[1, 2]),
        floats("b", &[2, 2], &[0.5, 1.0, f32::NAN, -1.0]),
    ];
    assert_eq!(
        row(&outputs),
        concat!(
            "{\n    \"predictions\": [\n",
            "        {\n            \"a\": 1,\n            \"b\": [0.5, 1.0]\n        },\n",
            "        {\n            \"a\": 2,\n            \"b\": [NaN, -1.0]\n        }\n",
            "    ]\n}"
        )
    );
}

#[test]
fn columns_have_a_line_for_each_scalar() {
    assert_eq!(
        columnar(&[ints("y", &[2, 1], &[1, 2])]),
        concat!(
            "{\n    \"outputs\": [\n        [\n            1\n        ],\n",
            "        [\n            2\n        ]\n    ]\n}"
        )
    );
    assert_eq!(
        columnar(&[ints("y", &[], &[7])]),
        "{\n    \"outputs\": 7\n}"
    );
    assert_eq!(
        columnar(&[ints("a", &[], &[7]), ints("b", &[1], &[8])]),
        "{\n    \"outputs\": {\n        \"a\": 7,\n        \"b\": [\n            8\n        ]\n    }\n}"
    );
}

#[test]
fn a_batch_of_none_is_an_empty_list() {
    let empty = "{\n    \"predictions\": []\n}";
    assert_eq!(row(&[ints("a", &[0, 2], &[])]), empty);
    assert_eq!(row(&[ints("a", &[0], &[]), ints("b", &[0, 3], &[])]), empty);
    assert_eq!(row(&[output("c", DType::COMPLEX64, &[0], vec![])]), empty);
}

#[test]
fn bytes_are_base64_by_name_or_by_need() {
    assert_eq!(
        row(&[strings("x_bytes", &[2, 1], &[b"hello", b"world"])]),
        concat!(
            "{\n    \"predictions\": [[{\n                \"b64\": \"aGVsbG8=\"\n            }], ",
            "[{\n                \"b64\": \"d29ybGQ=\"\n            }]\n    ]\n}"
        )
    );
    assert_eq!(
        row(&[strings("x", &[2], &[b"a\"b", "é".as_bytes()])]),
        "{\n    \"predictions\": [\"a\\\"b\", \"é\"\n    ]\n}"
    );
    assert_eq!(
        columnar(&[strings("x", &[], &[b"\xff"])]),
        "{\n    \"outputs\": {\n        \"b64\": \"/w==\"\n    }\n}"
    );
}

#[test]
fn every_number_type_is_written() {
    for (dtype, bytes, text) in [
        (DType::INT8, vec![0x80], "-128"),
        (DType::UINT8, vec![0xFF], "255"),
        (DType::INT16, vec![0, 0x80], "-32768"),
        (DType::UINT16, vec![0xFF, 0xFF], "65535"),
        (
            DType::INT64,
            i64::MIN.to_le_bytes().to_vec(),
            "-9223372036854775808",
        ),
        (DType::UINT32, vec![0xFF; 4], "4294967295"),
        (DType::UINT64, vec![0xFF; 8], "18446744073709551615"),
        (DType::BOOL, vec![1], "true"),
        (DType::BOOL, vec![0], "false"),
        (DType::HALF, vec![0x00, 0x3E], "1.5"),
        (DType::BFLOAT16, vec![0x80, 0x7F], "Infinity"),
        (DType::DOUBLE, 0.1f64.to_le_bytes().to_vec(), "0.1"),
    ] {
        assert_eq!(
            columnar(&[output("y", dtype, &[], bytes)]),
            format!("{{\n    \"outputs\": {text}\n}}"),
            "{dtype}"
        );
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    use Format::{Columnar, Row};
    assert_eq!(error(&[], Row), "Cannot convert empty tensor map to JSON");
    assert_eq!(
        error(&[ints("y", &[], &[1])], Row),
        "Tensor name: y has no shape information "
    );
    let uneven = [ints("a", &[3], &[1, 2, 3]), ints("b", &[2], &[1, 2])];
    assert_eq!(
        error(&uneven, Row),
        "Tensor name: b has inconsistent batch size: 2 expecting: 3"
    );
    for format in [Row, Columnar] {
        assert_eq!(
            error(&[output("y", DType::COMPLEX64, &[1], vec![0; 8])], format),
            "Failed to write JSON value for tensor type: complex64"
        );
    }
    let lying = write_outputs(&[ints("y", &[2], &[1])], Columnar).unwrap_err();
    assert_eq!(lying.code(), tensorgate_types::ErrorCode::Internal);
}

#[test]
fn answers_to_examples_have_a_line_of_their_own() {
    let written = |answers: &[Answer]| {
        write_answer(answers)
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .map_err(|error| error.message().to_owned())
    };
    assert_eq!(
        written(&[Answer::Values(vec![0.2, 1.0, f32::NAN])]).as_deref(),
        Ok("{\n    \"results\": [0.2, 1.0, NaN]\n}")
    );
    assert_eq!(
        written(&[Answer::Values(vec![])]),
        Err("Cannot convert empty RegressionResults to JSON".to_owned())
    );
}
