//! The door, and the wiring of the whole house: the binary `tensorgate`.
//!
//! ```text
//! cli --> options --> serve --> wiring: libtensorflow, models, gateway
//!                       |
//!                       +-----> door: sockets --> limits --> gateway component --> answer
//! ```
//!
//! **Invariant:** a request's body is bytes here. What is in it, only the gateway component
//! knows; the JSON that the door writes is the envelope of an error that it must give itself, and
//! the report on readiness.

#![forbid(unsafe_code)]

mod admin;
#[cfg(feature = "count-allocations")]
mod allocations;
pub mod cli;
mod components;
mod door;
mod files;
mod inspect;
mod logging;
mod metrics;
mod options;
mod profiler;
mod records;
mod request_log;
mod serve;
mod warmup;
mod wiring;

pub use options::{Manner, Port, ServeOptions, StrictShapes};
