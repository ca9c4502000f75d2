//! What may ride together.

use std::hash::{DefaultHasher, Hash, Hasher};

use tensorgate_engine::Call;
use tensorgate_types::{DType, Tensor};

/// What the members of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Nothing: each request is a run of its own.
    Alone,
    /// Everything but the rows.
    Rows {
        signature: String,
        /// The outputs that are wanted, sorted; empty for all.
        outputs: Vec<String>,
        /// Name, type and the dimensions behind the first; where tensors are padded, as many
        /// zeros.
        inputs: Vec<(String, DType, Vec<i64>)>,
    },
}

/// How many rows a call has, if it has rows at all: every input has a first dimension, and all
/// have the same. Calls without rows or without elements cannot ride.
pub(crate) fn rows_of(call: &Call) -> Option<usize> {
    let mut rows = None;
    for (_, tensor) in &call.inputs {
        let first = *tensor.shape().first()?;
        if *rows.get_or_insert(first) != first || tensor.shape().contains(&0) {
            return None;
        }
    }
    rows.and_then(|rows| usize::try_from(rows).ok())
}

/// Brings a call into the order that keys and batches have: inputs and outputs by name.
pub(crate) fn sort(call: &mut Call) {
    if !call.inputs.is_sorted_by(|a, b| a.0 <= b.0) {
        call.inputs.sort_by(|a, b| a.0.cmp(&b.0));
    }
    if !call.outputs.is_sorted() {
        call.outputs.sort();
    }
    call.outputs.dedup();
}

/// A number that equal keys share. `call` is sorted.
pub(crate) fn hash(call: &Call, padded: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    call.signature.hash(&mut hasher);
    call.outputs.hash(&mut hasher);
    for (name, tensor) in &call.inputs {
        name.hash(&mut hasher);
        tensor.dtype().hash(&mut hasher);
        if padded {
            tensor.shape().len().hash(&mut hasher);
        } else {
            inner(tensor).hash(&mut hasher);
        }
    }
    hasher.finish()
}

impl Key {
    /// The key of a sorted call.
    pub(crate) fn of(call: &Call, padded: bool) -> Self {
        let inner_of = |tensor: &Tensor| {
            if padded {
                vec![0; inner(tensor).len()]
            } else {
                inner(tensor).to_vec()
            }
        };
        let inputs = call.inputs.iter();
        Self::Rows {
            signature: call.signature.clone(),
            outputs: call.outputs.clone(),
            inputs: inputs
                .map(|(name, tensor)| (name.clone(), tensor.dtype(), inner_of(tensor)))
                .collect(),
        }
    }

    /// Whether a sorted call has this key; nothing is allocated.
    pub(crate) fn fits(&self, call: &Call, padded: bool) -> bool {
        let Self::Rows {
            signature,
            outputs,
            inputs,
        } = self
        else {
            return false;
        };
        let same = |(key, of): (&(String, DType, Vec<i64>), &(String, Tensor))| {
            key.0 == of.0
                && key.1 == of.1.dtype()
                && if padded {
                    key.2.len() == inner(&of.1).len()
                } else {
                    key.2 == inner(&of.1)
                }
        };
        *signature == call.signature
            && *outputs == call.outputs
            && inputs.len() == call.inputs.len()
            && inputs.iter().zip(&call.inputs).all(same)
    }
}

/// The dimensions behind the first.
pub(crate) fn inner(tensor: &Tensor) -> &[i64] {
    tensor.shape().get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[i64]) -> Tensor {
        let elements = shape.iter().product::<i64>().unsigned_abs() as usize;
        Tensor::from_slice(DType::FLOAT, shape.to_vec(), &vec![0f32; elements]).unwrap()
    }

    fn call(inputs: &[(&str, &[i64])]) -> Call {
        let inputs = inputs.iter();
        let mut call = Call {
            signature: "s".to_owned(),
            inputs: inputs
                .map(|(name, shape)| ((*name).to_owned(), tensor(shape)))
                .collect(),
            outputs: Vec::new(),
        };
        sort(&mut call);
        call
    }

    #[test]
    fn rows_are_the_first_dimension_that_all_inputs_share() {
        for (inputs, expected) in [
            (&[("a", &[3, 2][..]), ("b", &[3][..])][..], Some(3)),
            (&[("a", &[3]), ("b", &[2])], None),
            (&[("a", &[])], None),
            (&[("a", &[0, 2])], None),
            (&[("a", &[2, 0])], None),
            (&[], None),
        ] {
            assert_eq!(rows_of(&call(inputs)), expected, "{inputs:?}");
        }
    }

    #[test]
    fn the_order_of_inputs_does_not_matter_and_inner_shapes_do() {
        let a = call(&[("a", &[1, 2]), ("b", &[1])]);
        let b = call(&[("b", &[5]), ("a", &[5, 2])]);
        let c = call(&[("b", &[5]), ("a", &[5, 3])]);
        assert!(Key::of(&a, false).fits(&b, false));
        assert_eq!(hash(&a, false), hash(&b, false));
        assert!(!Key::of(&a, false).fits(&c, false));
        assert!(Key::of(&a, true).fits(&c, true));
        assert_eq!(hash(&a, true), hash(&c, true));
        assert!(!Key::of(&a, true).fits(&call(&[("a", &[1, 2])]), true));
        assert!(!Key::Alone.fits(&a, true));
    }
}
