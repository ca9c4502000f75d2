//! The WIT interface `inference`, over any store.

use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::processing::unasked_body;
use tensorgate_types::{Error, Result};
use wasmtime::component::{Linker, Resource, ResourceType, WasmStr};

use super::read::Reader;
use super::run::{Ask, check, run};
use super::{Answer, NativeView, Store, wait_for};
use crate::contract::{ModelSpecIn, NamedTensorIn, NamedTensorOut, SignatureOut, VersionStatusOut};
use crate::lower::{error_out, signature_out, status_out, tensors_out};
use crate::processor::Payload;
use crate::state::HeldModel;
use crate::{Call, OpenModel};

const INTERFACE: &str = "tensorgate:serving/inference@0.1.0";

pub(super) fn add_to_linker<T: NativeView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("model", ResourceType::host::<HeldModel>(), close)?;
    interface.func_wrap("open", |store, (spec,): (ModelSpecIn,)| {
        open(store, &spec, HeldModel::new)
    })?;
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
    })
}

/// Opens a model; `held` says with what before it.
pub(super) fn open<T: NativeView>(
    mut store: Store<'_, T>,
    spec: &ModelSpecIn,
    held: impl FnOnce(Arc<dyn OpenModel>) -> HeldModel,
) -> wasmtime::Result<Answer<Resource<HeldModel>>> {
    let spec = Reader::of(&store).model_spec(spec)?;
    let (native, table) = store.data_mut().native_mut();
    let limit = native.limits().open_models;
    if native.held_models >= limit {
        let error = Error::resource_exhausted(format!("one request may hold {limit} models open"));
        return Ok((native.refuse(&error),));
    }
    // What the request's body was like, nobody knows here: the component has read it, or not.
    let model = match native.models().open(&spec, 0) {
        Ok(model) => model,
        Err(error) => return Ok((Err(error_out(&error)),)),
    };
    let handle = table.push(held(model))?;
    native.held_models += 1;
    Ok((Ok(handle),))
}

/// The component has dropped its handle.
pub(super) fn close<T: NativeView>(mut store: Store<'_, T>, handle: u32) -> wasmtime::Result<()> {
    let (native, table) = store.data_mut().native_mut();
    table.delete(Resource::<HeldModel>::new_own(handle))?;
    native.held_models -= 1;
    Ok(())
}

pub(super) fn status<T: NativeView>(
    store: &Store<'_, T>,
    (name, version): (WasmStr, Option<i64>),
) -> wasmtime::Result<Answer<Vec<VersionStatusOut>>> {
    let name = name.to_str(store)?;
    let status = store.data().native().0.models().status(&name, version);
    Ok((status
        .map(|versions| versions.into_iter().map(status_out).collect())
        .map_err(|error| error_out(&error)),))
}

pub(super) fn version<T: NativeView>(
    store: &Store<'_, T>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(i64,)> {
    let held = store.data().native().1.get(&model)?;
    Ok((held.model.id().version,))
}

pub(super) fn signature<T: NativeView>(
    store: &Store<'_, T>,
    (model, name): (Resource<HeldModel>, WasmStr),
) -> wasmtime::Result<(Option<SignatureOut>,)> {
    let held = store.data().native().1.get(&model)?;
    let name = name.to_str(store)?;
    let signature = held.signature(&name);
    Ok((signature.map(|(signature, shapes)| signature_out(signature, shapes)),))
}

pub(super) fn signature_defs<T: NativeView>(
    store: &Store<'_, T>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(Vec<(String, Bytes)>,)> {
    let held = store.data().native().1.get(&model)?;
    Ok((held.model.signature_defs().to_vec(),))
}

type PredictCall = (
    Resource<HeldModel>,
    WasmStr,
    Vec<NamedTensorIn>,
    Vec<WasmStr>,
);

/// What a component wants to be run: copied, and checked.
pub(super) fn checked_call<T: NativeView>(
    store: &Store<'_, T>,
    model: &Resource<HeldModel>,
    signature: &WasmStr,
    inputs: &[NamedTensorIn],
    outputs: &[WasmStr],
) -> wasmtime::Result<Result<Call>> {
    let reader = Reader::of(store);
    let signature = reader.string(signature)?;
    let outputs = match reader.output_names(outputs)? {
        Ok(outputs) => outputs,
        Err(error) => return Ok(Err(error)),
    };
    let held = store.data().native().1.get(model)?;
    let inputs = reader.tensors(held, &signature, inputs)?;
    Ok(inputs.and_then(|inputs| {
        let call = Call {
            signature,
            inputs,
            outputs,
        };
        check(held, &call)?;
        Ok(call)
    }))
}

async fn predict<T: NativeView>(
    mut store: Store<'_, T>,
    (model, signature, inputs, outputs): PredictCall,
) -> wasmtime::Result<Answer<Vec<NamedTensorOut>>> {
    let call = match checked_call(&store, &model, &signature, &inputs, &outputs)? {
        Ok(call) => call,
        Err(error) => return Ok((store.data().native().0.refuse(&error),)),
    };
    let (native, table) = store.data().native();
    let (held, deadline) = (table.get(&model)?.clone(), native.deadline);
    let ask = Ask::of(call, "predict");
    let result = wait_for(&mut store, run(&held, ask, deadline)).await;
    let counters = store.data().native().0.counters();
    Ok((match result.map(|reply| reply.payload) {
        Ok(Payload::Tensors(outputs)) => Ok(tensors_out(outputs, counters)),
        Ok(Payload::Body { content_type, .. }) => Err(error_out(&unasked_body(&content_type))),
        Err(error) => Err(error_out(&error)),
    },))
}
