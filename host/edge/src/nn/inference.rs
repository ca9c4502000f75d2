//! The interface `inference`: `compute`, which is a run like any other. It waits for its batch
//! with the requests of other instances, and of clients that ask the model itself.
//!
//! **Invariant:** what a component computes is checked as `inference.predict` checks it.
//! **Cancellation:** a request that is dropped drops the call into the model with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tensorgate_types::Signature;
use tensorgate_types::processing::{check_tensor_count, of_input};
use wasmtime::component::{Linker, Resource, ResourceType, WasmStr};

use super::contract::{NnErrorCode, TensorType};
use super::errors::{Answer, Fallible, NnError, answer, give};
use super::graph::{Opened, let_go};
use super::tensor::{HeldTensor, not_carried};
use crate::convert::Guest;
use crate::inference::{Store, check_call, run_model};
use crate::state::EdgeState;
use crate::{Call, NamedTensors};

const INTERFACE: &str = "wasi:nn/inference@0.2.0-rc-2024-10-28";

/// What a handle of the resource `graph-execution-context` stands for.
pub(super) struct Context(pub(super) Arc<Opened>);

pub(super) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    let kind = ResourceType::host::<Context>();
    interface.resource("graph-execution-context", kind, |mut store, rep| {
        let state = store.data_mut();
        let Context(opened) = state.table.delete(Resource::<Context>::new_own(rep))?;
        let_go(state, opened);
        Ok(())
    })?;
    interface.func_wrap_async("[method]graph-execution-context.compute", |store, call| {
        Box::new(compute(store, call))
    })
}

type Compute = (Resource<Context>, Vec<(WasmStr, Resource<HeldTensor>)>);

type Outputs = Vec<(String, Resource<HeldTensor>)>;

async fn compute(
    mut store: Store<'_>,
    (context, inputs): Compute,
) -> wasmtime::Result<Answer<Outputs>> {
    let opened = Arc::clone(&store.data().table.get(&context)?.0);
    // They are the host's from here on, however this ends.
    let mut taken = Vec::with_capacity(inputs.len());
    let mut size = 0;
    for (name, tensor) in inputs {
        let name = Guest::of(&store).string(&name)?;
        let tensor = store.data_mut().table.delete(tensor)?;
        size += tensor.size();
        taken.push((name, tensor));
    }
    let outputs = match call(&opened, taken) {
        Ok(call) => {
            let run = run_model(&mut store, opened.model.as_ref(), vec![call]);
            run.await.map_err(NnError::from)
        }
        Err(error) => Err(error),
    };
    let state = store.data_mut();
    let outputs = outputs.and_then(|mut lists| give_all(state, lists.pop().unwrap_or_default()));
    state.memory.release(size);
    answer(state, outputs)
}

fn call(opened: &Opened, inputs: Vec<(String, HeldTensor)>) -> Fallible<Call> {
    let signature = &opened.signature;
    // Before the run, which would be for nothing.
    let outputs = signature.outputs.iter();
    let mut outputs = outputs.filter(|(_, info)| TensorType::of(info.dtype).is_none());
    if let Some((name, info)) = outputs.next() {
        return Err(not_carried(name, info.dtype));
    }
    check_tensor_count("inputs", inputs.len())?;
    let inputs: Vec<(String, HeldTensor)> = inputs
        .into_iter()
        .map(|(name, tensor)| (name_of(signature, name), tensor))
        .collect();
    let mut names = BTreeSet::new();
    if let Some((name, _)) = inputs.iter().find(|(name, _)| !names.insert(name.clone())) {
        return Err(NnError::invalid(format!("input {name} is there twice")));
    }
    let inputs = inputs.into_iter().map(|(name, tensor)| {
        let tensor = tensor.input(signature.inputs.get(&name));
        let tensor = tensor.map_err(|error| of_input(&name, &error))?;
        Ok((name, tensor))
    });
    let call = Call {
        signature: opened.name.clone(),
        inputs: inputs.collect::<tensorgate_types::Result<_>>()?,
        outputs: Vec::new(),
    };
    check_call(opened.model.as_ref(), &call)?;
    Ok(call)
}

/// The input that a component means: by its name, or by its number in the order of names, as
/// those do who know no names.
fn name_of(signature: &Signature, name: String) -> String {
    let inputs = &signature.inputs;
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if inputs.contains_key(&name) || !is_number {
        return name;
    }
    let position = name.parse().ok();
    let named = position.and_then(|position| inputs.keys().nth(position));
    named.cloned().unwrap_or(name)
}

/// Gives the component all of them, or none.
fn give_all(state: &mut EdgeState, tensors: NamedTensors) -> Fallible<Outputs> {
    let mut outputs = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        match give_one(state, &name, tensor) {
            Ok(handle) => outputs.push((name, handle)),
            Err(error) => {
                for (_, handle) in outputs {
                    if let Ok(tensor) = state.table.delete(handle) {
                        state.memory.release(tensor.size());
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(outputs)
}

fn give_one(
    state: &mut EdgeState,
    name: &str,
    tensor: tensorgate_types::Tensor,
) -> Fallible<Resource<HeldTensor>> {
    let tensor = HeldTensor::output(name, tensor)?;
    let size = tensor.size();
    if !state.memory.hold(size) {
        return Err(NnError::new(
            NnErrorCode::TooLarge,
            format!(
                "output {name} has {size} bytes, which is more than what is left of the {} bytes \
                 of memory that it may have (limits.memory_bytes)",
                state.memory.limit
            ),
        ));
    }
    let given = give(state, tensor);
    if given.is_err() {
        state.memory.release(size);
    }
    given
}

#[cfg(test)]
mod tests {
    use tensorgate_types::{DType, PREDICT_METHOD, TensorInfo};

    use super::*;

    #[test]
    fn a_number_is_an_input_where_it_is_no_name() {
        let inputs = ["b", "a", "1"].map(|name| {
            let info = TensorInfo {
                tensor_name: String::new(),
                dtype: DType::FLOAT,
                shape: None,
                optional: false,
            };
            (name.to_owned(), info)
        });
        let signature = Signature {
            method_name: PREDICT_METHOD.to_owned(),
            inputs: inputs.into(),
            outputs: [].into(),
        };
        for (said, meant) in [
            ("b", "b"),
            ("0", "1"),
            ("1", "1"),
            ("01", "a"),
            ("02", "b"),
            ("3", "3"),
            ("-1", "-1"),
            ("", ""),
            ("99999999999999999999999", "99999999999999999999999"),
        ] {
            assert_eq!(name_of(&signature, said.to_owned()), meant, "{said}");
        }
    }
}
