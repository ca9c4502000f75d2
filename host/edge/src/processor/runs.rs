//! The WIT interface `runs`: runs that a processor does not stand and wait for.
//!
//! ```text
//! begin   a task that runs the model  -> handle; `wait` takes its outputs, a drop ends it
//! mirror  a task that runs the model  -> nobody
//! ```
//!
//! **Invariant:** what is under way is bounded: begun runs by their number and by the component's
//! memory, mirrored ones by places that a processor has all together, each worth a share of the
//! memory that one request may have. **Cancellation:** begun runs end with their request, mirrored
//! ones with their time.

use std::sync::Arc;
use std::time::Duration;

use tensorgate_types::{Deadline, Error, ErrorCode, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};

use super::threads::{Task, task};
use super::usage::Counters;
use crate::contract::{NamedTensorIn, NamedTensorOut, TensorDataIn};
use crate::inference::{Answer, Store, checked_call, refuse, wait_for};
use crate::lower::{self, error_out, tensors_out};
use crate::state::{EdgeState, HeldModel};
use crate::{Call, NamedTensors, OpenModel};

const INTERFACE: &str = "tensorgate:serving/runs@0.1.0";

/// Runs that one request may have under way. An ensemble of more models than this is better made
/// in turns: each of them is a batch somewhere.
const MAX_BEGUN: usize = 16;

/// How long a mirrored run may take. It holds a version of its model and a place as long.
const MIRROR_TIME: Duration = Duration::from_secs(10);

/// What a handle of the WIT resource `run` stands for.
struct Begun {
    /// None once it was waited for.
    run: Option<Task<Result<NamedTensors>>>,
    /// What the host holds for it.
    bytes: usize,
}

pub(super) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("run", ResourceType::host::<Begun>(), give_up)?;
    interface.func_wrap_async("[method]run.wait", |store, call| {
        Box::new(wait(store, call))
    })?;
    interface.func_wrap("begin", begin)?;
    interface.func_wrap("mirror", mirror)
}

/// What one processor may have under way for nobody.
#[derive(Debug)]
pub(crate) struct Mirrors {
    places: Arc<Semaphore>,
    /// Bytes of inputs that one place is good for.
    each: usize,
    all: u32,
    counters: Arc<Counters>,
}

impl Mirrors {
    /// `runs` at a time, with `memory` bytes of inputs together.
    pub(super) fn new(runs: usize, memory: usize, counters: Arc<Counters>) -> Self {
        let all = u32::try_from(runs).unwrap_or(u32::MAX).clamp(1, 1 << 16);
        Self {
            places: Arc::new(Semaphore::new(all as usize)),
            each: (memory / all as usize).max(1),
            all,
            counters,
        }
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let places = u32::try_from(bytes.div_ceil(self.each)).unwrap_or(u32::MAX);
        // A request can hand over no more than its memory: that is all of the places.
        let places = places.clamp(1, self.all);
        Arc::clone(&self.places).try_acquire_many_owned(places).ok()
    }
}

type BeginCall = (
    Resource<HeldModel>,
    WasmStr,
    Vec<NamedTensorIn>,
    WasmList<WasmStr>,
);

fn begin(
    mut store: Store<'_>,
    (model, signature, inputs, outputs): BeginCall,
) -> wasmtime::Result<Answer<Resource<Begun>>> {
    let bytes = bytes_of(&inputs);
    let state = store.data_mut();
    if state.begun >= MAX_BEGUN {
        let error = Error::resource_exhausted(format!(
            "one request may have {MAX_BEGUN} runs under way: wait for one, or drop it"
        ));
        return Ok((refuse(state, &error),));
    }
    if !state.memory.hold(bytes) {
        let error = Error::resource_exhausted(format!(
            "the {bytes} bytes of this run's inputs do not fit into the memory that is left"
        ));
        return Ok((refuse(state, &error),));
    }
    let call = match checked_call(&mut store, &model, &signature, &inputs, Some(&outputs))? {
        Ok(call) => call,
        Err(error) => {
            let state = store.data_mut();
            state.memory.release(bytes);
            return Ok((refuse(state, &error),));
        }
    };
    let state = store.data_mut();
    let model = Arc::clone(&state.table.get(&model)?.model);
    let run = task(run_one(model, call, state.deadline), |work| {
        state.services.models.for_request(work)
    });
    let run = state.table.push(Begun {
        run: Some(run),
        bytes,
    })?;
    state.begun += 1;
    Ok((Ok(run),))
}

