//! Runs locked apps: a `wasi:http` 0.2 host in Spin's manner.
//!
//! ```text
//! LockedApp -> Host::load -> App -> serve: socket -> route -> a fresh instance -> response
//!                                                                 |-> variables, key-value
//!                                                                 |-> other servers, as allowed
//!                                                                 \-> models of this process
//! ```
//!
//! **Invariant:** a guest sees what its manifest grants and nothing else, and what it uses has a
//! bound ([`Limits`]).

mod app;
mod budget;
mod component;
mod engine;
mod error;
mod host;
mod key_value;
mod limits;
mod memory;
mod outgoing;
mod request;
mod server;
mod state;
mod stdio;
mod tell;
mod variables;

pub use app::{App, ListedRoute};
pub use error::RunError;
pub use host::{AppOptions, Host, HostOptions};
pub use limits::Limits;
pub use server::{Current, listen, serve};
pub use stdio::{Follow, LogOptions};
pub use tell::Console;
