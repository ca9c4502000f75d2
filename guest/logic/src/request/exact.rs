//! The exact way: TensorFlow Serving's checks, in its order, in its words.
//!
//! The body's syntax is checked whole first; after that the bytes are walked where they lie. No
//! tree is built, and nothing recurses, so neither size nor depth of a body costs more than a
//! small multiple of it.

use std::collections::BTreeMap;

use tensorgate_types::{DEFAULT_SIGNATURE, DType, Error, Result, Signature, TensorInfo};

use super::instances;
use super::values::{Tensor, Values};
use super::{Format, PredictRequest, SignatureSource};
use crate::json::dump::dump;
use crate::json::walk::{self, Kind, kind};
use crate::json::{base64, number, syntax, text};

/// The inputs that a signature wants.
pub(super) type Inputs = BTreeMap<String, TensorInfo>;

/// Where a body's root object starts, and the signature that it names (empty when it names none).
pub(super) struct Envelope {
    pub(super) root: usize,
    pub(super) signature_name: String,
}

/// `JSON Value: <dump> <rest>`.
pub(super) fn format_error(json: &[u8], at: usize, rest: &str) -> Error {
    Error::invalid_argument(format!("JSON Value: {} {rest}", dump(json, at)))
}

/// Checks what can be checked before the model is known: the syntax, that the root is an object,
/// and that `signature_name` is a string.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub(crate) fn check_envelope(json: &[u8]) -> Result<()> {
    envelope(json).map(|_| ())
}

pub(super) fn envelope(json: &[u8]) -> Result<Envelope> {
    if json.is_empty() {
        return Err(Error::invalid_argument(
            "JSON Parse error: The document is empty",
        ));
    }
    syntax::check_document(json).map_err(|error| {
        Error::invalid_argument(format!(
            "JSON Parse error: {} at offset: {}",
            error.text, error.offset
        ))
    })?;
    let root = syntax::root_start(json);
    if kind(json, root) != Kind::Object {
        return Err(format_error(json, root, "Is not object"));
    }
    let signature_name = match walk::find_member(json, root, "signature_name") {
        None => String::new(),
        Some(at) if kind(json, at) == Kind::String => {
            let name = text::decoded(walk::scalar_token(json, at));
            String::from_utf8_lossy(&name).into_owned()
        }
        Some(_) => {
            return Err(format_error(
                json,
                root,
                "not formatted correctly. 'signature_name' key must be a string value.",
            ));
        }
    };
    Ok(Envelope {
        root,
        signature_name,
    })
}

/// Parses a body.
pub(super) fn parse(json: &[u8], signatures: &mut impl SignatureSource) -> Result<PredictRequest> {
    let envelope = envelope(json)?;
    let signature_name = if envelope.signature_name.is_empty() {
        DEFAULT_SIGNATURE
    } else {
        &envelope.signature_name
    };
    let found = signatures.signature(signature_name)?;
    let (format, inputs) = fill(json, &envelope, &found.0)?;
    Ok(PredictRequest {
        signature_name: signature_name.to_owned(),
        format,
        inputs,
    })
}

fn fill(json: &[u8], envelope: &Envelope, signature: &Signature) -> Result<(Format, Vec<Tensor>)> {
    let instances = walk::find_member(json, envelope.root, "instances");
    let inputs = walk::find_member(json, envelope.root, "inputs");
    if signature.inputs.is_empty() {
        return match (instances, inputs) {
            // The original cannot call such a signature at all.
            (None, Some(at)) if kind(json, at) == Kind::Object => Ok((Format::Columnar, vec![])),
            _ => Err(Error::invalid_argument(format!(
                "Failed to get input map for signature: {}",
                match &*envelope.signature_name {
                    "" => "DEFAULT",
                    name => name,
                }
            ))),
        };
    }
    let fail = |rest| Err(format_error(json, envelope.root, rest));
    match (instances, inputs) {
        (Some(_), Some(_)) => fail(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (Some(at), None) => {
            if kind(json, at) != Kind::Array {
                return fail("Expecting 'instances' to be an list/array");
            }
            let Some(first) = walk::first_element(json, at) else {
                return fail("No values in 'instances' array");
            };
            instances::fill(json, first, &signature.inputs).map(|inputs| (Format::Row, inputs))
        }
        (None, Some(at)) => {
            fill_columns(json, at, &signature.inputs).map(|inputs| (Format::Columnar, inputs))
        }
        (None, None) => Err(Error::invalid_argument(
            "Missing 'inputs' or 'instances' key",
        )),
    }
}

/// Whether a value is an object of named values, and not a string in base64.
pub(super) fn is_named(json: &[u8], at: usize) -> bool {
    kind(json, at) == Kind::Object && walk::base64_member(json, at).is_none()
}

fn fill_columns(json: &[u8], at: usize, inputs: &Inputs) -> Result<Vec<Tensor>> {
    let column = |(name, info): (&String, &TensorInfo), at| {
        let mut values = Values::new(info.dtype);
        let shape = fill_tensor(json, at, info.dtype, values.as_mut())?;
        Ok(finish(name, info.dtype, shape, values))
    };
    if !is_named(json, at) {
        if inputs.len() > 1 {
            return Err(Error::invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple \
                 input tensors required as per tensorinfo_map",
            ));
        }
        return inputs.iter().map(|input| column(input, at)).collect();
    }
    let given = inputs
        .iter()
        .filter_map(|input| match walk::find_member(json, at, input.0) {
            Some(at) => Some(column(input, at)),
            // The model has a value for it.
            None if input.1.optional => None,
            None => Some(Err(Error::invalid_argument(format!(
                "Missing named input: {} in 'inputs' object.",
                input.0
            )))),
        });
    given.collect()
}

