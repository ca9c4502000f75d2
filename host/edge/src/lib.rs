//! The hatch: the sandbox and what it may ask for.

mod models;

pub use models::{BoxFuture, Models, NamedTensors, OpenModel, Outcome, Telemetry};
