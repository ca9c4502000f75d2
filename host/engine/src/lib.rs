//! The press: runs models on their own bounded threads.
//!
//! Generic over [`Predictor`], so that everything here is tested without TensorFlow. In come a
//! model and a [`RunRequest`] whose inputs have been checked; out come the outputs or an error
//! with a code. One run may compute several signatures. Callers are asynchronous, runs block: [`RunPool`] stands between the two.
//!
//! ```text
//! caller ── RunPool::run ──▶ bounded queue ──▶ tg-run-N ──▶ Predictor::run
//!    ▲                                             │
//!    └────────── outputs, or the deadline ◀────────┘
//! ```
//!
//! **Invariant:** nothing here knows what a request, a guest or TensorFlow is.

#[cfg(feature = "fake")]
pub mod fake;
mod guard;
mod predictor;
mod queue;
mod run_pool;
mod stage;
mod stats;

pub use guard::{guarded, run_guarded};
pub use predictor::{Call, LostRun, NamedTensors, Predictor, RunRequest};
pub use run_pool::{RunPool, RunPoolOptions};
pub use stats::RunPoolStats;
