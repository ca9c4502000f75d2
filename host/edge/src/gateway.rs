//! A gateway component that is ready to be called, and the way of one request through it.
//!
//! ```text
//! request -> slot -> fresh store and instance -> rest.handle -> checked answer
//!              |            |                        |
//!            503          dropped with the request   trap, loop, bomb: an EdgeError
//! ```
//!
//! **Invariant:** an instance lives for one request. Nothing that a request leaves behind, in
//! memory or in handles, is seen by another.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{Deadline, Error};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, TypedFunc};
use wasmtime::{Store, Trap};

use crate::contract::{RequestOut, ResponseIn};
use crate::engine::{EdgeEngine, Inner};
use crate::meter::{Cut, Meter, Metered};
use crate::response::{RestResponse, check_response};
use crate::state::EdgeState;
use crate::{EdgeError, GuestFault, LoadError, Services};

const REST: &str = "tensorgate:serving/rest@0.1.0";
const HANDLE: &str = "tensorgate:serving/rest@0.1.0#handle";

/// Handles of all kinds that a component may have at a time.
const MAX_HANDLES: usize = 1024;

/// Bytes of a trap's description: frames of a deep recursion are all alike.
const MAX_FAULT: usize = 4 << 10;

type Handle = TypedFunc<(RequestOut,), (ResponseIn,)>;

/// A request as it is handed to the component.
#[derive(Debug, Clone, Default)]
pub struct RestRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query as they were sent.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body. It is copied into the component's memory, once.
    pub body: Bytes,
}

/// A gRPC call as it is handed to the component.
#[derive(Debug, Clone, Default)]
pub struct GrpcRequest {
    /// The full method: `/tensorflow.serving.PredictionService/Predict`.
    pub method: String,
    /// The message, decompressed. Only its beginning is copied into the component's memory.
    pub message: Bytes,
}

/// The answer to a gRPC call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrpcResponse {
    /// The message, in pieces that follow one another. Large ones are shared with the runtime.
    pub chunks: Vec<Bytes>,
}

/// A component of the world `gateway`: compiled, linked, tried once, ready.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
    instance: InstancePre<EdgeState>,
    handle: ComponentExportIndex,
    services: Arc<Services>,
}

impl EdgeEngine {
    /// Compiles a component (or finds it in the cache), links it and makes one instance of it, so
    /// that what is wrong with it is found now and the first request pays for nothing.
    ///
    /// Takes some tenths of a second when it has to compile; the work is done on a thread that
    /// may block. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// When it is not a component, asks for something that a gateway is not given, does not
    /// export what a gateway exports, or cannot be started.
    pub async fn load(&self, wasm: Bytes, services: Services) -> Result<Gateway, LoadError> {
        let inner = Arc::clone(self.inner());
        let (instance, handle) = tokio::task::spawn_blocking({
            let inner = Arc::clone(&inner);
            move || compile(&inner, &wasm)
        })
        .await
        .map_err(|stopped| LoadError::Compile(stopped.to_string()))??;
        let gateway = Gateway {
            inner,
            instance,
            handle,
            services: Arc::new(services),
        };
        gateway.try_out().await?;
        Ok(gateway)
    }
}

fn compile(
    inner: &Inner,
    wasm: &[u8],
) -> Result<(InstancePre<EdgeState>, ComponentExportIndex), LoadError> {
    let component = Component::new(&inner.engine, wasm)
        .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    let missing = |missing| LoadError::World {
        missing,
        cause: "there is no such export".to_owned(),
    };
    let rest = component
        .get_export_index(None, REST)
        .ok_or_else(|| missing(REST))?;
    let handle = component
        .get_export_index(Some(&rest), "handle")
        .ok_or_else(|| missing(HANDLE))?;
    let instance = inner
        .linker
        .instantiate_pre(&component)
        .map_err(|error| LoadError::Import(format!("{error:#}")))?;
    Ok((instance, handle))
}

impl Gateway {
    /// What its instances are given.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The same component, in the same slots, with something else given to its instances.
    #[must_use]
    pub fn with_services(&self, services: Services) -> Self {
        Self {
            services: Arc::new(services),
            ..self.clone()
        }
    }

    /// Answers a request with a fresh instance of the component.
    ///
    /// When every slot is taken it waits in a bounded line. Dropping the future ends the request
    /// wherever it is. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// When there is no slot, when a limit is met, or when the component fails. An error that the
    /// component itself answers with is a response like any other.
    pub async fn handle(
        &self,
        request: RestRequest,
        deadline: Deadline,
    ) -> Result<RestResponse, EdgeError> {
        let counters = &self.inner.shared.counters;
        counters.requests.increment();
        let result = self.admit_and_call(request, deadline).await;
        if let Err(error) = &result {
            self.count(error);
        }
        result
    }

