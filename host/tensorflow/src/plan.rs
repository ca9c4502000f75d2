//! What a run of a signature needs, worked out once when the model is loaded: which places of the
//! graph are fed and fetched, in which order, or why the signature cannot be run.
//!
//! Places are always fed and fetched in the order of their names in the signature: TensorFlow
//! looks its executors up by the exact sequence.
//!
//! **Invariant:** decides, and calls nothing; places in the graph are opaque here.

use std::collections::BTreeMap;

use tensorgate_types::{DType, Error, Result, Signature, Tensor, TensorInfo};

use crate::describe::Described;
use crate::ffi::TF_Output;

/// How to run one signature.
pub(crate) enum Plan {
    /// It can be run.
    Ready(Ports),
    /// It is listed only; running it gives this error.
    Refused(Error),
}

/// The places of a signature in the graph, by name, in order.
pub(crate) struct Ports {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

struct Port {
    name: String,
    place: TF_Output,
    /// What is fed when a request leaves it out; outputs have none.
    default: Option<Tensor>,
}

/// Refuses a model with a signature that has a type which this build could not read back.
pub(crate) fn check_types(described: &Described) -> Result<()> {
    for (name, signature) in &described.signatures {
        let inputs = signature.inputs.iter().map(|entry| ("input", entry));
        let outputs = signature.outputs.iter().map(|entry| ("output", entry));
        for (what, (tensor, info)) in inputs.chain(outputs) {
            let number = info.dtype.number();
            if number > DType::MAX_SUPPORTED {
                return Err(Error::unimplemented(format!(
                    "signature {name}: {what} {tensor} is of type {} (number {number}), and types \
                     above number {} cannot be served",
                    info.dtype,
                    DType::MAX_SUPPORTED
                )));
            }
        }
    }
    Ok(())
}

/// Plans for the signatures, in their order. `find` gives a place in the graph by operation and
/// output.
pub(crate) fn plan_all(
    described: &Described,
    find: impl Fn(&str, i32) -> Option<TF_Output>,
) -> Vec<Plan> {
    let plan = |(name, signature): (&String, &Signature)| {
        let not_dense = described
            .not_dense
            .iter()
            .find(|(owner, _, _)| owner == name);
        if let Some((_, tensor, what)) = not_dense {
            return Plan::Refused(Error::unimplemented(format!(
                "signature {name} cannot be called: {tensor} is {what}"
            )));
        }
        match ports(name, signature, &described.defaults, &find) {
            Ok(ports) => Plan::Ready(ports),
            Err(error) => Plan::Refused(error),
        }
    };
    described.signatures.iter().map(plan).collect()
}

fn ports(
    signature_name: &str,
    signature: &Signature,
    defaults: &BTreeMap<(String, String), Result<Tensor>>,
    find: &impl Fn(&str, i32) -> Option<TF_Output>,
) -> Result<Ports> {
    let port = |(name, info): (&String, &TensorInfo)| {
        if !info.dtype.is_servable() {
            return Err(Error::unimplemented(format!(
                "signature {signature_name} cannot be called: {name} is of type {}",
                info.dtype
            )));
        }
        let (operation, index) = split_tensor_name(&info.tensor_name);
        let place = find(operation, index).ok_or_else(|| {
            Error::failed_precondition(format!(
                "signature {signature_name} cannot be called: its {name} is the tensor {}, which \
                 the graph does not have",
                info.tensor_name
            ))
        })?;
        Ok(Port {
            name: name.clone(),
            place,
            default: None,
        })
    };
    let input = |entry: (&String, &TensorInfo)| {
        let default = defaults.get(&(signature_name.to_owned(), entry.0.clone()));
        let default = default.cloned().transpose().map_err(|error| {
            Error::failed_precondition(format!(
                "signature {signature_name} cannot be called: the default of its input {} cannot \
                 be read: {}",
                entry.0,
                error.message()
            ))
        })?;
        Ok(Port {
            default,
            ..port(entry)?
        })
    };
    let ports = Ports {
        inputs: signature.inputs.iter().map(input).collect::<Result<_>>()?,
        outputs: signature.outputs.iter().map(port).collect::<Result<_>>()?,
    };
    if ports.outputs.is_empty() {
        return Err(Error::unimplemented(format!(
            "signature {signature_name} cannot be called: it has no outputs"
        )));
    }
    Ok(ports)
}

/// `name:2` is output 2 of `name`; without a number it is output 0.
fn split_tensor_name(name: &str) -> (&str, i32) {
    match name.rsplit_once(':') {
        Some((operation, index)) => match index.parse() {
            Ok(index) => (operation, index),
            Err(_) => (name, 0),
        },
        None => (name, 0),
    }
}

impl Ports {
    /// The places of the inputs, in order.
    pub(crate) fn input_places(&self) -> Vec<TF_Output> {
        self.inputs.iter().map(|port| port.place).collect()
    }

