//! Brings the rooms together: what is on the shelf becomes what the sandbox may open.
//!
//! **Invariant:** only here does one room's trait meet another room's type.

mod away;
mod batching;
mod gateway;
mod loaded;
mod local;
mod management;
mod measured;
mod models;
mod platform;
mod press;
mod processors;
mod reload;
mod served;
mod session;
mod sessions;
mod status;
mod telemetry;
mod tensorflow;
mod worker;

pub(crate) use away::Away;
pub(crate) use batching::Batching;
pub(crate) use gateway::{EdgeHandler, cache_dir, chain, load_gateway, sandbox};
pub(crate) use management::Manageable;
pub(crate) use measured::MeasuredModel;
pub(crate) use models::{Shelf, too_long_for};
pub(crate) use platform::{check_thread_pools, with_platform};
pub(crate) use press::{Press, Servable};
pub(crate) use processors::{Changed, Desk, Listed, MAX_MIB, Seat, processor_config};
pub(crate) use reload::Reloader;
pub(crate) use served::{Served, ServedError, ServedModel, logging, served_models};
pub(crate) use telemetry::{Outcomes, Reports};
pub(crate) use tensorflow::{ModelFactory, library_version};
pub(crate) use worker::work;
