//! A host's models for components elsewhere: `POST /edge/v1`, as proto/tensorgate/edge/v1 has it.
//!
//! ```text
//!  at the edge                                          in the host's gateway
//!  client::open, run, status ── Request ──> answer ──> Inference, Model
//!  client::hear  <───────────── Response ───┘
//! ```
//!
//! Both ends are here, so that one cannot be changed without the other.
//!
//! **Invariant:** as for gRPC: tensors are never copied in, large outputs never out; every number
//! and length is a stranger's.

pub mod client;
mod host;
mod known;
#[cfg(test)]
mod tests;

pub use host::answer;
pub use known::{CoveredSignature, Known, KnownSignature};

/// Where it is answered.
pub const PATH: &str = "/edge/v1";

/// What requests and answers are, as HTTP names it.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
