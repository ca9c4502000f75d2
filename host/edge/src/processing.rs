//! Runs that go through a processor, and the WIT interface `processing`.
//!
//! The gateway need not know of processors: the host gives it the signatures that clients are to
//! see, and takes runs of them through the processor. What it must know of is bodies that a
//! processor takes as they come.
//!
//! **Invariant:** what a processor gives to its model is checked as if a client had sent it, and
//! what it gives to the client is what it has described.

use std::sync::Arc;

use tensorgate_types::processing::{Covered, bad_call, promised_outputs, unasked_body, uncovered};
use tensorgate_types::{Error, InputView, Result, ServableId, ShapeCheck, Signature};
use wasmtime::component::{Linker, Resource, WasmStr};

use crate::contract::processor::{CoveredOut, ReplyOut};
use crate::contract::transfer::RangeIn;
use crate::convert::Guest;
use crate::inference::{Answer, Store, check_call, run_model, wait_for};
use crate::lower::{bytes_of, error_out, outputs_out, signature_out};
use crate::processor::{Answer as Processed, Context, Payload, Pipeline, Step};
use crate::state::{EdgeState, HeldModel};
use crate::{Call, NamedTensors, OpenModel, Processor};

const INTERFACE: &str = "tensorgate:serving/processing@0.1.0";

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("covered", |store, call| covered(&store, call))?;
    interface.func_wrap("content-types", |store, call| content_types(&store, call))?;
    interface.func_wrap("called-as", called_as)?;
    interface.func_wrap("answered-by", |store, call| answered_by(&store, call))?;
    interface.func_wrap("bare", bare)?;
    interface.func_wrap("digest", |store, call| digest(&store, call))?;
    interface.func_wrap_async("run-body", |store, call| Box::new(run_body(store, call)))?;
    Ok(())
}

impl HeldModel {
    pub(crate) fn new(model: Arc<dyn OpenModel>) -> Self {
        Self {
            processor: model.processor(),
            ..Self::bare(model)
        }
    }

    /// Without what stands before it.
    pub(crate) fn bare(model: Arc<dyn OpenModel>) -> Self {
        Self {
            processor: None,
            model,
            answered_by: None,
            api: "predict",
        }
    }

    /// What the processor says of a signature, where it covers it.
    pub(crate) fn covered(&self, signature: &str) -> Option<(&Processor, &Covered)> {
        let processor = self.processor.as_ref()?;
        Some((processor, processor.covered().get(signature)?))
    }

    /// A signature as clients are to see it, and how far they are held to it.
    pub(crate) fn signature(&self, name: &str) -> Option<(&Signature, ShapeCheck)> {
        if let Some((_, covered)) = self.covered(name) {
            let shapes = covered.shapes_before(self.model.shape_check());
            return Some((&covered.signature, shapes));
        }
        let signature = self.model.signatures().get(name)?;
        Some((signature, self.model.shape_check()))
    }
}

fn covered(
    store: &Store<'_>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(Vec<CoveredOut>,)> {
    let held = store.data().table.get(&model)?;
    let Some(processor) = &held.processor else {
        return Ok((Vec::new(),));
    };
    let covered = processor.covered().iter();
    let covered = covered.map(|(name, covered)| CoveredOut {
        name: name.clone(),
        signature: signature_out(&covered.signature, covered.shapes),
    });
    Ok((covered.collect(),))
}

fn content_types(
    store: &Store<'_>,
    (model, signature): (Resource<HeldModel>, WasmStr),
) -> wasmtime::Result<(Vec<String>,)> {
    let held = store.data().table.get(&model)?;
    if held.processor.is_none() {
        return Ok((Vec::new(),));
    }
    let signature = signature.to_str(store)?;
    let covered = held.covered(&signature);
    Ok((covered.map_or_else(Vec::new, |(_, covered)| covered.content_types.clone()),))
}

/// What a run can be for.
const APIS: [&str; 4] = ["predict", "classify", "regress", "multi-inference"];

fn called_as(
    mut store: Store<'_>,
    (model, api): (Resource<HeldModel>, WasmStr),
) -> wasmtime::Result<()> {
    let said = api.to_str(&store)?;
    // What is none of them is none of the house's words: it stays as it was.
    let known = APIS.into_iter().find(|known| *known == said);
    drop(said);
    let held = store.data_mut().table.get_mut(&model)?;
    held.api = known.unwrap_or(held.api);
    Ok(())
}