    /// Answers a gRPC call: the message, or the status that the component ends the call with.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub async fn handle_grpc(
        &self,
        _request: GrpcRequest,
        _deadline: Deadline,
    ) -> Result<Result<GrpcResponse, Error>, EdgeError> {
        Ok(Err(Error::unimplemented("gRPC is not there yet")))
    }

    async fn admit_and_call(
        &self,
        request: RestRequest,
        deadline: Deadline,
    ) -> Result<RestResponse, EdgeError> {
        let size = request_size(&request);
        let limit = self.inner.shared.limits.request_bytes;
        if size > limit {
            return Err(EdgeError::RequestTooLarge { size, limit });
        }
        // Declared before the store, hence dropped after it: a slot is free when its memory is.
        let _slot = self.inner.slots.take(deadline).await?;
        let _running = self.inner.ticker.run();
        self.inner.shared.counters.instances.increment();
        self.inner.shared.counters.bytes_to_guests.add(size as u64);
        let request = RequestOut {
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body,
        };
        let mut store = self.store(deadline);
        let meter = Arc::clone(&store.data().meter);
        let result = {
            let call = pin!(self.call(&mut store, request));
            Metered::new(meter, call).await
        };
        let response = match result {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.fault(&store, &error)),
            Err(cut) => return Err(self.cut(cut)),
        };
        let shared = &store.data().shared;
        let response = check_response(response, shared.limits.response_bytes)?;
        shared
            .counters
            .bytes_from_guests
            .add(response.body.len() as u64);
        self.log_output(&store);
        Ok(response)
    }

    async fn call(
        &self,
        store: &mut Store<EdgeState>,
        request: RequestOut,
    ) -> wasmtime::Result<ResponseIn> {
        let handle = self.instantiate(store).await?;
        let (response,) = handle.call_async(store, (request,)).await?;
        Ok(response)
    }

    async fn instantiate(&self, store: &mut Store<EdgeState>) -> wasmtime::Result<Handle> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        instance.get_typed_func(store, self.handle)
    }

    fn store(&self, deadline: Deadline) -> Store<EdgeState> {
        let shared = &self.inner.shared;
        let meter = Meter::new(shared.limits.guest_time, deadline);
        let state = EdgeState::new(
            Arc::clone(shared),
            Arc::clone(&self.services),
            meter,
            deadline,
        );
        let mut store = Store::new(&self.inner.engine, state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|store| EdgeState::on_tick(&store));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(shared.limits.hostcall_bytes());
        store.set_max_component_handles(MAX_HANDLES);
        store
    }

    /// Makes an instance and drops it: whether the component starts, and what a start costs.
    ///
    /// # Errors
    /// When there is no slot, or the component does not start.
    pub async fn try_out(&self) -> Result<(), LoadError> {
        let _slot = self
            .inner
            .slots
            .take(Deadline::NEVER)
            .await
            .map_err(LoadError::Start)?;
        let _running = self.inner.ticker.run();
        let mut store = self.store(Deadline::NEVER);
        let meter = Arc::clone(&store.data().meter);
        let instance = {
            let start = pin!(self.instance.instantiate_async(&mut store));
            Metered::new(meter, start).await
        };
        let instance = match instance {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => return Err(LoadError::Start(self.fault(&store, &error))),
            Err(cut) => return Err(LoadError::Start(self.cut(cut))),
        };
        let handle: wasmtime::Result<Handle> = instance.get_typed_func(&mut store, self.handle);
        handle.map(|_| ()).map_err(|error| LoadError::World {
            missing: HANDLE,
            cause: format!("{error:#}"),
        })
    }

    fn cut(&self, cut: Cut) -> EdgeError {
        match cut {
            Cut::Deadline => EdgeError::DeadlinePassed,
            Cut::OwnTime => EdgeError::OutOfTime {
                limit: self.inner.shared.limits.guest_time,
            },
        }
    }

    /// What a failed call was.
    fn fault(&self, store: &Store<EdgeState>, error: &wasmtime::Error) -> EdgeError {
        if let Some(cut) = error.downcast_ref::<Cut>() {
            return self.cut(*cut);
        }
        let state = store.data();
        let mut description = format!("{error:?}");
        description.truncate(description.floor_char_boundary(MAX_FAULT));
        let fault = GuestFault {
            description,
            output: state.printed.text(),
        };
        if state.memory.refused {
            let limit = state.shared.limits.memory;
            return EdgeError::OutOfMemory { limit, fault };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => EdgeError::StackOverflow { fault },
            _ => EdgeError::Trap { fault },
        }
    }

    fn count(&self, error: &EdgeError) {
        let counters = &self.inner.shared.counters;
        match error {
            EdgeError::Full { .. } => counters.refused_full.increment(),
            EdgeError::NoSlotInTime { .. } => counters.refused_late.increment(),
            EdgeError::RequestTooLarge { .. } => counters.refused_large.increment(),
            EdgeError::ResponseTooLarge { .. } => counters.large_responses.increment(),
            EdgeError::BadResponse(_) => counters.bad_responses.increment(),
            EdgeError::DeadlinePassed => counters.deadlines.increment(),
            EdgeError::OutOfTime { .. } => counters.out_of_time.increment(),
            EdgeError::OutOfMemory { .. } => counters.out_of_memory.increment(),
            EdgeError::StackOverflow { .. } => {
                counters.stack_overflows.increment();
                counters.traps.increment();
            }
            EdgeError::Trap { .. } => counters.traps.increment(),
        }
    }

    fn log_output(&self, store: &Store<EdgeState>) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let text = store.data().printed.text();
        if !text.is_empty() {
            self.inner.prints.log(&text);
        }
    }
}

fn request_size(request: &RestRequest) -> usize {
    let headers: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    request.method.len() + request.path.len() + headers + request.body.len()
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
