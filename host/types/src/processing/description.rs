//! What a processor says of itself.

use std::collections::BTreeMap;

use super::{MAX_RANK, MAX_TENSORS};
use crate::{
    DType, Error, InputView, PREDICT_METHOD, Result, ShapeCheck, Signature, Signatures, TensorInfo,
    validate_inputs,
};

/// Signatures that a processor may cover, and content types of one. Models have some tens.
const MAX_LISTED: usize = 256;

/// Bytes of a name.
const MAX_NAME: usize = 1024;

/// How clients are to see a signature, as a processor says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The signature.
    pub signature_name: String,
    /// Content types of bodies that it takes as they come.
    pub content_types: Vec<String>,
    /// The tensors that clients send; none for those of the model.
    pub inputs: Option<Vec<NamedInfo>>,
    /// The tensors that clients get; none for those of the model.
    pub outputs: Option<Vec<NamedInfo>>,
}

/// A tensor of a [`Description`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInfo {
    /// Its name.
    pub name: String,
    /// The number of its element type.
    pub dtype: u32,
    /// Its dimensions, -1 where one is not known.
    pub shape: Option<Vec<i64>>,
    /// Whether clients may leave it out.
    pub optional: bool,
}

/// A signature that a processor covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// As clients see it.
    pub signature: Signature,
    /// How requests of tensors are held against it.
    pub shapes: ShapeCheck,
    /// In lower case, without parameters.
    pub content_types: Vec<String>,
    /// Whether there is anything that clients may send as tensors.
    pub takes_tensors: bool,
}

impl Covered {
    /// How requests of tensors are held against it, before a model whose operator wants `model`.
    #[must_use]
    pub fn shapes_before(&self, model: ShapeCheck) -> ShapeCheck {
        match model {
            ShapeCheck::Strict => ShapeCheck::Strict,
            ShapeCheck::Lenient => self.shapes,
        }
    }

    /// Whether a client's tensors fit this signature, of the name `name`, before such a model.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn check(&self, name: &str, inputs: &[InputView<'_>], model: ShapeCheck) -> Result<()> {
        if !self.takes_tensors {
            return Err(Error::invalid_argument(format!(
                "the signature {name} takes no tensors, but bodies of the content types {}",
                self.content_types.join(", ")
            )));
        }
        validate_inputs(&self.signature, inputs, self.shapes_before(model))
    }
}

/// What `describe` gave, for a model with these signatures.
///
/// # Errors
/// What is wrong with it.
pub fn covered(
    descriptions: Vec<Description>,
    signatures: &Signatures,
) -> Result<BTreeMap<String, Covered>, String> {
    if descriptions.len() > MAX_LISTED {
        return Err(format!(
            "it describes {} signatures; expected {MAX_LISTED} at most",
            descriptions.len()
        ));
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

fn cover(description: Description, model: Option<&Signature>) -> Result<Covered, String> {
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

fn tensor_infos(infos: Vec<NamedInfo>) -> Result<BTreeMap<String, TensorInfo>, String> {
    if infos.len() > MAX_TENSORS {
        return Err(format!(
            "there are {} tensors; expected {MAX_TENSORS} at most",
            infos.len()
        ));
    }
    let mut all = BTreeMap::new();
    for info in infos {
        let NamedInfo {
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
