//! What the gateway thinks: TensorFlow Serving's protocols over any inference.
//!
//! ```text
//!  Request ──> rest::route ──> request (JSON to tensors) ──> Model::predict
//!                                       └─ or to tf.Examples ──> examples ──> Model::run
//!                                                                 │
//!  Response <── rest (errors, headers) <── response (tensors to JSON) ┘
//!
//!  Message ──> grpc (protobuf to tensors or examples, and back to chunks) <──> Model::run
//! ```
//!
//! Plain Rust with no bindings: the gateway component is a thin shell round [`rest::handle`] and
//! [`grpc::handle`], and so is every other component that answers the same protocols. Models are
//! reached through [`Inference`] and [`Model`], the rest of the house through [`Services`], which
//! a shell implements over its imports and the tests over nothing at all.
//!
//! **Invariant:** nothing here knows a sandbox, a file or a socket, waits or keeps state between
//! requests; memory is bounded by a small multiple of the body.

#![forbid(unsafe_code)]

mod described;
pub mod edge;
pub mod examples;
mod exchange;
#[cfg(test)]
mod fake;
pub mod grpc;
mod inference;
mod json;
mod outcome;
pub mod remote;
mod request;
mod response;
pub mod rest;
mod services;
pub mod v2;

pub use exchange::{ChunkedResponse, HttpRequest};
pub use inference::{
    Call, Hosted, Inference, Input, InputData, Model, Output, OutputData, Range, Reply,
};
pub use outcome::Outcome;
pub use request::{Format, PredictRequest, SignatureSource, Tensor, Values, parse_predict};
pub use services::{Chunk, LogEntry, MAX_READ, Message, Services};
