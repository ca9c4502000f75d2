//! One request's way through a processor: a place, an instance, one call each way.
//!
//! **Invariant:** an instance lives for one request. **Cancellation:** dropping a [`Pipeline`]
//! drops the instance; its place is free when its memory is.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_types::{Deadline, Error, ErrorCode};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc,
};

use super::component::{Loaded, Processor};
use super::convert::{answer_in, context_size, payload_out, step_in};
use super::usage::Usage;
use crate::contract::NamedTensorOut;
use crate::contract::processor::{
    ContextOut, DescribeIn, PayloadOut, PostprocessIn, PreprocessIn, SubjectOut,
};
use crate::lower::{bytes_of, error_in, tensors_out};
use crate::meter::{Cut, Metered};
use crate::state::EdgeState;
use crate::{Call, EdgeError, GuestFault, NamedTensors, ProcessorError};

/// A result that a client is told of.
type Told<T> = Result<T, Error>;

/// What is known of a request beside its payload.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) signature: String,
    /// Outputs that the client wants; empty means all.
    pub(crate) outputs: Vec<String>,
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) enum Payload {
    Tensors(NamedTensors),
    Body { content_type: String, bytes: Bytes },
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Payload,
    pub(crate) version: Option<i64>,
}

#[derive(Debug)]
pub(crate) enum Step {
    Run(Call),
    Answer(Answer),
}

/// A request in its processor.
pub(crate) struct Pipeline {
    processor: Processor,
    /// None while a call is made, and after one that was not ended.
    cabin: Option<Cabin>,
    context: ContextOut,
    began: Instant,
    /// Spent in the model between the calls.
    elsewhere: Duration,
    left_at: Option<Instant>,
    usage: Usage,
}

impl Pipeline {
    /// Takes a place in the processor, now or when one comes free before the deadline.
    pub(crate) async fn begin(
        processor: Processor,
        context: Context,
        deadline: Deadline,
    ) -> Told<Self> {
        let began = Instant::now();
        let loaded = processor.loaded();
        loaded.counters.requests.increment();
        let cabin = match Cabin::take(loaded, deadline).await {
            Ok(cabin) => cabin,
            Err(error) => {
                loaded.counters.turned_away.increment();
                return Err(told(&processor, error));
            }
        };
        let id = processor.id();
        let context = ContextOut {
            model: id.name.clone(),
            version: id.version,
            signature_name: context.signature,
            outputs: context.outputs,
            properties: context.properties,
        };
        Ok(Self {
            processor,
            cabin: Some(cabin),
            context,
            began,
            elsewhere: Duration::ZERO,
            left_at: None,
            usage: Usage::default(),
        })
    }

    /// What is to happen with a request.
    ///
    /// # Errors
    /// The processor's own, or its failure.
    pub(crate) async fn preprocess(&mut self, payload: Payload) -> Told<Step> {
        let loaded = Arc::clone(self.processor.loaded());
        let size = match &payload {
            Payload::Tensors(tensors) => bytes_of(tensors),
            Payload::Body { bytes, .. } => bytes.len(),
        };
        let counters = &loaded.counters;
        counters
            .bytes_in
            .add((size + context_size(&self.context)) as u64);
        let payload = payload_out(payload, &loaded.sandbox.inner.shared.counters);
        let params: (ContextOut, PayloadOut) = (self.context.clone(), payload);
        let step: PreprocessIn = self.call(loaded.exports.preprocess, params, size).await?;
        let step = match step {
            Ok(step) => step_in(step).map_err(|error| self.bad(error.message()))?,
            Err(error) => return Err(self.refused(error_in(error))),
        };
        match &step {
            Step::Run(call) => counters.bytes_out.add(bytes_of(&call.inputs) as u64),
            Step::Answer(answer) => self.count_answer(answer)?,
        }
        self.left_at = Some(Instant::now());
        Ok(step)
    }

    /// What the client gets.
    ///
    /// # Errors
    /// The processor's own, or its failure.
    pub(crate) async fn postprocess(&mut self, outputs: NamedTensors) -> Told<Answer> {
        if let Some(left) = self.left_at.take() {
            self.elsewhere += left.elapsed();
        }
        let loaded = Arc::clone(self.processor.loaded());
        let size = bytes_of(&outputs);
        loaded.counters.bytes_in.add(size as u64);
        let outputs = tensors_out(outputs, &loaded.sandbox.inner.shared.counters);
        let params: (ContextOut, Vec<NamedTensorOut>) = (self.context.clone(), outputs);
        let answer: PostprocessIn = self.call(loaded.exports.postprocess, params, size).await?;
        let answer = match answer {
            Ok(answer) => answer_in(answer).map_err(|error| self.bad(error.message()))?,
            Err(error) => return Err(self.refused(error_in(error))),
        };
        self.count_answer(&answer)?;
        Ok(answer)
    }

