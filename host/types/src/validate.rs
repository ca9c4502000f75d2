//! Does a request fit a signature? One answer for the gateway component and for the host.
//!
//! Names and types are always checked. Shapes are another matter: TensorFlow Serving does not
//! look at them, and its users' clients live on that (a feed of shape `[3]` to an input declared
//! `[-1, 1]` runs element by element). So the usual check refuses nothing that TensorFlow could
//! run, and [`ShapeCheck::Strict`] is for operators who want the signature taken at its word.

use std::collections::BTreeSet;

use crate::{DType, Error, Result, Signature};

/// How far shapes are checked against a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShapeCheck {
    /// Not at all: TensorFlow decides, as it does under TensorFlow Serving.
    #[default]
    Lenient,
    /// Rank and every known dimension must agree.
    Strict,
}

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
/// once, each of the declared type.
///
/// # Errors
/// `INVALID_ARGUMENT`, in TensorFlow Serving's words where it has some: which names are extra and
/// which are missing, or which input has which type instead of which.
pub fn validate_inputs(
    signature: &Signature,
    inputs: &[InputView<'_>],
    shapes: ShapeCheck,
) -> Result<()> {
    check_names(signature, inputs)?;
    for input in inputs {
        // `check_names` has found every input in the signature.
        let Some(info) = signature.inputs.get(input.name) else {
            continue;
        };
        if info.dtype != input.dtype {
            return Err(Error::invalid_argument(format!(
                "Expects input {} to be {} but {} is provided",
                input.name, info.dtype, input.dtype
            )));
        }
        let fits = match (&info.shape, shapes) {
            (_, ShapeCheck::Lenient) | (None, ShapeCheck::Strict) => true,
            (Some(declared), ShapeCheck::Strict) => fits(declared, input.shape),
        };
        if !fits {
            return Err(Error::invalid_argument(format!(
                "Expects input {} to be of shape {:?} but {:?} is provided",
                input.name,
                info.shape.as_deref().unwrap_or_default(),
                input.shape
            )));
        }
    }
    Ok(())
}

fn fits(declared: &[i64], given: &[i64]) -> bool {
    declared.len() == given.len()
        && declared
            .iter()
            .zip(given)
            .all(|(declared, given)| *declared < 0 || declared == given)
}

fn check_names(signature: &Signature, inputs: &[InputView<'_>]) -> Result<()> {
    let all_known = inputs
        .iter()
        .all(|input| signature.inputs.contains_key(input.name));
    let sent: BTreeSet<&str> = inputs.iter().map(|input| input.name).collect();
    let all_there = signature
        .inputs
        .iter()
        .all(|(name, info)| info.optional || sent.contains(name.as_str()));
    if all_known && all_there && sent.len() == inputs.len() {
        return Ok(());
    }
    let required: BTreeSet<&str> = signature.inputs.keys().map(String::as_str).collect();
    let list =
        |names: &mut dyn Iterator<Item = &&str>| names.copied().collect::<Vec<_>>().join(",");
    Err(Error::invalid_argument(format!(
        "input size does not match signature: {}!={} len({{{}}}) != len({{{}}}). \
         Sent extra: {{{}}}. Missing but required: {{{}}}.",
        inputs.len(),
        required.len(),
        list(&mut sent.iter()),
        list(&mut required.iter()),
        list(&mut sent.difference(&required)),
        list(&mut required.difference(&sent)),
    )))
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
    fn names_and_types_are_always_checked() {
        let a = ("a", DType::FLOAT, &[1, 2][..]);
        let b = ("b", DType::STRING, &[1][..]);
        assert_eq!(check(&[a, b], ShapeCheck::Lenient), Ok(()));
        assert_eq!(
            check(&[a], ShapeCheck::Lenient).unwrap_err(),
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). \
             Sent extra: {}. Missing but required: {b}."
        );
        assert_eq!(
            check(&[a, ("c", DType::STRING, &[1])], ShapeCheck::Lenient).unwrap_err(),
            "input size does not match signature: 2!=2 len({a,c}) != len({a,b}). \
             Sent extra: {c}. Missing but required: {b}."
        );
        assert!(check(&[a, a], ShapeCheck::Lenient).is_err());
        assert_eq!(
            check(&[a, ("b", DType::INT32, &[1])], ShapeCheck::Lenient).unwrap_err(),
            "Expects input b to be string but int32 is provided"
        );
    }

    #[test]
    fn an_optional_input_may_be_missing() {
        let mut signature = signature();
        for info in signature.inputs.values_mut() {
            info.optional = info.dtype == DType::STRING;
        }
        let a = InputView {
            name: "a",
            dtype: DType::FLOAT,
            shape: &[1, 2],
        };
        assert!(validate_inputs(&signature, &[a], ShapeCheck::Strict).is_ok());
        assert!(validate_inputs(&signature, &[a, a], ShapeCheck::Strict).is_err());
        let error = validate_inputs(&signature, &[], ShapeCheck::Lenient).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("input size does not match signature: 0!=2")
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
    fn counts_elements_without_overflow() {
        assert_eq!(element_count(&[]).ok(), Some(1));
        assert_eq!(element_count(&[2, 3]).ok(), Some(6));
        assert_eq!(element_count(&[i64::MAX, i64::MAX, 0]).ok(), Some(0));
        assert!(element_count(&[i64::MAX, 4]).is_err());
        assert!(element_count(&[2, -1]).is_err());
    }
}