/// A tensor of the parts. There is no buffer for a type that JSON cannot be made into, and no
/// need of one: only a tensor without elements gets here.
pub(super) fn finish(name: &str, dtype: DType, shape: Vec<i64>, values: Option<Values>) -> Tensor {
    Tensor {
        name: name.to_owned(),
        dtype,
        shape,
        values: values.unwrap_or(Values::U8(Vec::new())),
    }
}

/// Adds the value at `at` to `values` and returns its shape, which the first elements decide and
/// all others must have.
pub(super) fn fill_tensor(
    json: &[u8],
    at: usize,
    dtype: DType,
    mut values: Option<&mut Values>,
) -> Result<Vec<i64>> {
    let measure = walk::measure(json, at);
    let shape = &measure.sizes[..measure.rank];
    let mut sizes = measure.sizes.iter();
    let mut level = 0;
    let mut at = at;
    loop {
        if kind(json, at) == Kind::Array {
            // One size for each array was measured, in this order.
            let size = sizes.next().copied().unwrap_or_default();
            check_list(size, level, shape)?;
            level += 1;
            if let Some(first) = walk::first_element(json, at) {
                at = first;
                continue;
            }
            at = syntax::skip_whitespace(json, at + 1);
        } else {
            if level != shape.len() {
                return Err(Error::invalid_argument(format!(
                    "JSON Value: {} found at incorrect level: {} in the JSON DOM. \
                     Expected at level: {}",
                    dump(json, at),
                    level + 1,
                    shape.len()
                )));
            }
            add_value(json, at, dtype, values.as_deref_mut())?;
            at = walk::skip_value(json, at);
        }
        // Behind an element, or at the bracket of an empty list.
        loop {
            if level == 0 {
                return Ok(shape.iter().map(|size| i64::from(*size)).collect());
            }
            if let Some(next) = walk::next_element(json, at) {
                at = next;
                break;
            }
            level -= 1;
            at = syntax::skip_whitespace(json, at) + 1;
        }
    }
}

fn check_list(size: u32, level: usize, shape: &[u32]) -> Result<()> {
    let Some(expected) = shape.get(level) else {
        return Err(Error::invalid_argument(format!(
            "Encountered list at unexpected level: {level} expected < {}",
            shape.len()
        )));
    };
    if size == *expected {
        Ok(())
    } else {
        Err(Error::invalid_argument(format!(
            "Encountered list at unexpected size: {size} at level: {level} \
             expected size: {expected}"
        )))
    }
}

fn type_error(json: &[u8], at: usize, dtype: DType) -> Error {
    Error::invalid_argument(format!(
        "JSON Value: {} Type: {} is not of expected type: {dtype}",
        dump(json, at),
        kind(json, at).name()
    ))
}

fn add_value(json: &[u8], at: usize, dtype: DType, values: Option<&mut Values>) -> Result<()> {
    let kind = kind(json, at);
    let Some(values) = values else {
        if kind == Kind::Object {
            return Err(type_error(json, at, dtype));
        }
        return Err(Error::unimplemented(format!(
            "Conversion of JSON Value: {} to type: {dtype}",
            dump(json, at)
        )));
    };
    let added = match (values, kind) {
        (Values::Strings(offsets, bytes), Kind::String) => {
            text::decode(json, at, bytes);
            offsets.push(bytes.len() as u64);
            true
        }
        (Values::Strings(offsets, bytes), Kind::Object) => {
            add_base64(json, at, bytes)?;
            offsets.push(bytes.len() as u64);
            true
        }
        (Values::Bool(list), Kind::True | Kind::False) => {
            list.push(u8::from(kind == Kind::True));
            true
        }
        (values, Kind::Number) => values.push_number(number::value(walk::scalar_token(json, at))),
        _ => false,
    };
    if added {
        Ok(())
    } else {
        Err(type_error(json, at, dtype))
    }
}

fn add_base64(json: &[u8], at: usize, out: &mut Vec<u8>) -> Result<()> {
    let Some(token) = walk::base64_member(json, at) else {
        return Err(format_error(
            json,
            at,
            "not formatted correctly for base64 data",
        ));
    };
    base64::decode(&text::decoded(token), out)
        .ok_or_else(|| Error::invalid_argument("Unable to base64 decode"))
}
