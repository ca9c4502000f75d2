//! The answer to an infer request: JSON, and behind it the outputs that go as binary data.

use half::{bf16, f16};
use tensorgate_types::{DType, Error, Result, element_count};

use crate::exchange::ChunkedResponse;
use crate::grpc::write::{Answer, Body};
use crate::inference::{Output, OutputData};
use crate::json::decimal;
use crate::json::digits::push_integer;
use crate::json::write::push_string;
use crate::v2::{datatype, raw};

/// Where the JSON of a body ends, and its binary data begins.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// Who answers what.
pub(super) struct Head<'a> {
    /// The `id` of the request as it stood there, quotes included.
    pub(super) id: Option<&'a [u8]>,
    pub(super) model: &'a str,
    pub(super) version: i64,
}

/// Writes the answer. `is_binary` says of each output how it goes.
pub(super) fn write(
    head: &Head<'_>,
    outputs: Vec<Output>,
    is_binary: impl Fn(&str) -> bool,
) -> Result<ChunkedResponse> {
    let mut json = b"{".to_vec();
    if let Some(id) = head.id {
        json.extend_from_slice(b"\"id\":");
        json.extend_from_slice(id);
        json.push(b',');
    }
    json.extend_from_slice(b"\"model_name\":");
    push_string(head.model.as_bytes(), &mut json);
    json.extend_from_slice(
        format!(",\"model_version\":\"{}\",\"outputs\":[", head.version).as_bytes(),
    );
    let mut bodies = Vec::new();
    for (index, mut output) in outputs.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let datatype = datatype::name(output.dtype).ok_or_else(|| raw::unfit(&output))?;
        json.extend_from_slice(b"{\"name\":");
        push_string(output.name.as_bytes(), &mut json);
        json.extend_from_slice(format!(",\"datatype\":\"{datatype}\",\"shape\":").as_bytes());
        json.extend_from_slice(shape(&output.shape).as_bytes());
        if is_binary(&output.name) {
            let body = raw::of_output(&mut output)?;
            json.extend_from_slice(
                format!(
                    ",\"parameters\":{{\"binary_data_size\":{}}}}}",
                    body.length()
                )
                .as_bytes(),
            );
            bodies.push(body);
        } else {
            json.extend_from_slice(b",\"data\":[");
            write_elements(&output, &mut json)?;
            json.extend_from_slice(b"]}");
        }
    }
    json.extend_from_slice(b"]}");
    Ok(put_together(json, bodies))
}

/// `[1,3]`
fn shape(dims: &[i64]) -> String {
    let dims: Vec<_> = dims.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(","))
}

fn put_together(json: Vec<u8>, bodies: Vec<Body>) -> ChunkedResponse {
    let length = json.len();
    // As Triton does: without a byte of binary data the body is plain JSON.
    if bodies.iter().all(|body| body.length() == 0) {
        return ChunkedResponse::new(200, "application/json", json);
    }
    let mut answer = Answer::default();
    answer.push(Body::Bytes(json));
    for body in bodies {
        answer.push(body);
    }
    ChunkedResponse {
        status: 200,
        headers: vec![
            (
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            ),
            (HEADER_LENGTH.to_owned(), length.to_string()),
        ],
        body: answer.finish(),
    }
}

macro_rules! write_each {
    ($type:ty, $bytes:expr, $out:expr, |$value:ident| $push:expr) => {{
        let (elements, _) = $bytes.as_chunks::<{ size_of::<$type>() }>();
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                $out.push(b',');
            }
            let $value = <$type>::from_le_bytes(*element);
            $push;
        }
    }};
}

/// Writes the elements one behind the other, with commas between them.
fn write_elements(output: &Output, out: &mut Vec<u8>) -> Result<()> {
    let count = element_count(&output.shape)?;
    let bytes = match &output.data {
        OutputData::Strings(strings) if output.dtype == DType::STRING && strings.len() == count => {
            for (index, string) in strings.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if std::str::from_utf8(string).is_err() {
                    return Err(Error::invalid_argument(format!(
                        "the output '{}' has an element that is not UTF-8 and cannot stand in \
                         JSON: ask for it as binary data",
                        output.name
                    )));
                }
                push_string(string, out);
            }
            return Ok(());
        }
        OutputData::Fixed(bytes)
            if output.dtype.size().and_then(|size| count.checked_mul(size))
                == Some(bytes.len()) =>
        {
            bytes
        }
        _ => return Err(raw::unfit(output)),
    };
    // A digit and a comma at least; floats have some more.
    out.reserve(bytes.len());
    match output.dtype {
        DType::FLOAT => write_each!(f32, bytes, out, |value| decimal::push_f32(value, out)),
        DType::DOUBLE => write_each!(f64, bytes, out, |value| decimal::push_f64(value, out)),
        DType::HALF => {
            write_each!(f16, bytes, out, |value| decimal::push_f32(
                value.to_f32(),
                out
            ));
        }
        DType::BFLOAT16 => {
            write_each!(bf16, bytes, out, |value| decimal::push_f32(
                value.to_f32(),
                out
            ));
        }
        DType::BOOL => write_each!(u8, bytes, out, |value| out
            .extend_from_slice(if value == 0 { b"false" } else { b"true" })),
        DType::INT8 => signed::<i8>(bytes, out),
        DType::INT16 => signed::<i16>(bytes, out),
        DType::INT32 => signed::<i32>(bytes, out),
        DType::INT64 => signed::<i64>(bytes, out),
        DType::UINT8 => unsigned::<u8>(bytes, out),
        DType::UINT16 => unsigned::<u16>(bytes, out),
        DType::UINT32 => unsigned::<u32>(bytes, out),
        DType::UINT64 => unsigned::<u64>(bytes, out),
        _ => return Err(raw::unfit(output)),
    }
    Ok(())
}

fn signed<T: bytemuck::AnyBitPattern + Into<i64>>(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, element) in bytes.chunks_exact(size_of::<T>()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let value: i64 = bytemuck::pod_read_unaligned::<T>(element).into();
        push_integer(value < 0, value.unsigned_abs(), out);
    }
}

fn unsigned<T: bytemuck::AnyBitPattern + Into<u64>>(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, element) in bytes.chunks_exact(size_of::<T>()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_integer(
            false,
            bytemuck::pod_read_unaligned::<T>(element).into(),
            out,
        );
    }
}