    fn count_answer(&self, answer: &Answer) -> Told<()> {
        let size = match &answer.payload {
            Payload::Tensors(tensors) => bytes_of(tensors),
            Payload::Body { bytes, .. } => bytes.len(),
        };
        let loaded = self.processor.loaded();
        loaded.counters.bytes_out.add(size as u64);
        let limit = loaded.answer_bytes;
        if size > limit {
            return Err(self.bad(format!(
                "its answer has {size} bytes, and it may give {limit} (limits.answer_bytes)"
            )));
        }
        Ok(())
    }

    async fn call<P, R>(&mut self, export: ComponentExportIndex, params: P, size: usize) -> Told<R>
    where
        P: Lower + ComponentNamedList + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let Some(cabin) = self.cabin.take() else {
            return Err(self.bad("it was stopped"));
        };
        let (cabin, result) = cabin.call(export, params, size).await;
        if let Some(cabin) = cabin {
            self.note_use(&cabin);
            self.cabin = result.is_ok().then_some(cabin);
        }
        result.map_err(|error| {
            let loaded = self.processor.loaded();
            loaded.counters.failed.increment();
            if error.code() != ErrorCode::DeadlineExceeded {
                // The client is told that it failed; why is for whoever wrote it.
                let who = who(&self.processor);
                loaded.sandbox.inner.prints.fault(&who, &error);
            }
            told(&self.processor, error)
        })
    }

    fn note_use(&mut self, cabin: &Cabin) {
        let state = cabin.store.data();
        let own = state.meter.spent();
        let counters = &self.processor.loaded().counters;
        let more = own.saturating_sub(self.usage.own);
        counters
            .nanos
            .add(u64::try_from(more.as_nanos()).unwrap_or(u64::MAX));
        let memory = state.memory.most() as u64;
        counters.saw_memory(memory);
        self.usage.own = own;
        self.usage.memory = memory;
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            took: self.began.elapsed().saturating_sub(self.elsewhere),
            ..self.usage
        }
    }

    /// The processor has said no.
    fn refused(&self, error: Error) -> Error {
        self.processor.loaded().counters.refused.increment();
        error
    }

    /// The processor has said something that cannot be.
    pub(crate) fn bad(&self, what: impl std::fmt::Display) -> Error {
        self.processor.loaded().counters.failed.increment();
        self.processor.fault(what)
    }
}

fn who(processor: &Processor) -> String {
    let id = processor.id();
    format!("the processor of model {} version {}", id.name, id.version)
}

/// What a client is told when a processor could not answer. The cause is for the log.
fn told(processor: &Processor, error: EdgeError) -> Error {
    let who = who(processor);
    let message = match &error {
        EdgeError::Full { slots, waiting } => format!(
            "{who} is busy: {slots} requests are in it and {waiting} are waiting; try again later"
        ),
        EdgeError::NoSlotInTime { slots } => format!(
            "{who} is busy: none of its {slots} places came free before the deadline; try again \
             later"
        ),
        EdgeError::OutOfTime { limit } => format!(
            "{who} was stopped: it computed for longer than the {limit:?} that it may \
             (limits.time_ms)"
        ),
        EdgeError::OutOfMemory { limit, .. } => format!(
            "{who} failed: it needs more than the {limit} bytes of memory that it may have \
             (limits.memory_bytes)"
        ),
        EdgeError::DeadlinePassed => format!("the deadline passed in {who}"),
        _ => format!("{who} failed"),
    };
    let code = match error {
        // The client's request is as good as any: what it was held against is the operator's.
        EdgeError::OutOfMemory { .. } => ErrorCode::ResourceExhausted,
        _ => error.code(),
    };
    Error::new(code, message).with_source(error)
}

/// An instance and its place. Made for a request, and moved to the processors' threads for each
/// call.
pub(super) struct Cabin {
    // Dropped before the permits: a place is free when its memory is.
    store: Store<EdgeState>,
    instance: Option<Instance>,
    loaded: Arc<Loaded>,
    _place: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

impl Cabin {
    pub(super) async fn take(loaded: &Arc<Loaded>, deadline: Deadline) -> Result<Self, EdgeError> {
        let place = loaded.slots.take(deadline).await?;
        let inner = &loaded.sandbox.inner;
        let slot = inner.slots.take(deadline).await?;
        inner.shared.counters.instances.increment();
        Ok(Self {
            store: loaded.sandbox.store(deadline),
            instance: None,
            loaded: Arc::clone(loaded),
            _place: place,
            _slot: slot,
        })
    }

