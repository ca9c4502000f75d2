//! The belt: requests that fit together ride in one run.
//!
//! Requests wait in a queue per version, signature, wanted outputs and inner shape. Whenever a
//! run thread is free, the belt picks a queue and cuts a batch from it: as late as that, so that
//! batches grow under load and nothing waits when there is none. The batch is joined along the
//! first dimension, run once, and split again without a copy. Where rows lie in places that their
//! [`Lane`] has given, joining is none either.
//!
//! ```text
//! caller ── Belt::run ──▶ queue per key ──cut──▶ tg-batch-N: join ─▶ Predictor::run ─▶ split
//!    ▲                                                                                  │
//!    └───────────────────────────── rows of the outputs ◀──────────────────────────────┘
//! ```
//!
//! What cannot be batched (scalars, no inputs, outputs without a row per input) goes the same way
//! in a run of its own.
//!
//! **Invariants:** a batch never mixes versions, signatures, outputs, types or inner shapes (with
//! padding: ranks). A request whose caller has gone or whose time is up never rides. When a batch
//! fails, its members are run in smaller groups until only the guilty ones fail. What waits is
//! bounded.
//!
//! Nothing here knows what a request, a guest or TensorFlow is.

mod belt;
mod key;
mod lane;
mod options;
mod pace;
mod parts;
mod queue;
mod ride;
mod rows;
#[cfg(test)]
mod sim;
mod slabs;
mod state;
mod stats;
mod task;
mod tuner;

pub use belt::Belt;
pub use lane::Lane;
pub use options::{Adaptive, BeltOptions, LaneOptions, Splitting};
pub use stats::{BatchRun, BeltStats, Observer};
