//! Several calls as one run: which places are fed and fetched, and whose output is which.
//!
//! In come the calls, each with its places in the graph; out comes the union. A place that two
//! calls feed is fed once, and must get the same value from both. A tensor that two outputs name
//! is fetched once, and both get it without a copy.
//!
//! The places come in an order that depends on the calls but not on their order: TensorFlow keeps
//! an executor for each sequence of places that it has seen.
//!
//! **Invariant:** decides, and calls nothing; places in the graph are opaque here.

use std::collections::HashMap;

use tensorgate_types::{Error, Result, Tensor, TensorData};

use crate::ffi::TF_Output;

/// One call of a run.
pub(crate) struct Part<'a> {
    /// The number of its signature.
    pub(crate) signature: usize,
    /// Its inputs: where they go, their names, their values.
    pub(crate) inputs: Vec<(TF_Output, &'a str, &'a Tensor)>,
    /// The places of all outputs of the signature.
    pub(crate) outputs: &'a [TF_Output],
    /// Which of them are wanted, in order.
    pub(crate) selected: Vec<usize>,
}

/// What to run for all parts together.
pub(crate) struct Union<'a> {
    /// Where values go, each place once.
    pub(crate) inputs: Vec<TF_Output>,
    /// The values, in the order of the places.
    pub(crate) tensors: Vec<&'a Tensor>,
    /// What is fetched, each place once.
    pub(crate) outputs: Vec<TF_Output>,
    /// For each part, in the order in which they came, where its outputs are in `outputs`.
    pub(crate) picks: Vec<Vec<usize>>,
    /// Says which executor of TensorFlow's this is: the signatures and their outputs.
    pub(crate) key: Box<[usize]>,
}

impl<'a> Union<'a> {
    /// # Errors
    /// `INVALID_ARGUMENT` when two parts feed different values to one place.
    pub(crate) fn of(parts: &[Part<'a>]) -> Result<Self> {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|at| (parts[*at].signature, &parts[*at].selected));
        let mut union = Self {
            inputs: Vec::new(),
            tensors: Vec::new(),
            outputs: Vec::new(),
            picks: vec![Vec::new(); parts.len()],
            key: Box::default(),
        };
        let mut fed = HashMap::new();
        let mut fetched = HashMap::new();
        let mut key: Vec<usize> = Vec::new();
        let mut last = None;
        for at in order {
            let part = &parts[at];
            for (place, name, tensor) in &part.inputs {
                let next = union.inputs.len();
                let known = *fed.entry(id(*place)).or_insert(next);
                if known == next {
                    union.inputs.push(*place);
                    union.tensors.push(tensor);
                } else if !same(union.tensors[known], tensor) {
                    return Err(Error::invalid_argument(format!(
                        "input {name} is fed by two calls of one run, with different values; \
                         expected the same value"
                    )));
                }
            }
            for output in &part.selected {
                let place = part.outputs[*output];
                let next = union.outputs.len();
                let known = *fetched.entry(id(place)).or_insert(next);
                if known == next {
                    union.outputs.push(place);
                }
                union.picks[at].push(known);
            }
            // The same call twice asks for nothing new.
            if last != Some((part.signature, &part.selected)) {
                key.push(part.signature);
                key.extend(&part.selected);
                // No signature has so many outputs: an end that no number is taken for.
                key.push(usize::MAX);
            }
            last = Some((part.signature, &part.selected));
        }
        union.key = key.into();
        Ok(union)
    }
}

fn id(place: TF_Output) -> (usize, i32) {
    (place.oper.addr(), place.index)
}

/// Whether two tensors are the same value. Nearly always they share their memory, and then their
/// bytes are not looked at.
fn same(one: &Tensor, other: &Tensor) -> bool {
    if one.dtype() != other.dtype() || one.shape() != other.shape() {
        return false;
    }
    let equal = |one: &[u8], other: &[u8]| std::ptr::eq(one, other) || one == other;
    match (one.data(), other.data()) {
        (TensorData::Fixed(one), TensorData::Fixed(other)) => equal(one, other),
        (TensorData::Strings(one), TensorData::Strings(other)) => {
            one.offsets() == other.offsets() && equal(one.bytes(), other.bytes())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_types::{DType, StringData};

    use super::*;

    fn place(index: i32) -> TF_Output {
        TF_Output {
            oper: std::ptr::null_mut(),
            index,
        }
    }

    fn indices(places: &[TF_Output]) -> Vec<i32> {
        places.iter().map(|place| place.index).collect()
    }

    fn part<'a>(
        signature: usize,
        inputs: &[(i32, &'a Tensor)],
        outputs: &'a [TF_Output],
        selected: &[usize],
    ) -> Part<'a> {
        Part {
            signature,
            inputs: inputs
                .iter()
                .map(|(index, tensor)| (place(*index), "x", *tensor))
                .collect(),
            outputs,
            selected: selected.to_vec(),
        }
    }

    fn float(value: f32) -> Tensor {
        Tensor::from_slice(DType::FLOAT, vec![1], &[value]).unwrap()
    }

    #[test]
    fn what_calls_share_is_fed_and_fetched_once() {
        let x = float(1.0);
        let y = float(2.0);
        let outputs = [place(10), place(11), place(10)];
        let parts = [
            part(1, &[(0, &x)], &outputs, &[1]),
            part(0, &[(0, &x), (1, &y)], &outputs, &[0, 1, 2]),
        ];
        let union = Union::of(&parts).unwrap();
        assert_eq!(indices(&union.inputs), [0, 1]);
        assert!(std::ptr::eq(union.tensors[1], &raw const y));
        assert_eq!(indices(&union.outputs), [10, 11]);
        assert_eq!(union.picks, [vec![1], vec![0, 1, 0]]);
    }

    #[test]
    fn the_order_of_the_calls_makes_no_new_executor() {
        let x = float(1.0);
        let outputs = [place(10), place(11)];
        let a = || part(0, &[(0, &x)], &outputs, &[0]);
        let b = || part(1, &[(0, &x)], &outputs, &[0, 1]);
        let one = Union::of(&[a(), b()]).unwrap();
        let other = Union::of(&[b(), a(), b()]).unwrap();
        assert_eq!(one.key, other.key);
        assert_eq!(indices(&one.outputs), indices(&other.outputs));
        assert_eq!(other.picks, [vec![0, 1], vec![0], vec![0, 1]]);
        let neither = Union::of(&[a(), a()]).unwrap();
        assert_ne!(neither.key, one.key);
    }

    #[test]
    fn a_place_cannot_have_two_values() {
        let strings =
            |texts: [&str; 2]| Tensor::strings(vec![2], StringData::from_iter(texts)).unwrap();
        let table = [
            (float(1.0), float(1.0), true),
            (float(1.0), float(2.0), false),
            (strings(["a", "b"]), strings(["a", "b"]), true),
            (strings(["a", "b"]), strings(["ab", ""]), false),
            (float(1.0), strings(["a", "b"]), false),
        ];
        for (one, other, fits) in &table {
            let parts = [
                part(0, &[(0, one)], &[], &[]),
                part(1, &[(0, other)], &[], &[]),
            ];
            match Union::of(&parts) {
                Ok(union) => assert!(*fits && union.inputs.len() == 1),
                Err(error) => {
                    assert!(!fits);
                    assert_eq!(
                        error.to_string(),
                        "INVALID_ARGUMENT: input x is fed by two calls of one run, with \
                         different values; expected the same value"
                    );
                }
            }
        }
    }
}
