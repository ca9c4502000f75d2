//! What a processor gives: tensors that have to be what they say, and what it has promised.

use bytes::Bytes;

use super::{MAX_RANK, MAX_TENSORS};
use crate::{DType, Error, NamedTensors, Result, Signature, StringData, Tensor, element_count};

/// Bytes of a content type: it becomes a header.
const MAX_CONTENT_TYPE: usize = 256;

/// A tensor that nobody has looked at.
#[derive(Debug, Clone)]
pub struct GivenTensor {
    /// The number of its element type.
    pub dtype: u32,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its elements.
    pub data: GivenData,
}

/// Elements that nobody has looked at.
#[derive(Debug, Clone)]
pub enum GivenData {
    /// Of a fixed size.
    Fixed(Bytes),
    /// Strings.
    Strings {
        /// Where they begin and end.
        offsets: Vec<u64>,
        /// All of them.
        bytes: Bytes,
    },
}

/// Tensors, each once and each what it says. `what` they are is for the error.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn given_tensors(
    tensors: impl ExactSizeIterator<Item = (String, GivenTensor)>,
    what: &str,
) -> Result<NamedTensors> {
    check_tensor_count(what, tensors.len())?;
    let mut checked: NamedTensors = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        if checked.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid_argument(format!("{name} is there twice")));
        }
        let tensor = given_tensor(tensor).map_err(|error| of_input(&name, &error))?;
        checked.push((name, tensor));
    }
    Ok(checked)
}

fn given_tensor(tensor: GivenTensor) -> Result<Tensor> {
    let GivenTensor { dtype, shape, data } = tensor;
    let dtype = DType::from_number(dtype);
    if !dtype.is_servable() {
        return Err(Error::invalid_argument(format!(
            "a tensor cannot be of type {dtype}"
        )));
    }
    if shape.len() > MAX_RANK {
        return Err(Error::invalid_argument(format!(
            "a tensor has at most {MAX_RANK} dimensions, got {}",
            shape.len()
        )));
    }
    // Negative dimensions have words of their own.
    element_count(&shape)?;
    match data {
        GivenData::Fixed(bytes) => Tensor::fixed(dtype, shape, bytes),
        GivenData::Strings { .. } if dtype.size().is_some() => Err(Error::invalid_argument(
            format!("{dtype} tensor needs elements of a fixed size, got strings"),
        )),
        GivenData::Strings { offsets, bytes } => {
            Tensor::strings(shape, StringData::new(offsets, bytes)?)
        }
    }
}

/// Whether so many tensors can be in one call.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_tensor_count(what: &str, count: usize) -> Result<()> {
    if count > MAX_TENSORS {
        return Err(Error::invalid_argument(format!(
            "one call takes at most {MAX_TENSORS} {what}, got {count}"
        )));
    }
    Ok(())
}

/// An error with the name of the input that it is about.
#[must_use]
pub fn of_input(name: &str, error: &Error) -> Error {
    Error::new(error.code(), format!("input {name}: {}", error.message()))
}

/// Whether it can be a header's value.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_content_type(content_type: &str) -> Result<()> {
    let visible = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if visible && content_type.contains('/') && content_type.len() <= MAX_CONTENT_TYPE {
        return Ok(());
    }
    let shown: String = content_type.chars().take(64).collect();
    Err(Error::invalid_argument(format!(
        "{shown:?} is no content type; expected one like application/json, of at most \
         {MAX_CONTENT_TYPE} visible characters"
    )))
}

/// What a client gets of a processor's tensors: the outputs that it wants, where it said so, of
/// those that the signature promises; in the order of their names, as everybody gets them.
///
/// # Errors
/// `INTERNAL` when the tensors are not what the processor said that it would give.
pub fn promised_outputs<S: AsRef<str>>(
    tensors: NamedTensors,
    signature: &Signature,
    wanted: &[S],
) -> Result<NamedTensors> {
    for (name, tensor) in &tensors {
        let Some(info) = signature.outputs.get(name) else {
            return Err(Error::internal(format!(
                "it gave the output {name}, which it has not described"
            )));
        };
        if info.dtype != tensor.dtype() {
            return Err(Error::internal(format!(
                "it gave the output {name} as {}, and described it as {}",
                tensor.dtype(),
                info.dtype
            )));
        }
    }
    let is_there = |name: &&str| tensors.iter().any(|(given, _)| given == name);
    let mut expected: Box<dyn Iterator<Item = &str>> = if wanted.is_empty() {
        Box::new(signature.outputs.keys().map(String::as_str))
    } else {
        Box::new(wanted.iter().map(AsRef::as_ref))
    };
    if let Some(name) = expected.find(|name| !is_there(name)) {
        return Err(Error::internal(format!(
            "it did not give the output {name}"
        )));
    }
    drop(expected);
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted.as_ref() == name);
    let mut kept: NamedTensors = tensors
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .collect();
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(kept)
}