fn answered_by(store: &Store<'_>, (model,): (Resource<HeldModel>,)) -> wasmtime::Result<(i64,)> {
    let held = store.data().table.get(&model)?;
    Ok((held.answered_by.unwrap_or(held.model.id().version),))
}

fn bare(
    mut store: Store<'_>,
    (model,): (Resource<HeldModel>,),
) -> wasmtime::Result<(Resource<HeldModel>,)> {
    let state = store.data_mut();
    let model = Arc::clone(&state.table.get(&model)?.model);
    let limit = state.shared.limits.open_models;
    if state.held_models >= limit {
        return Err(wasmtime::format_err!(
            "one request may hold {limit} models open"
        ));
    }
    let handle = state.table.push(HeldModel::bare(model))?;
    state.held_models += 1;
    Ok((handle,))
}

fn digest(store: &Store<'_>, (model,): (Resource<HeldModel>,)) -> wasmtime::Result<(String,)> {
    let held = store.data().table.get(&model)?;
    Ok((crate::digest::digest(held),))
}

type RunBody = (
    Resource<HeldModel>,
    WasmStr,
    WasmStr,
    Option<WasmStr>,
    Option<RangeIn>,
);

async fn run_body(
    mut store: Store<'_>,
    (model, signature, content_type, accept, part): RunBody,
) -> wasmtime::Result<Answer<ReplyOut>> {
    let (signature, content_type, accept) = {
        let string = |text: &WasmStr| Guest::of(&store).string(text);
        let accept = accept.as_ref().map(string).transpose()?;
        (string(&signature)?, string(&content_type)?, accept)
    };
    let bytes = match part {
        Some(part) => store.data().outside.part(part),
        None => store.data().outside.body().ok_or_else(|| {
            Error::failed_precondition("this request has no body that could be handed over")
        }),
    };
    let result = match bytes {
        Ok(bytes) => {
            let payload = Payload::Body {
                content_type,
                bytes,
            };
            answer_body(&mut store, &model, signature, accept, payload).await
        }
        Err(error) => Err(error),
    };
    let lowered = match result {
        Err(error) => Err(error),
        Ok(Payload::Body {
            content_type,
            bytes,
        }) => {
            let state = store.data_mut();
            state.memory.take_in(bytes.len())?;
            state
                .shared
                .counters
                .bytes_to_guests
                .add(bytes.len() as u64);
            Ok(ReplyOut::Body((content_type, bytes)))
        }
        // All of it goes into the answer's JSON: nothing is left with the host.
        Ok(Payload::Tensors(tensors)) => {
            let state = store.data_mut();
            state.memory.take_in(bytes_of(&tensors))?;
            outputs_out(vec![tensors], u64::MAX, state)
                .map(|mut lists| ReplyOut::Tensors(lists.pop().unwrap_or_default()))
        }
    };
    Ok((lowered.map_err(|error| error_out(&error)),))
}

async fn answer_body(
    store: &mut Store<'_>,
    model: &Resource<HeldModel>,
    signature: String,
    accept: Option<String>,
    payload: Payload,
) -> Result<Payload> {
    let (processor, described) =
        covering(store, model, &signature)?.ok_or_else(|| uncovered(&signature))?;
    let mut properties = vec![("api".to_owned(), "predict".to_owned())];
    properties.extend(accept.map(|accept| ("accept".to_owned(), accept)));
    let context = Context {
        signature,
        outputs: Vec::new(),
        properties,
    };
    let answer = process(store, model, processor, context, payload).await?;
    match answer.payload {
        Payload::Body { .. } => Ok(answer.payload),
        Payload::Tensors(tensors) => {
            let held = self::held(store, model)?;
            let outputs = promised_outputs::<String>(tensors, &described, &[]);
            outputs
                .map(Payload::Tensors)
                .map_err(|error| blame(held, &error))
        }
    }
}

/// The processor before a signature, and what clients see of it.
fn covering(
    store: &Store<'_>,
    model: &Resource<HeldModel>,
    signature: &str,
) -> Result<Option<(Processor, Signature)>> {
    let covered = held(store, model)?.covered(signature);
    Ok(covered.map(|(processor, covered)| (processor.clone(), covered.signature.clone())))
}

