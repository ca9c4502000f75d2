//! Models that run in processes of their own, one for each device.
//!
//! What TensorFlow sets for a whole process (which GPUs it sees, how much of their memory it
//! takes, the threads of one operation) can differ between workers; a model that crashes takes
//! its worker along and not the server; and memory that TensorFlow never gives back goes with
//! the worker that had it.
//!
//! ```text
//!  server process                                 worker process
//!  Fleet ── supervisor ── starts, ends ─────────▶ work()
//!    └─ FleetModel (a Predictor) ── Link ══ socket ══▶ Runtime (loads) ──▶ Predictor (runs)
//! ```
//!
//! **Invariant:** nothing here knows TensorFlow: what a worker is told of its sessions are bytes
//! that only its [`Runtime`] reads.

#![forbid(unsafe_code)]

mod fleet;
mod launch;
mod link;
mod message;
mod model;
mod state;
mod supervisor;
mod wire;
mod work;

pub use fleet::{Fleet, Lodging, WorkerSpec};
pub use launch::{Launch, Process, Program};
pub use message::Device;
pub use model::FleetModel;
pub use state::{ModelStatus, WorkerStage, WorkerStatus, resident_bytes};
pub use work::{Hosted, Runtime, end_this_process, end_with_the_server, inherited_socket, work};
