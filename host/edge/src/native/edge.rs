//! The WIT interface `models` of `tensorgate:edge`, over any store. Its `model` is that of `inference`, by another name.

use tensorgate_types::Result;
use wasmtime::component::{Linker, Resource, ResourceType};

use super::inference::{close, open, signature, signature_defs, status, version};
use super::read::Reader;
use super::run::{Ask, body, check, run};
use super::{Answer, NativeView, Store, wait_for};
use crate::Call;
use crate::contract::ModelSpecIn;
use crate::contract::edge::{CallIn, CoveredSignatureOut, PayloadIn, PayloadOut, ReplyOut};
use crate::lower::{error_out, signature_out, tensors_out};
use crate::processor::Payload;
use crate::state::HeldModel;

const INTERFACE: &str = "tensorgate:edge/models@0.1.0";

pub(super) fn add_to_linker<T: NativeView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("model", ResourceType::host::<HeldModel>(), close)?;
    interface.func_wrap("open", |store, (spec,): (ModelSpecIn,)| {
        open(store, &spec, HeldModel::new)
    })?;
    interface.func_wrap("open-bare", |store, (spec,): (ModelSpecIn,)| {
        open(store, &spec, HeldModel::bare)
    })?;
    interface.func_wrap("status", |store, call| status(&store, call))?;
    interface.func_wrap("[method]model.version", |store, call| version(&store, call))?;
    interface.func_wrap("[method]model.signature", |store, call| {
        signature(&store, call)
    })?;
    interface.func_wrap("[method]model.signature-defs", |store, call| {
        signature_defs(&store, call)
    })?;
    interface.func_wrap("[method]model.covered", |store, call| covered(&store, call))?;
    interface.func_wrap_async("[method]model.run", |store, call| {
        Box::new(run_call(store, call))
    })
}

fn covered<T: NativeView>(
    store: &Store<'_, T>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(Vec<CoveredSignatureOut>,)> {
    let held = store.data().native().1.get(&model)?;
    let Some(processor) = &held.processor else {
        return Ok((Vec::new(),));
    };
    let covered = processor.covered().iter();
    let covered = covered.filter_map(|(name, covered)| {
        let (signature, shapes) = held.signature(name)?;
        Some(CoveredSignatureOut {
            name: name.clone(),
            signature: signature_out(signature, shapes),
            content_types: covered.content_types.clone(),
        })
    });
    Ok((covered.collect(),))
}

/// What a component asks for: copied, and checked.
fn checked_ask<T: NativeView>(
    store: &Store<'_, T>,
    held: &HeldModel,
    call: &CallIn,
) -> wasmtime::Result<Result<Ask>> {
    let reader = Reader::of(store);
    let signature = reader.string(&call.signature_name)?;
    let api = reader.string(&call.api)?;
    let outputs = match reader.output_names(&call.outputs)? {
        Ok(outputs) => outputs,
        Err(error) => return Ok(Err(error)),
    };
    match &call.payload {
        PayloadIn::Body((content_type, bytes)) => {
            let accept = call.accept.as_ref().map(|accept| reader.string(accept));
            let accept = accept.transpose()?;
            let content_type = reader.string(content_type)?;
            Ok(
                body(held, &signature, content_type).map(|content_type| Ask {
                    signature,
                    api,
                    accept,
                    outputs,
                    payload: Payload::Body {
                        content_type,
                        bytes: reader.bytes(bytes),
                    },
                }),
            )
        }
        PayloadIn::Tensors(inputs) => {
            let inputs = reader.tensors(held, &signature, inputs)?;
            Ok(inputs.and_then(|inputs| {
                let call = Call {
                    signature,
                    inputs,
                    outputs,
                };
                check(held, &call)?;
                Ok(Ask::of(call, &api))
            }))
        }
    }
}

async fn run_call<T: NativeView>(
    mut store: Store<'_, T>,
    (model, call): (Resource<HeldModel>, CallIn),
) -> wasmtime::Result<Answer<ReplyOut>> {
    let (native, table) = store.data().native();
    let (held, deadline) = (table.get(&model)?.clone(), native.deadline);
    let ask = match checked_ask(&store, &held, &call)? {
        Ok(ask) => ask,
        Err(error) => return Ok((store.data().native().0.refuse(&error),)),
    };
    let reply = wait_for(&mut store, run(&held, ask, deadline)).await;
    let counters = store.data().native().0.counters();
    Ok((match reply {
        Err(error) => Err(error_out(&error)),
        Ok(reply) => Ok(ReplyOut {
            version: reply.version,
            payload: match reply.payload {
                Payload::Tensors(outputs) => PayloadOut::Tensors(tensors_out(outputs, counters)),
                Payload::Body {
                    content_type,
                    bytes,
                } => {
                    counters.bytes_to_guests.add(bytes.len() as u64);
                    PayloadOut::Body((content_type, bytes))
                }
            },
        }),
    },))
}
