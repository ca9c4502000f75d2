//! Spin apps: what a `spin.toml` says, made into one component each and run.
//!
//! ```text
//! spin.toml -> manifest -> load -> lock (Spin's spin.lock) -> compose -> one component
//! ```
//!
//! **Invariant:** nothing here knows tensors, TensorFlow or the JSON of clients.

pub mod compose;
pub mod files;
pub mod hosts;
pub mod load;
pub mod lock;
pub mod manifest;
pub mod names;
pub mod routes;
pub mod run;
pub mod template;
pub mod variables;