    /// The places of all outputs, in order.
    pub(crate) fn output_places(&self) -> Vec<TF_Output> {
        self.outputs.iter().map(|port| port.place).collect()
    }

    /// How many outputs there are.
    pub(crate) fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// The name of input `index`.
    pub(crate) fn input_name(&self, index: usize) -> &str {
        &self.inputs[index].name
    }

    /// The name of output `index`.
    pub(crate) fn output_name(&self, index: usize) -> &str {
        &self.outputs[index].name
    }

    /// A request's inputs in the order of the places, with defaults for those left out.
    ///
    /// They were checked long before; what is wrong here was changed on the way.
    pub(crate) fn arrange<'a>(&'a self, inputs: &'a [(String, Tensor)]) -> Result<Vec<&'a Tensor>> {
        let mut arranged = vec![None; self.inputs.len()];
        for (position, (name, tensor)) in inputs.iter().enumerate() {
            // Most callers send them in order.
            let at = match self.inputs.get(position) {
                Some(port) if port.name == *name => position,
                _ => self
                    .inputs
                    .binary_search_by(|port| port.name.as_str().cmp(name))
                    .map_err(|_| {
                        Error::invalid_argument(format!("there is no input named {name}"))
                    })?,
            };
            if arranged[at].replace(tensor).is_some() {
                let message = format!("input {name} was given twice");
                return Err(Error::invalid_argument(message));
            }
        }
        arranged
            .into_iter()
            .zip(&self.inputs)
            .map(|(tensor, port)| {
                tensor.or(port.default.as_ref()).ok_or_else(|| {
                    Error::invalid_argument(format!("input {} is missing", port.name))
                })
            })
            .collect()
    }

