//! Does a request fit a signature? One answer for the gateway component and for the host.
//!
//! Names are always checked. Types and shapes are another matter: TensorFlow Serving does not
//! look at them, and its users' clients live on that (a feed of shape `[3]` to an input declared
//! `[-1, 1]` runs element by element, and models exist that declare an input of serialized
//! examples as float). So the usual check leaves it to TensorFlow to say what a tensor of the graph
//! cannot take; and [`ShapeCheck::Strict`] is for operators who want the signature taken at its
//! word.
//!
//! One thing is never left to TensorFlow: an input of pictures with too few dimensions. oneDNN's
//! convolutions do not refuse it but abort the process, and every other request with it.

use std::collections::BTreeSet;

use crate::{DType, Error, Result, Signature, TensorInfo};

/// How far types and shapes are checked against a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShapeCheck {
    /// Only the rank of inputs with [`FIXED_RANK`] dimensions or more: TensorFlow decides, as it
    /// does under TensorFlow Serving.
    #[default]
    Lenient,
    /// The type, the rank and every known dimension must agree.
    Strict,
}

/// An input that is declared with as many dimensions must have exactly as many as are declared.
///
/// Convolutions take three (in one dimension, with batch and channels) to five, and have no use
/// for another number; what runs element by element on fewer is as free as it ever was.
pub const FIXED_RANK: usize = 3;

/// What the check needs to see of an input.
#[derive(Debug, Clone, Copy)]
pub struct InputView<'a> {
    /// The input's name in the signature.
    pub name: &'a str,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: &'a [i64],
}

impl InputView<'_> {
    /// How many bytes its elements have; 0 where they have no fixed size, or more than there can
    /// be.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let count = element_count(self.shape).unwrap_or(0);
        let bytes = self.dtype.size().and_then(|size| count.checked_mul(size));
        bytes.unwrap_or(0)
    }
}

/// The number of elements of a tensor of this shape: 1 for a scalar.
///
/// # Errors
/// `INVALID_ARGUMENT` for a negative dimension, and when the number does not fit `usize`.
pub fn element_count(shape: &[i64]) -> Result<usize> {
    // A zero anywhere makes the tensor empty, however large the other dimensions are.
    if let Some(negative) = shape.iter().find(|dim| **dim < 0) {
        return Err(Error::invalid_argument(format!(
            "shape {shape:?} has the negative dimension {negative}"
        )));
    }
    if shape.contains(&0) {
        return Ok(0);
    }
    shape
        .iter()
        .try_fold(1usize, |count, dim| {
            usize::try_from(*dim)
                .ok()
                .and_then(|dim| count.checked_mul(dim))
        })
        .ok_or_else(|| Error::invalid_argument(format!("shape {shape:?} has too many elements")))
}