async fn wait(
    mut store: Store<'_>,
    (run,): (Resource<Begun>,),
) -> wasmtime::Result<Answer<Vec<NamedTensorOut>>> {
    let begun = store.data_mut().table.get_mut(&run)?;
    let Some(task) = begun.run.take() else {
        let error = Error::failed_precondition("this run has given its outputs already");
        return Ok((refuse(store.data(), &error),));
    };
    let bytes = std::mem::take(&mut begun.bytes);
    let ended = async {
        let result = task.await;
        // The task was ended from outside: the server is going down.
        result.unwrap_or_else(|| Err(Error::new(ErrorCode::Cancelled, "the run was given up")))
    };
    let result = wait_for(&mut store, ended).await;
    let state = store.data_mut();
    state.ran = true;
    state.memory.release(bytes);
    state.begun -= 1;
    Ok((match result {
        Ok(outputs) => {
            state.memory.take_in(lower::bytes_of(&outputs))?;
            Ok(tensors_out(outputs, &state.shared.counters))
        }
        Err(error) => Err(error_out(&error)),
    },))
}

/// The component has dropped its handle.
fn give_up(mut store: Store<'_>, handle: u32) -> wasmtime::Result<()> {
    let state = store.data_mut();
    let begun = state.table.delete(Resource::<Begun>::new_own(handle))?;
    if begun.run.is_some() {
        state.memory.release(begun.bytes);
        state.begun -= 1;
    }
    Ok(())
}

fn mirror(
    mut store: Store<'_>,
    (model, signature, inputs): (Resource<HeldModel>, WasmStr, Vec<NamedTensorIn>),
) -> wasmtime::Result<Answer<()>> {
    let state = store.data();
    let Some(mirrors) = state.mirrors.clone() else {
        let error = Error::failed_precondition("only processors may mirror requests");
        return Ok((refuse(state, &error),));
    };
    let Some(place) = mirrors.take(bytes_of(&inputs)) else {
        mirrors.counters.mirrors_shed.increment();
        let error = Error::unavailable(
            "as many mirrored runs are under way as the processor may have (limits.concurrency)",
        );
        return Ok((Err(error_out(&error)),));
    };
    let call = match checked_call(&mut store, &model, &signature, &inputs, None)? {
        Ok(call) => call,
        Err(error) => return Ok((refuse(store.data(), &error),)),
    };
    let state = store.data();
    let model = Arc::clone(&state.table.get(&model)?.model);
    mirrors.counters.mirrored.increment();
    let work = state.services.models.for_nobody(Box::pin(async move {
        let id = model.id().clone();
        let run = run_one(model, call, Deadline::after(MIRROR_TIME));
        // Dropped only when it is over: what the run holds is bounded by its place.
        let _place = place;
        let error = match tokio::time::timeout(MIRROR_TIME, run).await {
            Ok(Ok(_outputs)) => return,
            Ok(Err(error)) => error,
            Err(_) => Error::deadline_exceeded(),
        };
        mirrors.counters.mirrors_failed.increment();
        tracing::debug!(model = id.name, version = id.version, %error, "a mirrored run failed");
    }));
    tokio::spawn(work);
    Ok((Ok(()),))
}

/// What a component hands over for a run.
fn bytes_of(inputs: &[NamedTensorIn]) -> usize {
    let sizes = inputs.iter().map(|input| match &input.tensor.data {
        TensorDataIn::Fixed(bytes) => bytes.len(),
        TensorDataIn::Strings(strings) => strings
            .bytes
            .len()
            .saturating_add(strings.offsets.len().saturating_mul(size_of::<u64>())),
    });
    sizes.fold(0, usize::saturating_add)
}

async fn run_one(
    model: Arc<dyn OpenModel>,
    call: Call,
    deadline: Deadline,
) -> Result<NamedTensors> {
    let mut lists = model.run(vec![call], deadline).await?;
    Ok(lists.pop().unwrap_or_default())
}
