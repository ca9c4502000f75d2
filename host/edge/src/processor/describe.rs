//! What a processor says of itself, checked once, when it is attached to a version.

use std::collections::BTreeMap;

use tensorgate_types::{DType, PREDICT_METHOD, ShapeCheck, Signature, Signatures, TensorInfo};

use crate::contract::processor::{DescriptionIn, TensorInfoIn};
use crate::convert::{MAX_RANK, MAX_TENSORS};

/// Signatures that a processor may cover, and content types of one. Models have some tens.
const MAX_LISTED: usize = 256;

/// Bytes of a name.
const MAX_NAME: usize = 1024;

/// A signature that a processor covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covered {
    /// As clients see it.
    pub(crate) signature: Signature,
    /// How requests of tensors are held against it.
    pub(crate) shapes: ShapeCheck,
    /// In lower case, without parameters.
    pub(crate) content_types: Vec<String>,
    /// Whether there is anything that clients may send as tensors.
    pub(crate) takes_tensors: bool,
}

/// What `describe` gave, for a model with these signatures.
///
/// # Errors
/// What is wrong with it.
pub(super) fn covered(
    descriptions: Vec<DescriptionIn>,
    signatures: &Signatures,
) -> Result<BTreeMap<String, Covered>, String> {
    if descriptions.len() > MAX_LISTED {
        return Err(format!(
            "it describes {} signatures; expected {MAX_LISTED} at most",
            descriptions.len()
        ));
    }
    if descriptions.is_empty() {
        return Err(
            "it covers no signature, so that it would never be asked; expected one at \
                    least"
                .to_owned(),
        );
    }
    let mut all = BTreeMap::new();
    for description in descriptions {
        let name = description.signature_name.clone();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(format!(
                "a signature's name has {} bytes; expected 1 to {MAX_NAME}",
                name.len()
            ));
        }
        let one = cover(description, signatures.get(&name))
            .map_err(|problem| format!("signature {name}: {problem}"))?;
        if all.insert(name.clone(), one).is_some() {
            return Err(format!("it describes signature {name} twice"));
        }
    }
    Ok(all)
}

fn cover(description: DescriptionIn, model: Option<&Signature>) -> Result<Covered, String> {
    if description.content_types.len() > MAX_LISTED {
        return Err(format!("it has more than {MAX_LISTED} content types"));
    }
    let content_types = description.content_types.iter();
    let content_types: Vec<String> = content_types
        .map(|content_type| media_range(content_type))
        .collect::<Result<_, _>>()?;
    let takes_tensors = description.inputs.is_some() || model.is_some();
    if !takes_tensors && content_types.is_empty() {
        return Err(
            "the model has no signature of this name, and the description has neither inputs nor \
             content types: nobody could call it"
                .to_owned(),
        );
    }
    let shapes = match description.inputs {
        Some(_) => ShapeCheck::Strict,
        None => ShapeCheck::Lenient,
    };
    let of_model = |side: fn(&Signature) -> &BTreeMap<String, TensorInfo>| {
        model.map(|model| side(model).clone()).unwrap_or_default()
    };
    let inputs = match description.inputs {
        Some(infos) => tensor_infos(infos).map_err(|problem| format!("inputs: {problem}"))?,
        None => of_model(|signature| &signature.inputs),
    };
    let outputs = match description.outputs {
        Some(infos) => tensor_infos(infos).map_err(|problem| format!("outputs: {problem}"))?,
        None => of_model(|signature| &signature.outputs),
    };
    Ok(Covered {
        signature: Signature {
            method_name: model
                .map_or(PREDICT_METHOD, |model| &model.method_name)
                .to_owned(),
            inputs,
            outputs,
        },
        shapes,
        content_types,
        takes_tensors,
    })
}

fn tensor_infos(infos: Vec<TensorInfoIn>) -> Result<BTreeMap<String, TensorInfo>, String> {
    if infos.len() > MAX_TENSORS {
        return Err(format!(
            "there are {} tensors; expected {MAX_TENSORS} at most",
            infos.len()
        ));
    }
    let mut all = BTreeMap::new();
    for info in infos {
        let TensorInfoIn {
            name,
            dtype,
            shape,
            optional,
        } = info;
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(format!(
                "a tensor's name has {} bytes; expected 1 to {MAX_NAME}",
                name.len()
            ));
        }
        let dtype = DType::from_number(dtype);
        if !dtype.is_servable() {
            return Err(format!("{name} cannot be of type {dtype}"));
        }
        if let Some(shape) = &shape
            && (shape.len() > MAX_RANK || shape.iter().any(|dim| *dim < -1))
        {
            return Err(format!(
                "{name} has the shape {shape:?}; expected at most {MAX_RANK} dimensions, each -1 \
                 or not negative"
            ));
        }
        let info = TensorInfo {
            // There is no such tensor in the graph.
            tensor_name: String::new(),
            dtype,
            shape,
            optional,
        };
        if all.insert(name.clone(), info).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(all)
}

/// `image/jpeg` or `image/*`, in lower case.
fn media_range(text: &str) -> Result<String, String> {
    let is_token = |part: &str| {
        let mark = |byte: u8| b"!#$%&'+-.^_`|~".contains(&byte);
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
    };
    let range = text.trim().to_ascii_lowercase();
    match range.split_once('/') {
        Some((kind, sub)) if is_token(kind) && (sub == "*" || is_token(sub)) => Ok(range),
        _ => {
            let shown: String = text.chars().take(64).collect();
            Err(format!(
                "{shown:?} is no content type; expected one like image/jpeg or image/*, without \
                 parameters"
            ))
        }
    }
}
