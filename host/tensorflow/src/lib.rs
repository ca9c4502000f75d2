//! TensorFlow through its C API: finds the library, loads SavedModels, runs them.
//!
//! ```text
//! Lookup ──▶ Library ──▶ SavedModelLoader::load ──▶ SavedModel (a Predictor)
//!                                                      │ run
//!                      Tensor ──feed──▶ TF_SessionRun ──fetch──▶ Tensor
//! ```
//!
//! The library is opened when the program runs and not when it is linked, so that one binary
//! serves with TensorFlow for CPU or for GPU, whichever the machine has. Tensors of numbers cross
//! in both directions without a copy.
//!
//! **Invariant:** only this crate names TensorFlow, and only it holds hand-written `unsafe`; each
//! block says why it is sound. It knows nothing of requests, versions or threads, and reads no
//! environment variable: what it should look at, it is told.

mod abort;
mod describe;
mod devices;
mod feed;
mod fetch;
mod fetch_sets;
mod ffi;
mod find;
mod library;
mod lite;
mod load_error;
mod log_line;
mod logs;
mod ops;
mod plan;
mod run_options;
mod saved_model;
mod scheduling;
mod session;
mod status;
mod tensor_proto;
mod together;
mod trace;

pub use describe::{MetaGraph, describe};
pub use devices::Device;
pub use feed::{CopyCount, CopyCounters};
pub use find::{Lookup, NotFound, Wanted};
pub use library::{Library, OpenError};
pub use lite::{LiteLibrary, LiteModel, LiteOpenError};
pub use logs::{LogCapture, capture_logs};
pub use saved_model::{SavedModel, SavedModelLoader};
pub use scheduling::Scheduling;
pub use trace::{Trace, TracedOperation, Tracer};