    /// Makes the instance, and nothing more.
    pub(super) async fn start(self) -> Result<Self, EdgeError> {
        let loaded = Arc::clone(&self.loaded);
        let work = async move {
            let mut cabin = self;
            let result = cabin.timed_start().await;
            result.map(|()| cabin)
        };
        let started = loaded.on_threads(work);
        started.await.unwrap_or_else(|| Err(gone()))
    }

    /// Looks whether what a started one exports is of the types that it should be.
    pub(super) fn check_types(&mut self) -> Result<(), ProcessorError> {
        let exports = self.loaded.exports;
        let Some(instance) = self.instance else {
            return Err(ProcessorError::Start(gone()));
        };
        let store = &mut self.store;
        let describe = instance
            .get_typed_func::<(SubjectOut,), (DescribeIn,)>(&mut *store, exports.describe)
            .err();
        let preprocess = instance
            .get_typed_func::<(ContextOut, PayloadOut), (PreprocessIn,)>(
                &mut *store,
                exports.preprocess,
            )
            .err();
        let postprocess = instance
            .get_typed_func::<(ContextOut, Vec<NamedTensorOut>), (PostprocessIn,)>(
                &mut *store,
                exports.postprocess,
            )
            .err();
        let functions = [
            ("describe", describe),
            ("preprocess", preprocess),
            ("postprocess", postprocess),
        ];
        for (function, error) in functions {
            if let Some(error) = error {
                let cause = format!("{error:#}");
                return Err(ProcessorError::Type { function, cause });
            }
        }
        Ok(())
    }

    /// Calls one of its functions with elements or a body of so many bytes. It is of no more use
    /// where that failed.
    pub(super) async fn call<P, R>(
        self,
        export: ComponentExportIndex,
        params: P,
        size: usize,
    ) -> (Option<Self>, Result<R, EdgeError>)
    where
        P: Lower + ComponentNamedList + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let loaded = Arc::clone(&self.loaded);
        let work = async move {
            let mut cabin = self;
            let result = cabin.timed_call(export, params, size).await;
            (cabin, result)
        };
        match loaded.on_threads(work).await {
            Some((cabin, result)) => (Some(cabin), result),
            None => (None, Err(gone())),
        }
    }

    async fn timed_start(&mut self) -> Result<(), EdgeError> {
        let loaded = Arc::clone(&self.loaded);
        let _running = loaded.sandbox.inner.ticker.run();
        let meter = Arc::clone(&self.store.data().meter);
        let result = {
            let start = pin!(self.instance());
            Metered::new(meter, start).await
        };
        self.judged(result).map(drop)
    }

    async fn timed_call<P, R>(
        &mut self,
        export: ComponentExportIndex,
        params: P,
        size: usize,
    ) -> Result<R, EdgeError>
    where
        P: Lower + ComponentNamedList + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let loaded = Arc::clone(&self.loaded);
        let _running = loaded.sandbox.inner.ticker.run();
        // While the model ran the epoch moved on, and that was not its time.
        self.store.set_epoch_deadline(1);
        let meter = Arc::clone(&self.store.data().meter);
        let result = {
            let call = pin!(self.enter(export, params, size));
            Metered::new(meter, call).await
        };
        let result = self.judged(result);
        loaded.sandbox.log_output(&self.store);
        result
    }

    fn judged<R>(&self, result: Result<wasmtime::Result<R>, Cut>) -> Result<R, EdgeError> {
        let sandbox = &self.loaded.sandbox;
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(sandbox.fault(&self.store, &error)),
            Err(cut) => Err(sandbox.cut(cut)),
        }
    }

    async fn enter<P, R>(
        &mut self,
        export: ComponentExportIndex,
        params: P,
        size: usize,
    ) -> wasmtime::Result<R>
    where
        P: Lower + ComponentNamedList + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let instance = self.instance().await?;
        let function: TypedFunc<P, (R,)> = instance.get_typed_func(&mut self.store, export)?;
        self.store.data_mut().memory.take_in(size)?;
        let (result,) = function.call_async(&mut self.store, params).await?;
        Ok(result)
    }

    async fn instance(&mut self) -> wasmtime::Result<Instance> {
        if let Some(instance) = self.instance {
            return Ok(instance);
        }
        let instance = self
            .loaded
            .instance
            .instantiate_async(&mut self.store)
            .await?;
        self.instance = Some(instance);
        Ok(instance)
    }
}

/// The threads of processors have stopped: the server is going down.
fn gone() -> EdgeError {
    EdgeError::Trap {
        fault: GuestFault {
            description: "the threads of processors have stopped".to_owned(),
            output: String::new(),
        },
    }
}
