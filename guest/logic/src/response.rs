//! Outputs to JSON, byte for byte as TensorFlow Serving writes it.
//!
//! **Invariant:** the outputs are trusted to hold what their shapes say no more than a client is:
//! a mismatch is an error, not a panic.

use half::{bf16, f16};
use tensorgate_types::{DType, Error, Result, StringData, element_count};

use crate::examples::Answer;
use crate::inference::{Output, OutputData};
use crate::json::digits::push_integer;
use crate::json::write::{Pretty, push_string};
use crate::json::{base64, decimal};
use crate::request::Format;

/// Writes the answer to a predict request.
///
/// # Errors
/// `INVALID_ARGUMENT` for outputs that the format or JSON cannot hold, `INTERNAL` for a tensor
/// that is not as large as its shape says.
pub(crate) fn write_outputs(outputs: &[Output], format: Format) -> Result<Vec<u8>> {
    if outputs.is_empty() {
        return Err(Error::invalid_argument(
            "Cannot convert empty tensor map to JSON",
        ));
    }
    let mut tensors = outputs
        .iter()
        .map(Reader::new)
        .collect::<Result<Vec<_>>>()?;
    let mut writer = Pretty::new();
    writer.reserve(64 + tensors.iter().map(|tensor| tensor.left * 12).sum::<usize>());
    writer.start_object();
    match format {
        Format::Row => write_rows(&mut tensors, &mut writer)?,
        Format::Columnar => write_columns(&mut tensors, &mut writer)?,
    }
    writer.end_object();
    Ok(writer.into_bytes())
}

/// Writes the answer to a classify or regress request: what its only plan gave.
///
/// # Errors
/// `INVALID_ARGUMENT` for an answer without examples.
pub(crate) fn write_answer(answers: &[Answer]) -> Result<Vec<u8>> {
    let mut writer = Pretty::new();
    writer.start_object();
    writer.string(b"results");
    match answers {
        [Answer::Classes(classes)] if !classes.is_empty() => {
            writer.start_array();
            for classes in classes.iter() {
                writer.set_single_line_arrays(true);
                writer.start_array();
                for (label, score) in classes {
                    writer.start_array();
                    write_string(label, false, &mut writer);
                    decimal::push_f32(score, writer.value());
                    writer.end_array();
                }
                writer.end_array();
                writer.set_single_line_arrays(false);
            }
            writer.end_array();
        }
        [Answer::Values(values)] if !values.is_empty() => {
            writer.set_single_line_arrays(true);
            writer.start_array();
            for value in values {
                decimal::push_f32(*value, writer.value());
            }
            writer.end_array();
        }
        [Answer::Classes(_)] => return Err(nothing_in("ClassificationResults")),
        _ => return Err(nothing_in("RegressionResults")),
    }
    writer.end_object();
    Ok(writer.into_bytes())
}

fn nothing_in(what: &str) -> Error {
    Error::invalid_argument(format!("Cannot convert empty {what} to JSON"))
}

