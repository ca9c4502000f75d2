//! The hatch: the sandbox in which requests are handled, and what it may ask for.
//!
//! A [`Gateway`] is a WebAssembly component of the world `gateway` (`wit/gateway.wit`). Each
//! request gets a fresh instance of it, with a bounded amount of time, memory and everything
//! else; the component calls the house's models through [`Models`], and says through
//! [`Telemetry`] how the request ended.
//!
//! ```text
//! server                      this crate                          component
//! RestRequest  -> Gateway::handle -> slot, store, instance -> rest.handle
//!                 Models::open    <- inference.open        <-
//!                 OpenModel::run  <- checked, one copy     <- model.predict
//! RestResponse <- checked answer                           <-
//!
//! GrpcRequest  -> Gateway::handle_grpc -> its beginning    -> grpc.handle
//!                 OpenModel::run  <- parts of the message  <- transfer.run
//!                            outputs that stay here, numbers ->
//! GrpcResponse <- outputs and parts of the message         <- chunks
//!
//! RestRequest  -> Gateway::handle_exchange: as a gRPC call -> exchange.handle
//! ```
//!
//! A component that traps, loops, eats memory or lies about lengths costs its own request an
//! [`EdgeError`] and nobody else anything.
//!
//! **Invariant:** nothing here knows JSON, a client's protobuf message or TensorFlow; bytes of
//! bodies go through unread. Only this crate and `host/spin` name wasmtime.
//!
//! **Cancellation:** dropping the future of [`Gateway::handle`] drops the instance with all that
//! it holds.

mod contract;
mod convert;
mod digest;
mod engine;
mod error;
mod gateway;
mod inference;
mod limits;
mod lower;
mod management;
mod message;
mod meter;
mod models;
mod native;
mod nn;
mod prints;
mod processing;
mod processor;
mod request;
mod response;
mod sandbox;
mod services;
mod slots;
mod state;
mod stats;
mod telemetry;
mod ticker;
mod transfer;
mod wasi;

pub use engine::EdgeEngine;
pub use error::{EdgeError, EngineError, GuestFault, LoadError, ProcessorError};
pub use gateway::Gateway;
pub use limits::EdgeLimits;
pub use models::{BoxFuture, Call, Models, NamedTensors, OpenModel, Work, own_places};
pub use native::{Native, NativeLimits, NativeModels, NativeView, link_models, link_no_processor};
pub use processor::{
    Component, Processor, ProcessorOptions, ProcessorStats, Processors, Rights, Survey, Usage,
};
pub use request::{GrpcRequest, GrpcResponse, RestRequest};
pub use response::{ExchangeResponse, RestResponse};
pub use services::{
    LogEntry, Management, Outcome, RequestLog, Services, Telemetry, Unlogged, Unmanaged,
};
pub use stats::EdgeStats;
/// What the traits of the house are written in.
pub use tensorgate_types::{
    LogKind, LoggingConfig, ModelConfig, ModelVersionPolicy as VersionPolicy, Settings,
};
pub use ticker::{Running, Ticker};
pub use wasi::{Directory, Grants};