    /// Which outputs a request wants, in order; `None` when it wants all of them.
    pub(crate) fn select(&self, wanted: &[String]) -> Result<Option<Vec<usize>>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut selected = Vec::with_capacity(wanted.len());
        for name in wanted {
            let at = self
                .outputs
                .binary_search_by(|port| port.name.as_str().cmp(name))
                .map_err(|_| self.unknown_output(name))?;
            selected.push(at);
        }
        selected.sort_unstable();
        if let Some(twice) = selected.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = self.output_name(twice[0]);
            let message = format!("duplicate output tensor alias: {name}");
            return Err(Error::invalid_argument(message));
        }
        let all = selected.len() == self.outputs.len();
        Ok((!all).then_some(selected))
    }

    fn unknown_output(&self, name: &str) -> Error {
        let known: Vec<&str> = self.outputs.iter().map(|port| port.name.as_str()).collect();
        Error::invalid_argument(format!(
            "output tensor alias not found in signature: {name} Outputs expected to be in the set \
             {{{}}}.",
            known.join(",")
        ))
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_types::{ErrorCode, TensorData};

    use super::*;

    fn info(tensor_name: &str, dtype: DType) -> TensorInfo {
        TensorInfo {
            tensor_name: tensor_name.to_owned(),
            dtype,
            shape: None,
            optional: false,
        }
    }

    fn described(inputs: &[(&str, DType)], outputs: &[(&str, DType)]) -> Described {
        let infos = |tensors: &[(&str, DType)]| {
            tensors
                .iter()
                .map(|(name, dtype)| ((*name).to_owned(), info(name, *dtype)))
                .collect()
        };
        let signature = Signature {
            method_name: String::new(),
            inputs: infos(inputs),
            outputs: infos(outputs),
        };
        Described {
            signatures: [("s".to_owned(), signature)].into(),
            signature_defs: vec![],
            not_dense: vec![],
            defaults: BTreeMap::new(),
        }
    }

    fn place(index: i32) -> TF_Output {
        TF_Output {
            oper: std::ptr::null_mut(),
            index,
        }
    }

    fn ready(described: &Described) -> Ports {
        let mut plans = plan_all(described, |_, index| Some(place(index)));
        match plans.remove(0) {
            Plan::Ready(ports) => ports,
            Plan::Refused(error) => panic!("{error}"),
        }
    }

    fn refused(described: &Described) -> String {
        let mut plans = plan_all(described, |name, index| {
            (name != "nowhere").then(|| place(index))
        });
        match plans.remove(0) {
            Plan::Ready(_) => panic!("it is ready"),
            Plan::Refused(error) => error.to_string(),
        }
    }

    fn abc() -> Ports {
        let float = DType::FLOAT;
        ready(&described(
            &[("a", float), ("b", float)],
            &[("x", float), ("y", float), ("z", float)],
        ))
    }

    #[test]
    fn tensor_names_end_with_the_output() {
        assert_eq!(split_tensor_name("x:0"), ("x", 0));
        assert_eq!(split_tensor_name("scope/x:12"), ("scope/x", 12));
        assert_eq!(split_tensor_name("x"), ("x", 0));
        assert_eq!(split_tensor_name("odd:name"), ("odd:name", 0));
    }

    #[test]
    fn a_type_that_cannot_be_read_back_refuses_the_model_by_name() {
        let float8 = described(&[("x", DType::from_number(24))], &[]);
        assert_eq!(
            check_types(&float8).unwrap_err().message(),
            "signature s: input x is of type float8_e5m2 (number 24), and types above number 23 \
             cannot be served"
        );
        assert!(check_types(&described(&[("x", DType::INVALID)], &[])).is_ok());
        assert!(check_types(&described(&[("x", DType::VARIANT)], &[])).is_ok());
    }

    #[test]
    fn what_is_not_a_tensor_of_a_servable_type_can_be_listed_only() {
        let float = DType::FLOAT;
        let init = described(&[], &[("init", DType::INVALID)]);
        assert_eq!(
            refused(&init),
            "UNIMPLEMENTED: signature s cannot be called: init is of type INVALID"
        );
        let mut sparse = described(&[("x", float)], &[("y", float)]);
        sparse.not_dense = vec![("s".to_owned(), "x".to_owned(), "a sparse tensor")];
        assert_eq!(
            refused(&sparse),
            "UNIMPLEMENTED: signature s cannot be called: x is a sparse tensor"
        );
        let dangling = described(&[("nowhere", float)], &[("y", float)]);
        assert_eq!(
            refused(&dangling),
            "FAILED_PRECONDITION: signature s cannot be called: its nowhere is the tensor \
             nowhere, which the graph does not have"
        );
        assert_eq!(
            refused(&described(&[("x", float)], &[])),
            "UNIMPLEMENTED: signature s cannot be called: it has no outputs"
        );
    }

    #[test]
    fn inputs_are_arranged_in_the_order_of_the_signature() {
        let tensor = |value: f32| Tensor::from_slice(DType::FLOAT, vec![], &[value]).unwrap();
        let named = |names: &[&str]| -> Vec<(String, Tensor)> {
            let named = names.iter().enumerate();
            named
                .map(|(index, name)| ((*name).to_owned(), tensor(index as f32)))
                .collect()
        };
        let ports = abc();
        let inputs = named(&["b", "a"]);
        let arranged = ports.arrange(&inputs).unwrap();
        assert!(std::ptr::eq(arranged[0], &raw const inputs[1].1));
        assert!(std::ptr::eq(arranged[1], &raw const inputs[0].1));
        for (names, message) in [
            (&["a"][..], "input b is missing"),
            (&["a", "b", "c"], "there is no input named c"),
            (&["a", "a"], "input a was given twice"),
        ] {
            assert_eq!(ports.arrange(&named(names)).unwrap_err().message(), message);
        }
    }

    #[test]
    fn an_input_left_out_gets_its_default() {
        let tensor = |value: f32| Tensor::from_slice(DType::FLOAT, vec![], &[value]).unwrap();
        let mut described = described(
            &[("a", DType::FLOAT), ("b", DType::FLOAT)],
            &[("y", DType::FLOAT)],
        );
        let b = || ("s".to_owned(), "b".to_owned());
        described.defaults.insert(b(), Ok(tensor(2.0)));
        let ports = ready(&described);
        let given = [("a".to_owned(), tensor(1.0)), ("b".to_owned(), tensor(3.0))];
        let arranged = ports.arrange(&given).unwrap();
        assert!(std::ptr::eq(arranged[1], &raw const given[1].1));
        let arranged = ports.arrange(&given[..1]).unwrap();
        let TensorData::Fixed(bytes) = arranged[1].data() else {
            panic!("a float");
        };
        assert_eq!(bytes.as_ref(), 2.0f32.to_le_bytes());
        let message = "input a is missing";
        assert_eq!(ports.arrange(&[]).unwrap_err().message(), message);

        let damaged = Error::invalid_argument("it is damaged");
        described.defaults.insert(b(), Err(damaged));
        assert_eq!(
            refused(&described),
            "FAILED_PRECONDITION: signature s cannot be called: the default of its input b cannot \
             be read: it is damaged"
        );
    }

    #[test]
    fn outputs_are_selected_in_the_order_of_the_signature() {
        let ports = abc();
        let select = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            ports.select(&names).map_err(|error| {
                assert_eq!(error.code(), ErrorCode::InvalidArgument);
                error.message().to_owned()
            })
        };
        assert_eq!(select(&[]), Ok(None));
        assert_eq!(select(&["z", "x"]), Ok(Some(vec![0, 2])));
        assert_eq!(select(&["z", "x", "y"]), Ok(None));
        assert_eq!(
            select(&["q"]).unwrap_err(),
            "output tensor alias not found in signature: q Outputs expected to be in the set \
             {x,y,z}."
        );
        assert_eq!(
            select(&["x", "x"]).unwrap_err(),
            "duplicate output tensor alias: x"
        );
    }
}
