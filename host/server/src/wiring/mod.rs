//! Brings the rooms together: what is on the shelf becomes what the sandbox may open.
//!
//! **Invariant:** only here does one room's trait meet another room's type.

mod gateway;
mod loaded;
mod measured;
mod models;
mod served;
mod session;
mod telemetry;
mod tensorflow;

pub(crate) use gateway::{EdgeHandler, load_gateway, sandbox};
pub(crate) use measured::MeasuredModel;
pub(crate) use models::{Shelf, run_on_pool};
pub(crate) use served::{ServedError, ServedModel, served_models};
pub(crate) use telemetry::{Outcomes, Reports};
pub(crate) use tensorflow::{ModelFactory, library_version};
