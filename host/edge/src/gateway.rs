//! A gateway component that is ready to be called, and the way of one request through it.
//!
//! ```text
//! request -> slot -> fresh store and instance -> rest.handle -> checked answer
//!              |            |                    grpc.handle, exchange.handle
//!              |            |                        |
//!            503          dropped with the request   trap, loop, bomb: an EdgeError
//! ```
//!
//! Of a gRPC call's message, and of the body of a request over HTTP that has tensors as bytes in
//! it, only the beginning goes into the component; the rest stays here, and the component names
//! parts of it.
//!
//! **Invariant:** an instance lives for one request. Nothing that a request leaves behind, in
//! memory or in handles, is seen by another.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{Deadline, Error};
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Lift, Lower, TypedFunc};

use crate::contract::transfer::{
    ChunkIn, ExchangeRequestOut, ExchangeResponseIn, GrpcAnswerIn, GrpcRequestOut,
};
use crate::contract::{RequestOut, ResponseIn};
use crate::engine::{EdgeEngine, Inner};
use crate::lower::error_in;
use crate::message::{Assembled, Outside};
use crate::meter::Metered;
use crate::request::{GrpcRequest, GrpcResponse, RestRequest, head_size};
use crate::response::{ExchangeResponse, RestResponse, check_head, check_response};
use crate::sandbox::Sandbox;
use crate::slots::Slots;
use crate::state::EdgeState;
use crate::{EdgeError, LoadError, Services};

/// The exports that make a gateway: their interfaces, and the function of each.
const REST: (&str, &str) = (
    "tensorgate:serving/rest@0.1.0",
    "tensorgate:serving/rest@0.1.0#handle",
);
const GRPC: (&str, &str) = (
    "tensorgate:serving/grpc@0.1.0",
    "tensorgate:serving/grpc@0.1.0#handle",
);
const EXCHANGE: (&str, &str) = (
    "tensorgate:serving/exchange@0.1.0",
    "tensorgate:serving/exchange@0.1.0#handle",
);

/// As much of a message as goes into the component with the call. Of a larger one it usually
/// wants to see no more than that, where the names are, and what lies behind the numbers.
const HEAD: usize = 4 << 10;

/// Takes one record and gives one.
type Handle<P, R> = TypedFunc<(P,), (R,)>;

/// A component of the world `gateway`: compiled, linked, tried once, ready.
#[derive(Clone)]
pub struct Gateway {
    sandbox: Sandbox,
    instance: InstancePre<EdgeState>,
    exports: Exports,
}

/// Where the functions are that a gateway exports.
#[derive(Clone, Copy)]
struct Exports {
    rest: ComponentExportIndex,
    grpc: ComponentExportIndex,
    exchange: ComponentExportIndex,
}

/// What comes to a component's door.
struct Arrival<'a, P> {
    /// What goes into it.
    params: P,
    /// How many bytes that is.
    size: usize,
    /// How long the body or the message is.
    request_bytes: usize,
    /// What is taken before a slot, where requests of a kind have a bound of their own.
    lane: Option<&'a Slots>,
    /// What it may take parts of, or hand on.
    outside: Outside,
    /// How long a message may be that it takes parts of.
    message_limit: usize,
    deadline: Deadline,
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
        let (instance, exports) = tokio::task::spawn_blocking({
            let inner = Arc::clone(&inner);
            move || compile(&inner, &wasm)
        })
        .await
        .map_err(|stopped| LoadError::Compile(stopped.to_string()))??;
        let gateway = Gateway {
            sandbox: Sandbox::new(inner, services),
            instance,
            exports,
        };
        gateway.try_out().await?;
        Ok(gateway)
    }
}

fn compile(inner: &Inner, wasm: &[u8]) -> Result<(InstancePre<EdgeState>, Exports), LoadError> {
    let component = Component::new(&inner.engine, wasm)
        .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    let instance = inner
        .linker
        .instantiate_pre(&component)
        .map_err(|error| LoadError::Import(format!("{error:#}")))?;
    let exports = Exports {
        rest: find_export(&component, REST)?,
        grpc: find_export(&component, GRPC)?,
        exchange: find_export(&component, EXCHANGE)?,
    };
    Ok((instance, exports))
}

fn find_export(
    component: &Component,
    (interface, handle): (&'static str, &'static str),
) -> Result<ComponentExportIndex, LoadError> {
    let missing = |missing| LoadError::World {
        missing,
        cause: "there is no such export".to_owned(),
    };
    let instance = component
        .get_export_index(None, interface)
        .ok_or_else(|| missing(interface))?;
    component
        .get_export_index(Some(&instance), "handle")
        .ok_or_else(|| missing(handle))
}