fn write_rows(tensors: &mut [Reader<'_>], writer: &mut Pretty) -> Result<()> {
    let rows = common_rows(tensors)?;
    writer.string(b"predictions");
    writer.start_array();
    let rows_are_named = tensors.len() > 1;
    for _ in 0..rows {
        if rows_are_named {
            writer.start_object();
        }
        writer.set_single_line_arrays(true);
        for tensor in &mut *tensors {
            if rows_are_named {
                writer.string(tensor.output.name.as_bytes());
            }
            tensor.write(1, writer)?;
        }
        writer.set_single_line_arrays(false);
        if rows_are_named {
            writer.end_object();
        }
    }
    writer.end_array();
    Ok(())
}

/// The first dimension, which must be the same in all.
fn common_rows(tensors: &[Reader<'_>]) -> Result<i64> {
    let mut rows = None;
    for Reader { output, .. } in tensors {
        let name = &output.name;
        let Some(own) = output.shape.first() else {
            return Err(Error::invalid_argument(format!(
                "Tensor name: {name} has no shape information "
            )));
        };
        let expected = *rows.get_or_insert(*own);
        if expected != *own {
            return Err(Error::invalid_argument(format!(
                "Tensor name: {name} has inconsistent batch size: {own} expecting: {expected}"
            )));
        }
    }
    Ok(rows.unwrap_or_default())
}

fn write_columns(tensors: &mut [Reader<'_>], writer: &mut Pretty) -> Result<()> {
    writer.string(b"outputs");
    if let [tensor] = tensors {
        return tensor.write(0, writer);
    }
    writer.start_object();
    for tensor in tensors {
        writer.string(tensor.output.name.as_bytes());
        tensor.write(0, writer)?;
    }
    writer.end_object();
    Ok(())
}

/// An output, and what of it has not been written yet.
struct Reader<'a> {
    output: &'a Output,
    data: Data<'a>,
    /// Elements left.
    left: usize,
}

enum Data<'a> {
    Fixed(&'a [u8]),
    Strings {
        strings: &'a StringData,
        next: usize,
        as_bytes: bool,
    },
}

impl<'a> Reader<'a> {
    fn new(output: &'a Output) -> Result<Self> {
        let left = element_count(&output.shape)?;
        let (fits, data) = match &output.data {
            OutputData::Fixed(bytes) => {
                let size = output.dtype.size().and_then(|size| left.checked_mul(size));
                (size == Some(bytes.len()), Data::Fixed(bytes))
            }
            OutputData::Strings(strings) => {
                let data = Data::Strings {
                    strings,
                    next: 0,
                    as_bytes: output.name.ends_with("_bytes"),
                };
                (strings.len() == left && output.dtype == DType::STRING, data)
            }
            OutputData::Held(_) => {
                return Err(Error::internal(format!(
                    "the data of output {} stayed with the host",
                    output.name
                )));
            }
        };
        if fits {
            Ok(Self { output, data, left })
        } else {
            Err(Error::internal(format!(
                "the data of output {} does not fit its type {} and shape {:?}",
                output.name, output.dtype, output.shape
            )))
        }
    }

    /// Writes the next part: what is below dimension `dim`.
    fn write(&mut self, dim: usize, writer: &mut Pretty) -> Result<()> {
        let Some(size) = self.output.shape.get(dim) else {
            return self.write_run(1, writer);
        };
        writer.start_array();
        if dim + 1 == self.output.shape.len() {
            // No dimension is negative, and the product of all fits `usize`.
            self.write_run(*size as usize, writer)?;
        } else {
            for _ in 0..*size {
                self.write(dim + 1, writer)?;
            }
        }
        writer.end_array();
        Ok(())
    }

    /// Writes the next `count` elements.
    fn write_run(&mut self, count: usize, writer: &mut Pretty) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.left = self.left.saturating_sub(count);
        match &mut self.data {
            Data::Fixed(bytes) => {
                let size = self.output.dtype.size().unwrap_or(1);
                let (run, rest) = bytes.split_at(bytes.len().min(count * size));
                *bytes = rest;
                write_fixed(self.output.dtype, run, writer)
            }
            Data::Strings {
                strings,
                next,
                as_bytes,
            } => {
                for index in *next..*next + count {
                    write_string(string_at(strings, index), *as_bytes, writer);
                }
                *next += count;
                Ok(())
            }
        }
    }
}

fn string_at(strings: &StringData, index: usize) -> &[u8] {
    let offsets = strings.offsets();
    // `StringData` has checked its offsets, and `Reader::new` their number.
    &strings.bytes()[offsets[index] as usize..offsets[index + 1] as usize]
}

/// Text that is not UTF-8 cannot stand in JSON. The original writes it all the same; here it
/// takes the form that bytes have in requests.
fn write_string(bytes: &[u8], as_bytes: bool, writer: &mut Pretty) {
    if !as_bytes && std::str::from_utf8(bytes).is_ok() {
        return push_string(bytes, writer.value());
    }
    writer.start_object();
    writer.string(b"b64");
    let out = writer.value();
    out.push(b'"');
    base64::encode(bytes, out);
    out.push(b'"');
    writer.end_object();
}

macro_rules! write_each {
    ($type:ty, $run:expr, $writer:expr, |$value:ident, $out:ident| $push:expr) => {
        for chunk in $run.as_chunks().0 {
            let $value = <$type>::from_le_bytes(*chunk);
            let $out = $writer.value();
            $push;
        }
    };
}

fn write_fixed(dtype: DType, run: &[u8], writer: &mut Pretty) -> Result<()> {
    macro_rules! signed {
        ($type:ty) => {
            write_each!($type, run, writer, |value, out| push_integer(
                value < 0,
                u64::from(value.unsigned_abs()),
                out
            ))
        };
    }
    macro_rules! unsigned {
        ($type:ty) => {
            write_each!($type, run, writer, |value, out| push_integer(
                false,
                u64::from(value),
                out
            ))
        };
    }
    match dtype {
        DType::FLOAT => write_each!(f32, run, writer, |value, out| decimal::push_f32(value, out)),
        DType::DOUBLE => write_each!(f64, run, writer, |value, out| decimal::push_f64(value, out)),
        DType::HALF => write_each!(f16, run, writer, |value, out| decimal::push_f32(
            value.to_f32(),
            out
        )),
        DType::BFLOAT16 => write_each!(bf16, run, writer, |value, out| decimal::push_f32(
            value.to_f32(),
            out
        )),
        DType::INT8 => signed!(i8),
        DType::INT16 => signed!(i16),
        DType::INT32 => signed!(i32),
        DType::INT64 => signed!(i64),
        DType::UINT8 => unsigned!(u8),
        DType::UINT16 => unsigned!(u16),
        DType::UINT32 => unsigned!(u32),
        DType::UINT64 => unsigned!(u64),
        DType::BOOL => {
            for byte in run {
                let word: &[u8] = if *byte == 0 { b"false" } else { b"true" };
                writer.value().extend_from_slice(word);
            }
        }
        _ => {
            return Err(Error::invalid_argument(format!(
                "Failed to write JSON value for tensor type: {dtype}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
