//! The fast way: one pass over the bytes, straight into typed buffers.
//!
//! It hopes for a valid body that fits the signature. At the first thing that is otherwise it
//! returns `None`, and the exact way starts from the beginning: nothing here reports errors, so
//! nothing here can report a wrong one.
//!
//! The signature may be named behind the tensors. Then the end of the body is searched for the
//! name beforehand, which is a guess: when the name is really read, and is another one, the
//! tensors are read again.

use tensorgate_types::DEFAULT_SIGNATURE;

use super::exact::Inputs;
use super::list::{Shape, fill};
use super::values::{Tensor, Values};
use super::{Format, PredictRequest, SignatureSource};
use crate::json::syntax::{check_value, peek, root_start, skip_whitespace};
use crate::json::text;

/// How much of the end of a body is searched for the name of a signature. Room for the member and
/// a few others behind it.
const TAIL: usize = 256;

/// Parses a body, if all goes well.
pub(super) fn parse(json: &[u8], signatures: &mut impl SignatureSource) -> Option<PredictRequest> {
    let mut assumed = None;
    // Twice at the most: the second time the name is known.
    for _ in 0..2 {
        let request = attempt(json, signatures, assumed.as_deref())?;
        if request
            .named_late
            .is_none_or(|name| name == request.parsed.signature_name)
        {
            return Some(request.parsed);
        }
        assumed = request.named_late.map(ToOwned::to_owned);
    }
    None
}

struct Attempt<'a> {
    parsed: PredictRequest,
    /// The signature's name, where it came behind the tensors.
    named_late: Option<&'a str>,
}

fn attempt<'a>(
    json: &'a [u8],
    signatures: &mut impl SignatureSource,
    assumed: Option<&str>,
) -> Option<Attempt<'a>> {
    let mut at = root_start(json);
    let mut parsed: Option<PredictRequest> = None;
    let mut named: Option<&'a str> = None;
    let mut named_late = None;
    if peek(json, at) != b'{' {
        return None;
    }
    loop {
        let (name, value) = member(json, at + 1)?;
        at = match name {
            b"instances" | b"inputs" => {
                if parsed.is_some() {
                    return None;
                }
                let signature_name = named
                    .or(assumed)
                    .or_else(|| guess_name(json))
                    .filter(|name| !name.is_empty())
                    .unwrap_or(DEFAULT_SIGNATURE);
                let found = signatures.signature(signature_name).ok()?;
                let (format, (inputs, end)) = if name == b"inputs" {
                    (Format::Columnar, columns(json, value, &found.0.inputs)?)
                } else {
                    (Format::Row, rows(json, value, &found.0.inputs)?)
                };
                parsed = Some(PredictRequest {
                    signature_name: signature_name.to_owned(),
                    format,
                    inputs,
                });
                end
            }
            b"signature_name" if named.is_none() => {
                let (text, end) = plain_string(json, value)?;
                let text = std::str::from_utf8(text).ok()?;
                named = Some(text);
                if parsed.is_some() {
                    named_late = Some(if text.is_empty() {
                        DEFAULT_SIGNATURE
                    } else {
                        text
                    });
                }
                end
            }
            _ => check_value(json, value).ok()?,
        };
        at = skip_whitespace(json, at);
        match peek(json, at) {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let parsed = parsed?;
    // Named nowhere, but guessed from something that only looked like a name.
    if named.is_none() && parsed.signature_name != DEFAULT_SIGNATURE {
        named_late = Some(DEFAULT_SIGNATURE);
    }
    Some(Attempt { parsed, named_late })
}

/// The value of what looks like `"signature_name": "..."` near the end.
fn guess_name(json: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\"signature_name\"";
    let tail = &json[json.len().saturating_sub(TAIL)..];
    let key = tail.windows(KEY.len()).position(|window| window == KEY)?;
    let colon = skip_whitespace(tail, key + KEY.len());
    let (name, _) = plain_string(tail, skip_whitespace(tail, colon + 1))?;
    std::str::from_utf8(name).ok()
}

/// A string without escapes, from its opening quote on: its content, and the position behind it.
fn plain_string(json: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if peek(json, at) != b'"' {
        return None;
    }
    let end = at + 1 + text::plain_run(json, at + 1);
    (peek(json, end) == b'"').then(|| (&json[at + 1..end], end + 1))
}

/// The name of the member from `at` on, and where its value starts.
fn member(json: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (name, end) = plain_string(json, skip_whitespace(json, at))?;
    let colon = skip_whitespace(json, end);
    (peek(json, colon) == b':').then(|| (name, skip_whitespace(json, colon + 1)))
}

type Read = (Vec<Tensor>, usize);

/// One input and what has been read of it.
struct Column<'a> {
    name: &'a str,
    tensor: Tensor,
    shape: Option<Shape>,
    is_seen: bool,
    /// Whether it may be left out.
    is_optional: bool,
}