impl Gateway {
    /// What its instances are given.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.sandbox.services
    }

    /// The same component, in the same slots, with something else given to its instances.
    #[must_use]
    pub fn with_services(&self, services: Services) -> Self {
        let mut other = self.clone();
        other.sandbox.services = Arc::new(services);
        other
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
        let size = head_size(&request.method, &request.path, &request.headers) + request.body.len();
        let inner = Arc::clone(&self.sandbox.inner);
        let outside = Outside::of_body(request.body.clone());
        let arrival = Arrival {
            request_bytes: request.body.len(),
            lane: inner.rest_slots.as_ref(),
            params: RequestOut {
                method: request.method,
                path: request.path,
                headers: request.headers,
                body: request.body,
            },
            size,
            outside,
            message_limit: 0,
            deadline,
        };
        self.answer(self.exports.rest, arrival, |response: ResponseIn, state| {
            let counters = &state.shared.counters;
            let response = check_response(response, state.shared.limits.response_bytes)?;
            counters.bytes_from_guests.add(response.body.len() as u64);
            Ok(response)
        })
        .await
    }

    /// Answers a gRPC call: the message, or the status that the component ends the call with.
    ///
    /// Slots, line, limits and cancellation are those of [`handle`](Self::handle).
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub async fn handle_grpc(
        &self,
        request: GrpcRequest,
        deadline: Deadline,
    ) -> Result<Result<GrpcResponse, Error>, EdgeError> {
        let GrpcRequest { method, message } = request;
        let head = message.slice(..message.len().min(HEAD));
        let arrival = Arrival {
            size: method.len() + head.len(),
            request_bytes: message.len(),
            lane: None,
            params: GrpcRequestOut {
                method,
                head,
                length: message.len() as u64,
            },
            outside: Outside::of(Some(message)),
            message_limit: self.sandbox.inner.shared.limits.grpc_request_bytes,
            deadline,
        };
        self.answer(self.exports.grpc, arrival, |answer: GrpcAnswerIn, state| {
            let chunks = match answer {
                Ok(chunks) => chunks,
                Err(error) => return Ok(Err(error_in(error))),
            };
            let limit = state.shared.limits.grpc_response_bytes;
            let message = check_message(chunks, limit, state)?;
            let counters = &state.shared.counters;
            counters.bytes_from_guests.add(message.copied as u64);
            Ok(Ok(GrpcResponse {
                chunks: message.chunks,
            }))
        })
        .await
    }

    /// Answers a request whose body stays outside of the component.
    ///
    /// Slots, line, limits and cancellation are those of [`handle`](Self::handle).
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub async fn handle_exchange(
        &self,
        request: RestRequest,
        deadline: Deadline,
    ) -> Result<ExchangeResponse, EdgeError> {
        let inner = Arc::clone(&self.sandbox.inner);
        let RestRequest {
            method,
            path,
            headers,
            body,
        } = request;
        let head = body.slice(..body.len().min(HEAD));
        let arrival = Arrival {
            size: head_size(&method, &path, &headers) + head.len(),
            request_bytes: body.len(),
            lane: inner.rest_slots.as_ref(),
            params: ExchangeRequestOut {
                method,
                path,
                headers,
                head,
                length: body.len() as u64,
            },
            outside: Outside::of(Some(body)),
            message_limit: inner.shared.limits.request_bytes,
            deadline,
        };
        let export = self.exports.exchange;
        self.answer(export, arrival, |response: ExchangeResponseIn, state| {
            let head = check_head(response.status, &response.headers)?;
            let limit = state.shared.limits.response_bytes.saturating_sub(head);
            let message = check_message(response.body, limit, state)?;
            let counters = &state.shared.counters;
            counters.bytes_from_guests.add(message.copied as u64);
            Ok(ExchangeResponse {
                status: response.status,
                headers: response.headers,
                chunks: message.chunks,
            })
        })
        .await
    }

    /// The way of every request: counted, admitted, called, checked.
    async fn answer<P, R, T>(
        &self,
        export: ComponentExportIndex,
        arrival: Arrival<'_, P>,
        check: impl FnOnce(R, &EdgeState) -> Result<T, EdgeError>,
    ) -> Result<T, EdgeError>
    where
        P: Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        self.sandbox.inner.shared.counters.requests.increment();
        // Boxed, because what waits round it would else be several times as large, and each layer
        // is moved when it is made.
        let result = Box::pin(self.admit_and_call(export, arrival, check)).await;
        if let Err(error) = &result {
            self.sandbox.inner.shared.counters.count(error);
        }
        result
    }

    async fn admit_and_call<P, R, T>(
        &self,
        export: ComponentExportIndex,
        arrival: Arrival<'_, P>,
        check: impl FnOnce(R, &EdgeState) -> Result<T, EdgeError>,
    ) -> Result<T, EdgeError>
    where
        P: Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let Arrival {
            params,
            size,
            request_bytes,
            lane,
            outside,
            message_limit,
            deadline,
        } = arrival;
        let limits = &self.sandbox.inner.shared.limits;
        refuse_large(size, limits.request_bytes)?;
        refuse_large(outside.message_len(), message_limit)?;
        let _lane = match lane {
            Some(lane) => Some(lane.take(deadline).await?),
            None => None,
        };
        // Declared before the store, hence dropped after it: a slot is free when its memory is.
        let _slot = self.sandbox.inner.slots.take(deadline).await?;
        let _running = self.sandbox.inner.ticker.run();
        self.sandbox.inner.shared.counters.instances.increment();
        self.sandbox
            .inner
            .shared
            .counters
            .bytes_to_guests
            .add(size as u64);
        let mut store = self.sandbox.store(deadline);
        store.data_mut().outside = outside;
        store.data_mut().request_bytes = request_bytes;
        let meter = Arc::clone(&store.data().meter);
        let result = {
            let call = pin!(self.call(export, &mut store, params));
            Metered::new(meter, call).await
        };
        let answer = match result {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.sandbox.fault(&store, &error)),
            Err(cut) => return Err(self.sandbox.cut(cut)),
        };
        let answer = check(answer, store.data())?;
        self.sandbox.log_output(&store);
        Ok(answer)
    }

    async fn call<P, R>(
        &self,
        export: ComponentExportIndex,
        store: &mut Store<EdgeState>,
        params: P,
    ) -> wasmtime::Result<R>
    where
        P: Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        let handle: Handle<P, R> = instance.get_typed_func(&mut *store, export)?;
        let (answer,) = handle.call_async(store, (params,)).await?;
        Ok(answer)
    }

    /// Makes an instance and drops it: whether the component starts, and what a start costs.
    ///
    /// # Errors
    /// When there is no slot, or the component does not start.
    pub async fn try_out(&self) -> Result<(), LoadError> {
        let _slot = self
            .sandbox
            .inner
            .slots
            .take(Deadline::NEVER)
            .await
            .map_err(LoadError::Start)?;
        let _running = self.sandbox.inner.ticker.run();
        let mut store = self.sandbox.store(Deadline::NEVER);
        let meter = Arc::clone(&store.data().meter);
        let instance = {
            let start = pin!(self.instance.instantiate_async(&mut store));
            Metered::new(meter, start).await
        };
        let instance = match instance {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => return Err(LoadError::Start(self.sandbox.fault(&store, &error))),
            Err(cut) => return Err(LoadError::Start(self.sandbox.cut(cut))),
        };
        let rest: wasmtime::Result<Handle<RequestOut, ResponseIn>> =
            instance.get_typed_func(&mut store, self.exports.rest);
        rest.map_err(|error| of_another_type(REST.1, &error))?;
        let grpc: wasmtime::Result<Handle<GrpcRequestOut, GrpcAnswerIn>> =
            instance.get_typed_func(&mut store, self.exports.grpc);
        grpc.map_err(|error| of_another_type(GRPC.1, &error))?;
        let exchange: wasmtime::Result<Handle<ExchangeRequestOut, ExchangeResponseIn>> =
            instance.get_typed_func(&mut store, self.exports.exchange);
        exchange.map_err(|error| of_another_type(EXCHANGE.1, &error))?;
        Ok(())
    }
}

fn of_another_type(export: &'static str, error: &wasmtime::Error) -> LoadError {
    LoadError::World {
        missing: export,
        cause: format!("{error:#}"),
    }
}

fn refuse_large(size: usize, limit: usize) -> Result<(), EdgeError> {
    if size > limit {
        return Err(EdgeError::RequestTooLarge { size, limit });
    }
    Ok(())
}

/// Puts a component's answer together.
fn check_message(
    chunks: Vec<ChunkIn>,
    limit: usize,
    state: &EdgeState,
) -> Result<Assembled, EdgeError> {
    let message = state
        .outside
        .assemble(chunks, usize::MAX)
        .map_err(|error| EdgeError::BadResponse(error.message().to_owned()))?;
    if message.size > limit {
        let size = message.size;
        return Err(EdgeError::ResponseTooLarge { size, limit });
    }
    Ok(message)
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