fn held<'a>(store: &'a Store<'_>, model: &Resource<HeldModel>) -> Result<&'a HeldModel> {
    store
        .data()
        .table
        .get(model)
        .map_err(|error| Error::internal(error.to_string()))
}

/// An error that is about what the processor gave.
fn blame(held: &HeldModel, error: &Error) -> Error {
    match &held.processor {
        Some(processor) => processor.fault(error.message()),
        None => error.clone(),
    }
}

/// Whether a client's call fits the signature that it sees.
pub(crate) fn check_covered(held: &HeldModel, call: &Call) -> Result<()> {
    let Some((_, covered)) = held.covered(&call.signature) else {
        return check_call(held.model.as_ref(), call);
    };
    let views: Vec<InputView<'_>> = call
        .inputs
        .iter()
        .map(|(name, tensor)| InputView {
            name,
            dtype: tensor.dtype(),
            shape: tensor.shape(),
        })
        .collect();
    covered.check(&call.signature, &views, held.model.shape_check())
}

/// Runs calls that have been checked, those of covered signatures through the processor. Where
/// none is covered it is one run for all of them.
pub(crate) async fn run_calls(
    store: &mut Store<'_>,
    model: &Resource<HeldModel>,
    calls: Vec<Call>,
) -> Result<Vec<NamedTensors>> {
    let (any, plain) = {
        let held = held(store, model)?;
        let mut calls = calls.iter();
        let any = calls.any(|call| held.covered(&call.signature).is_some());
        (any, Arc::clone(&held.model))
    };
    if !any {
        return run_model(store, plain.as_ref(), calls).await;
    }
    let mut lists = Vec::with_capacity(calls.len());
    for call in calls {
        lists.push(run_covered(store, model, &plain, call).await?);
    }
    Ok(lists)
}

async fn run_covered(
    store: &mut Store<'_>,
    model: &Resource<HeldModel>,
    plain: &Arc<dyn OpenModel>,
    call: Call,
) -> Result<NamedTensors> {
    let Some((processor, described)) = covering(store, model, &call.signature)? else {
        let mut lists = run_model(store, plain.as_ref(), vec![call]).await?;
        return Ok(lists.pop().unwrap_or_default());
    };
    let api = self::held(store, model)?.api;
    let context = Context {
        signature: call.signature,
        outputs: call.outputs.clone(),
        properties: vec![("api".to_owned(), api.to_owned())],
    };
    let payload = Payload::Tensors(call.inputs);
    let answer = process(store, model, processor, context, payload).await?;
    let held = self::held(store, model)?;
    let outputs = match answer.payload {
        Payload::Tensors(tensors) => promised_outputs(tensors, &described, &call.outputs),
        Payload::Body { content_type, .. } => Err(unasked_body(&content_type)),
    };
    outputs.map_err(|error| blame(held, &error))
}

/// One request through its processor, and through the model in the middle.
async fn process(
    store: &mut Store<'_>,
    model: &Resource<HeldModel>,
    processor: Processor,
    context: Context,
    payload: Payload,
) -> Result<Processed> {
    let plain = Arc::clone(&held(store, model)?.model);
    let deadline = store.data().deadline;
    let mut pipeline = wait_for(store, Pipeline::begin(processor, context, deadline)).await?;
    let answer = through(store, &mut pipeline, &plain, payload).await;
    let state = store.data_mut();
    state.ran = true;
    state.services.telemetry.processed(pipeline.usage());
    let answer = answer?;
    let ServableId { version, .. } = *plain.id();
    if let Ok(held) = state.table.get_mut(model) {
        held.answered_by = Some(answer.version.unwrap_or(version));
    }
    Ok(answer)
}

async fn through(
    store: &mut Store<'_>,
    pipeline: &mut Pipeline,
    model: &Arc<dyn OpenModel>,
    payload: Payload,
) -> Result<Processed> {
    let call = match wait_for(store, pipeline.preprocess(payload)).await? {
        Step::Answer(answer) => return Ok(answer),
        Step::Run(call) => call,
    };
    // The client has no part in it: its request was good.
    check_call(model.as_ref(), &call).map_err(|error| pipeline.bad(bad_call(&error)))?;
    let mut lists = run_model(store, model.as_ref(), vec![call]).await?;
    let outputs = lists.pop().unwrap_or_default();
    wait_for(store, pipeline.postprocess(outputs)).await
}
