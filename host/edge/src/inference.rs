//! The WIT interface `inference`, as the native host gives it: [`Models`](crate::Models) behind
//! handles that a component cannot forge.
//!
//! A component's mistake is an error *value*, which it can answer its client with; what breaks
//! the rules of the component model itself (a handle that it does not own, a string that is not
//! UTF-8, lists beyond its memory) is a *trap*.
//!
//! **Cancellation:** a request that is dropped drops the call into the model with it; a run that
//! has begun goes on elsewhere and its result is discarded.

use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{Error, InputView, Result, Signature, validate_inputs};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};

use crate::contract::{
    ErrorOut, ModelSpecIn, NamedTensorIn, NamedTensorOut, SignatureOut, VersionStatusOut,
};
use crate::convert::{Guest, output_names};
use crate::lower::{bytes_of, error_out, signature_out, status_out, tensors_out};
use crate::processing::{check_covered, run_calls};
use crate::state::{EdgeState, HeldModel};
use crate::{Call, NamedTensors, OpenModel};

const INTERFACE: &str = "tensorgate:serving/inference@0.1.0";

/// A function's answer: a WIT `result` alone.
pub(crate) type Answer<T> = (Result<T, ErrorOut>,);

pub(crate) type Store<'a> = StoreContextMut<'a, EdgeState>;

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("model", ResourceType::host::<HeldModel>(), close)?;
    interface.func_wrap("open", open)?;
    interface.func_wrap("status", |store, call| status(&store, call))?;
    interface.func_wrap("[method]model.version", |store, call| version(&store, call))?;
    interface.func_wrap("[method]model.signature", |store, call| {
        signature(&store, call)
    })?;
    interface.func_wrap("[method]model.signature-defs", |store, call| {
        signature_defs(&store, call)
    })?;
    interface.func_wrap_async("[method]model.predict", |store, call| {
        Box::new(predict(store, call))
    })?;
    Ok(())
}

fn open(
    mut store: Store<'_>,
    (spec,): (ModelSpecIn,),
) -> wasmtime::Result<Answer<Resource<HeldModel>>> {
    let spec = Guest::of(&store).model_spec(&spec)?;
    let state = store.data_mut();
    let limit = state.shared.limits.open_models;
    if state.held_models >= limit {
        return Ok((refuse(
            state,
            &Error::resource_exhausted(format!("one request may hold {limit} models open")),
        ),));
    }
    let model = match state.services.models.open(&spec, state.request_bytes) {
        Ok(model) => model,
        Err(error) => return Ok((Err(error_out(&error)),)),
    };
    let handle = state.table.push(HeldModel::new(model))?;
    state.held_models += 1;
    Ok((Ok(handle),))
}

/// The component has dropped its handle.
fn close(mut store: Store<'_>, handle: u32) -> wasmtime::Result<()> {
    let state = store.data_mut();
    state.table.delete(Resource::<HeldModel>::new_own(handle))?;
    state.held_models -= 1;
    Ok(())
}

fn status(
    store: &Store<'_>,
    (name, version): (WasmStr, Option<i64>),
) -> wasmtime::Result<Answer<Vec<VersionStatusOut>>> {
    let name = name.to_str(store)?;
    let status = store.data().services.models.status(&name, version);
    Ok((status
        .map(|versions| versions.into_iter().map(status_out).collect())
        .map_err(|error| error_out(&error)),))
}

fn version(store: &Store<'_>, (model,): (Resource<HeldModel>,)) -> wasmtime::Result<(i64,)> {
    let model = store.data().table.get(&model)?;
    Ok((model.model.id().version,))
}

fn signature(
    store: &Store<'_>,
    (model, name): (Resource<HeldModel>, WasmStr),
) -> wasmtime::Result<(Option<SignatureOut>,)> {
    let held = store.data().table.get(&model)?;
    let name = name.to_str(store)?;
    let signature = held.signature(&name);
    Ok((signature.map(|(signature, shapes)| signature_out(signature, shapes)),))
}