/// Checks the inputs of a request against a signature.
///
/// `inputs` must be exactly the signature's, except that optional ones may be missing: each name
/// once.
///
/// # Errors
/// `INVALID_ARGUMENT`, in TensorFlow Serving's words where it has some: which names are extra and
/// which are missing, or, when that is checked, which input is not what the signature says. One
/// of the texts names the tensor of the graph; whoever knows no graph leaves names to the host.
pub fn validate_inputs(
    signature: &Signature,
    inputs: &[InputView<'_>],
    shapes: ShapeCheck,
) -> Result<()> {
    validate_names(signature, inputs)?;
    inputs
        .iter()
        // `validate_names` has found every input in the signature.
        .filter_map(|input| Some((input, signature.inputs.get(input.name)?)))
        .try_for_each(|(input, info)| match shapes {
            ShapeCheck::Lenient => check_rank(input, info),
            ShapeCheck::Strict => check_strictly(input, info),
        })
}

fn check_rank(input: &InputView<'_>, info: &TensorInfo) -> Result<()> {
    match &info.shape {
        Some(declared) if declared.len() >= FIXED_RANK && declared.len() != input.shape.len() => {
            Err(bad_shape(input, declared))
        }
        _ => Ok(()),
    }
}

fn check_strictly(input: &InputView<'_>, info: &TensorInfo) -> Result<()> {
    if info.dtype != input.dtype {
        return Err(Error::invalid_argument(format!(
            "Expects input {} to be {} but {} is provided",
            input.name, info.dtype, input.dtype
        )));
    }
    match &info.shape {
        Some(declared) if !fits(declared, input.shape) => Err(bad_shape(input, declared)),
        _ => Ok(()),
    }
}

fn bad_shape(input: &InputView<'_>, declared: &[i64]) -> Error {
    Error::invalid_argument(format!(
        "Expects input {} to be of shape {declared:?} but {:?} is provided",
        input.name, input.shape
    ))
}

fn fits(declared: &[i64], given: &[i64]) -> bool {
    declared.len() == given.len()
        && declared
            .iter()
            .zip(given)
            .all(|(declared, given)| *declared < 0 || declared == given)
}

/// Checks the names of inputs alone, as [`validate_inputs`] does first.
///
/// # Errors
/// `INVALID_ARGUMENT`, as there.
pub fn validate_names(signature: &Signature, inputs: &[InputView<'_>]) -> Result<()> {
    let sent: BTreeSet<&str> = inputs.iter().map(|input| input.name).collect();
    let declared: BTreeSet<&str> = signature.inputs.keys().map(String::as_str).collect();
    let optional = || {
        let infos = signature.inputs.iter();
        infos.filter_map(|(name, info)| info.optional.then_some(name.as_str()))
    };
    // Counted as they were sent: a name that comes twice is one too many.
    let fewer = inputs.len() < declared.len();
    if inputs.len() > declared.len() || (fewer && optional().next().is_none()) {
        return Err(Error::invalid_argument(format!(
            "input size does not match signature: {}!={} len({{{}}}) != len({{{}}}). \
             Sent extra: {{{}}}. Missing but required: {{{}}}.",
            inputs.len(),
            declared.len(),
            list(sent.iter().copied()),
            list(declared.iter().copied()),
            list(sent.difference(&declared).copied()),
            list(declared.difference(&sent).copied()),
        )));
    }
    let missing = signature
        .inputs
        .iter()
        .find(|(name, info)| !info.optional && !sent.contains(name.as_str()));
    if let Some((name, info)) = missing {
        return Err(Error::invalid_argument(format!(
            "Signature input alias: {name}(feed name: {}) not found in request and no default \
             value provided. Inputs expected to be in the request {{{}}}, or default input alias \
             set: {}",
            info.tensor_name,
            list(sent.iter().copied()),
            list(optional()),
        )));
    }
    let used: BTreeSet<&str> = sent.intersection(&declared).copied().collect();
    if used.len() != inputs.len() {
        return Err(Error::invalid_argument(format!(
            "Inputs contains invalid name. Used request inputs: {}, request input: {}",
            list(used.iter().copied()),
            list(sent.iter().copied()),
        )));
    }
    Ok(())
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorInfo;

    fn signature() -> Signature {
        let info = |dtype, shape: &[i64]| TensorInfo {
            tensor_name: "t:0".to_owned(),
            dtype,
            shape: Some(shape.to_vec()),
            optional: false,
        };
        Signature {
            method_name: crate::PREDICT_METHOD.to_owned(),
            inputs: [
                ("a".to_owned(), info(DType::FLOAT, &[-1, 2])),
                ("b".to_owned(), info(DType::STRING, &[-1])),
            ]
            .into(),
            outputs: [].into(),
        }
    }

    fn check(inputs: &[(&str, DType, &[i64])], shapes: ShapeCheck) -> Result<(), String> {
        let views: Vec<_> = inputs
            .iter()
            .map(|(name, dtype, shape)| InputView {
                name,
                dtype: *dtype,
                shape,
            })
            .collect();
        validate_inputs(&signature(), &views, shapes).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn names_are_always_checked() {
        let a = ("a", DType::FLOAT, &[1, 2][..]);
        let b = ("b", DType::STRING, &[1][..]);
        let c = ("c", DType::STRING, &[1][..]);
        assert_eq!(check(&[a, b], ShapeCheck::Lenient), Ok(()));
        let cases: &[(&[_], _)] = &[
            (
                &[a],
                "input size does not match signature: 1!=2 len({a}) != len({a,b}). \
                 Sent extra: {}. Missing but required: {b}.",
            ),
            (
                &[c, b, a],
                "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). \
                 Sent extra: {c}. Missing but required: {}.",
            ),
            (
                &[a, c],
                "Signature input alias: b(feed name: t:0) not found in request and no default \
                 value provided. Inputs expected to be in the request {a,c}, or default input \
                 alias set: ",
            ),
            (
                &[a, a],
                "Signature input alias: b(feed name: t:0) not found in request and no default \
                 value provided. Inputs expected to be in the request {a}, or default input \
                 alias set: ",
            ),
        ];
        for (inputs, message) in cases {
            assert_eq!(check(inputs, ShapeCheck::Lenient).unwrap_err(), *message);
        }
    }

    #[test]
    fn an_optional_input_may_be_missing() {
        let mut signature = signature();
        for info in signature.inputs.values_mut() {
            info.optional = info.dtype == DType::STRING;
        }
        let view = |name| InputView {
            name,
            dtype: DType::FLOAT,
            shape: &[1, 2],
        };
        let check = |names: &[&'static str]| {
            let views: Vec<_> = names.iter().map(|name| view(name)).collect();
            validate_inputs(&signature, &views, ShapeCheck::Lenient)
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(&["a"]), Ok(()));
        assert_eq!(
            check(&[]).unwrap_err(),
            "Signature input alias: a(feed name: t:0) not found in request and no default value \
             provided. Inputs expected to be in the request {}, or default input alias set: b"
        );
        assert_eq!(
            check(&["z", "a"]).unwrap_err(),
            "Inputs contains invalid name. Used request inputs: a, request input: a,z"
        );
        assert_eq!(
            check(&["a", "a"]).unwrap_err(),
            "Inputs contains invalid name. Used request inputs: a, request input: a"
        );
    }

    #[test]
    fn types_are_checked_only_when_asked_for() {
        let wrong = [
            ("a", DType::STRING, &[1, 2][..]),
            ("b", DType::STRING, &[1][..]),
        ];
        assert_eq!(check(&wrong, ShapeCheck::Lenient), Ok(()));
        assert_eq!(
            check(&wrong, ShapeCheck::Strict).unwrap_err(),
            "Expects input a to be float but string is provided"
        );
    }

    #[test]
    fn shapes_are_checked_only_when_asked_for() {
        let wrong = [
            ("a", DType::FLOAT, &[3][..]),
            ("b", DType::STRING, &[1][..]),
        ];
        assert_eq!(check(&wrong, ShapeCheck::Lenient), Ok(()));
        assert_eq!(
            check(&wrong, ShapeCheck::Strict).unwrap_err(),
            "Expects input a to be of shape [-1, 2] but [3] is provided"
        );
        let right = [
            ("a", DType::FLOAT, &[9, 2][..]),
            ("b", DType::STRING, &[0][..]),
        ];
        assert_eq!(check(&right, ShapeCheck::Strict), Ok(()));
    }

    #[test]
    fn what_convolutions_take_has_as_many_dimensions_as_are_declared() {
        let mut signature = signature();
        for info in signature.inputs.values_mut() {
            info.shape = Some(vec![-1, 28, 28, 1]);
            info.optional = info.dtype == DType::STRING;
        }
        let check = |shape| {
            let view = InputView {
                name: "a",
                dtype: DType::FLOAT,
                shape,
            };
            validate_inputs(&signature, &[view], ShapeCheck::Lenient)
                .map_err(|error| error.message().to_owned())
        };
        for shape in [&[][..], &[3], &[28, 28, 1], &[1, 1, 28, 28, 1]] {
            assert_eq!(
                check(shape).unwrap_err(),
                format!("Expects input a to be of shape [-1, 28, 28, 1] but {shape:?} is provided")
            );
        }
        // Dimensions are still TensorFlow's.
        assert_eq!(check(&[2, 14, 14, 3]), Ok(()));
    }

    #[test]
    fn counts_elements_without_overflow() {
        assert_eq!(element_count(&[]).ok(), Some(1));
        assert_eq!(element_count(&[2, 3]).ok(), Some(6));
        assert_eq!(element_count(&[i64::MAX, i64::MAX, 0]).ok(), Some(0));
        assert!(element_count(&[i64::MAX, 4]).is_err());
        assert!(element_count(&[2, -1]).is_err());
    }
}