impl<'a> Column<'a> {
    fn all(inputs: &'a Inputs) -> Option<Vec<Self>> {
        inputs
            .iter()
            .map(|(name, info)| {
                Some(Self {
                    name,
                    tensor: Tensor {
                        name: name.clone(),
                        dtype: info.dtype,
                        shape: vec![],
                        values: Values::new(info.dtype)?,
                    },
                    shape: None,
                    is_seen: false,
                    is_optional: info.optional,
                })
            })
            .collect()
    }

    /// Reads a value behind what is there. It must have the shape of the one before.
    fn read(&mut self, json: &[u8], at: usize, is_all: bool) -> Option<usize> {
        let (shape, end) = fill(json, at, &mut self.tensor.values, is_all)?;
        if *self.shape.get_or_insert(shape) != shape || self.is_seen {
            return None;
        }
        self.is_seen = true;
        Some(end)
    }

    fn finish(mut self, rows: Option<i64>) -> Option<Tensor> {
        self.tensor.shape = rows.into_iter().chain(self.shape?.dims()).collect();
        Some(self.tensor)
    }
}

/// Whether the object at `at` is a string in base64 rather than values by name.
fn starts_as_base64(json: &[u8], at: usize) -> bool {
    member(json, at + 1).is_some_and(|(name, _)| name == b"b64")
}

fn columns(json: &[u8], at: usize, inputs: &Inputs) -> Option<Read> {
    let mut columns = Column::all(inputs)?;
    let end = if peek(json, at) == b'{' && !starts_as_base64(json, at) {
        named(json, at, &mut columns, true)?
    } else {
        let [column] = &mut columns[..] else {
            return None;
        };
        column.read(json, at, true)?
    };
    columns.retain(|column| column.is_seen);
    finish(columns, None, end)
}

fn finish(columns: Vec<Column<'_>>, rows: Option<i64>, end: usize) -> Option<Read> {
    if columns.is_empty() {
        return None;
    }
    let tensors = columns.into_iter().map(|column| column.finish(rows));
    Some((tensors.collect::<Option<_>>()?, end))
}

fn rows(json: &[u8], at: usize, inputs: &Inputs) -> Option<Read> {
    if peek(json, at) != b'[' {
        return None;
    }
    let mut columns = Column::all(inputs)?;
    let first = skip_whitespace(json, at + 1);
    if peek(json, first) != b'{' || starts_as_base64(json, first) {
        // Plain rows are one more dimension of the only input.
        let [column] = &mut columns[..] else {
            return None;
        };
        let end = column.read(json, at, true)?;
        let tensors = finish(columns, None, end)?;
        return (tensors.0[0].shape[0] > 0).then_some(tensors);
    }
    let mut at = first;
    let mut count = 0;
    loop {
        if peek(json, at) != b'{' || starts_as_base64(json, at) {
            return None;
        }
        for column in &mut columns {
            column.is_seen = false;
        }
        let start = at;
        at = skip_whitespace(json, named(json, at, &mut columns, false)?);
        count += 1;
        if count == 1 {
            // What the first row leaves out, all must leave out.
            columns.retain(|column| column.is_seen);
            for column in &mut columns {
                column.is_optional = false;
            }
            let rows = (json.len() - at) / (at - start);
            for column in &mut columns {
                column
                    .tensor
                    .values
                    .reserve(rows * column.tensor.values.len());
            }
        }
        match peek(json, at) {
            b',' => at = skip_whitespace(json, at + 1),
            b']' => return finish(columns, Some(count), at + 1),
            _ => return None,
        }
    }
}

/// Reads the object at `at`, which must have each input once, and optional ones at most once. Returns the position behind it.
fn named(json: &[u8], mut at: usize, columns: &mut [Column<'_>], more: bool) -> Option<usize> {
    let mut seen = 0;
    loop {
        let (name, value) = member(json, at + 1)?;
        // Names mostly come in the same order in each row, and often in the signature's.
        let index = match columns.get(seen) {
            Some(column) if column.name.as_bytes() == name => Some(seen),
            _ => columns
                .iter()
                .position(|column| column.name.as_bytes() == name),
        };
        at = match index {
            Some(index) => {
                seen += 1;
                columns[index].read(json, value, false)?
            }
            None if more => check_value(json, value).ok()?,
            None => return None,
        };
        at = skip_whitespace(json, at);
        match peek(json, at) {
            b',' => {}
            b'}' if columns.iter().all(|it| it.is_seen || it.is_optional) => return Some(at + 1),
            _ => return None,
        }
    }
}
