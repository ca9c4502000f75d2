//! The WIT interface `runs`, over any store.
//!
//! **Invariant:** what is under way is bounded: begun runs by their number and the bytes of their
//! inputs, mirrored ones by places that all requests have together. **Cancellation:** begun runs
//! end with their request, mirrored ones with their time.

use std::sync::Arc;
use std::time::Duration;

use tensorgate_types::processing::unasked_body;
use tensorgate_types::{Deadline, Error, ErrorCode, Result, Tensor, TensorData};
use wasmtime::component::{Linker, Resource, ResourceType, WasmStr};

use super::inference::checked_call;
use super::run::{Ask, run};
use super::{Answer, NativeView, Store, wait_for};
use crate::NamedTensors;
use crate::contract::{NamedTensorIn, NamedTensorOut};
use crate::lower::{error_out, tensors_out};
use crate::processor::{Payload, Task, task};
use crate::state::HeldModel;

const INTERFACE: &str = "tensorgate:serving/runs@0.1.0";

/// How long a mirrored run may take. It holds a version of its model and a place as long.
const MIRROR_TIME: Duration = Duration::from_secs(10);

/// What a handle of the WIT resource `run` stands for.
struct Begun {
    /// None once it was waited for.
    run: Option<Task<Result<NamedTensors>>>,
    /// What the host holds for it.
    bytes: usize,
}

pub(super) fn add_to_linker<T: NativeView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("run", ResourceType::host::<Begun>(), give_up)?;
    interface.func_wrap_async("[method]run.wait", |store, call| {
        Box::new(wait(store, call))
    })?;
    interface.func_wrap("begin", begin)?;
    interface.func_wrap("mirror", |store, call| mirror(&store, call))
}

type BeginCall = (
    Resource<HeldModel>,
    WasmStr,
    Vec<NamedTensorIn>,
    Vec<WasmStr>,
);

fn begin<T: NativeView>(
    mut store: Store<'_, T>,
    (model, signature, inputs, outputs): BeginCall,
) -> wasmtime::Result<Answer<Resource<Begun>>> {
    let native = store.data().native().0;
    let most = native.limits().begun;
    if native.begun >= most {
        let error = Error::resource_exhausted(format!(
            "one request may have {most} runs under way: wait for one, or drop it"
        ));
        return Ok((native.refuse(&error),));
    }
    let call = match checked_call(&store, &model, &signature, &inputs, &outputs)? {
        Ok(call) => call,
        Err(error) => return Ok((store.data().native().0.refuse(&error),)),
    };
    let bytes = bytes_of(&call.inputs);
    let (native, table) = store.data_mut().native_mut();
    let most = native.limits().begun_bytes;
    if native.begun_bytes.saturating_add(bytes) > most {
        let error = Error::resource_exhausted(format!(
            "the {bytes} bytes of this run's inputs are too many: {} of the {most} bytes that one \
             request may have under way are taken",
            native.begun_bytes
        ));
        return Ok((native.refuse(&error),));
    }
    let held = table.get(&model)?.clone();
    let deadline = native.deadline;
    let work = async move { outputs_of(&held, Ask::of(call, "predict"), deadline).await };
    let models = Arc::clone(native.models());
    let run = task(work, |work| models.for_request(work));
    let run = table.push(Begun {
        run: Some(run),
        bytes,
    })?;
    native.begun += 1;
    native.begun_bytes += bytes;
    Ok((Ok(run),))
}

async fn wait<T: NativeView>(
    mut store: Store<'_, T>,
    (run,): (Resource<Begun>,),
) -> wasmtime::Result<Answer<Vec<NamedTensorOut>>> {
    let (native, table) = store.data_mut().native_mut();
    let begun = table.get_mut(&run)?;
    let Some(task) = begun.run.take() else {
        let error = Error::failed_precondition("this run has given its outputs already");
        return Ok((native.refuse(&error),));
    };
    let bytes = std::mem::take(&mut begun.bytes);
    let ended = async {
        let result = task.await;
        // The task was ended from outside: the house is going down.
        result.unwrap_or_else(|| Err(Error::new(ErrorCode::Cancelled, "the run was given up")))
    };
    let result = wait_for(&mut store, ended).await;
    let native = store.data_mut().native_mut().0;
    native.begun -= 1;
    native.begun_bytes -= bytes;
    Ok((match result {
        Ok(outputs) => Ok(tensors_out(outputs, native.counters())),
        Err(error) => Err(error_out(&error)),
    },))
}

/// The component has dropped its handle.
fn give_up<T: NativeView>(mut store: Store<'_, T>, handle: u32) -> wasmtime::Result<()> {
    let (native, table) = store.data_mut().native_mut();
    let begun = table.delete(Resource::<Begun>::new_own(handle))?;
    if begun.run.is_some() {
        native.begun -= 1;
        native.begun_bytes -= begun.bytes;
    }
    Ok(())
}

fn mirror<T: NativeView>(
    store: &Store<'_, T>,
    (model, signature, inputs): (Resource<HeldModel>, WasmStr, Vec<NamedTensorIn>),
) -> wasmtime::Result<Answer<()>> {
    let native = store.data().native().0;
    let Ok(place) = Arc::clone(&native.house.0.mirrors).try_acquire_owned() else {
        let error = Error::unavailable(format!(
            "{} mirrored runs are under way, which is as many as there may be",
            native.limits().mirrored
        ));
        return Ok((Err(error_out(&error)),));
    };
    let call = match checked_call(store, &model, &signature, &inputs, &[])? {
        Ok(call) => call,
        Err(error) => return Ok((store.data().native().0.refuse(&error),)),
    };
    let (native, table) = store.data().native();
    let held = table.get(&model)?.clone();
    let work = native.models().for_nobody(Box::pin(async move {
        let deadline = Deadline::after(MIRROR_TIME);
        let run = outputs_of(&held, Ask::of(call, "predict"), deadline);
        // Dropped only when it is over: what the run holds is bounded by its place.
        let _place = place;
        let error = match tokio::time::timeout(MIRROR_TIME, run).await {
            Ok(Ok(_outputs)) => return,
            Ok(Err(error)) => error,
            Err(_) => Error::deadline_exceeded(),
        };
        let id = held.model.id();
        tracing::debug!(model = id.name, version = id.version, %error, "a mirrored run failed");
    }));
    tokio::spawn(work);
    Ok((Ok(()),))
}

async fn outputs_of(held: &HeldModel, ask: Ask, deadline: Deadline) -> Result<NamedTensors> {
    match run(held, ask, deadline).await?.payload {
        Payload::Tensors(outputs) => Ok(outputs),
        Payload::Body { content_type, .. } => Err(unasked_body(&content_type)),
    }
}

fn bytes_of(inputs: &NamedTensors) -> usize {
    let of = |tensor: &Tensor| match tensor.data() {
        TensorData::Fixed(elements) => elements.len(),
        TensorData::Strings(strings) => strings.bytes().len() + size_of_val(strings.offsets()),
    };
    inputs.iter().map(|(_, tensor)| of(tensor)).sum()
}