fn signature_defs(
    store: &Store<'_>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(Vec<(String, Bytes)>,)> {
    let model = store.data().table.get(&model)?;
    Ok((model.model.signature_defs().to_vec(),))
}

type PredictCall = (
    Resource<HeldModel>,
    WasmStr,
    Vec<NamedTensorIn>,
    WasmList<WasmStr>,
);

/// What a component wants to be run: copied, and checked.
pub(crate) fn checked_call(
    store: &mut Store<'_>,
    model: &Resource<HeldModel>,
    signature: &WasmStr,
    inputs: &[NamedTensorIn],
    outputs: Option<&WasmList<WasmStr>>,
) -> wasmtime::Result<Result<Call>> {
    let signature = Guest::of(store).string(signature)?;
    let outputs = match outputs {
        Some(outputs) => output_names(store, outputs)?,
        None => Ok(Vec::new()),
    };
    let held = store.data().table.get(model)?;
    let inputs = Guest::of(store).tensors(held, &signature, inputs)?;
    Ok(outputs.and_then(|outputs| {
        let call = Call {
            signature,
            inputs: inputs?,
            outputs,
        };
        check_covered(held, &call)?;
        Ok(call)
    }))
}

async fn predict(
    mut store: Store<'_>,
    (model, signature, inputs, outputs): PredictCall,
) -> wasmtime::Result<Answer<Vec<NamedTensorOut>>> {
    let call = match checked_call(&mut store, &model, &signature, &inputs, Some(&outputs))? {
        Ok(call) => call,
        Err(error) => return Ok((refuse(store.data(), &error),)),
    };
    let result = run_calls(&mut store, &model, vec![call]).await;
    Ok((match result {
        Ok(mut lists) => {
            let outputs = lists.pop().unwrap_or_default();
            let state = store.data_mut();
            state.memory.take_in(bytes_of(&outputs))?;
            Ok(tensors_out(outputs, &state.shared.counters))
        }
        Err(error) => Err(error_out(&error)),
    },))
}

/// Whether a call fits its signature.
pub(crate) fn check_call(model: &dyn OpenModel, call: &Call) -> Result<()> {
    let signature = find_signature(model, &call.signature)?;
    let views: Vec<InputView<'_>> = call
        .inputs
        .iter()
        .map(|(name, tensor)| InputView {
            name,
            dtype: tensor.dtype(),
            shape: tensor.shape(),
        })
        .collect();
    validate_inputs(signature, &views, model.shape_check())
}

/// Runs a model, for calls that have been checked. The component's own time stands still.
pub(crate) async fn run_model(
    store: &mut Store<'_>,
    model: &dyn OpenModel,
    calls: Vec<Call>,
) -> Result<Vec<NamedTensors>> {
    let deadline = store.data().deadline;
    let result = wait_for(store, model.run(calls, deadline)).await;
    store.data_mut().ran = true;
    result
}

/// Waits for something outside, on nobody's time but the deadline's.
pub(crate) async fn wait_for<T>(
    store: &mut Store<'_>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let meter = Arc::clone(&store.data().meter);
    let result = meter
        .in_model(work)
        .await
        .unwrap_or_else(|| Err(Error::deadline_exceeded()));
    // Meanwhile the epoch moved on; without this the component would be interrupted at its first
    // step, for time that it did not use.
    store.set_epoch_deadline(1);
    result
}

fn find_signature<'a>(model: &'a dyn OpenModel, name: &str) -> Result<&'a Signature> {
    model.signatures().get(name).ok_or_else(|| {
        Error::failed_precondition(format!("Serving signature key \"{name}\" not found."))
    })
}

/// Tells the component what it did wrong, and counts it.
pub(crate) fn refuse<T>(state: &EdgeState, error: &Error) -> Result<T, ErrorOut> {
    state.shared.counters.refused_calls.increment();
    Err(error_out(error))
}
