//! TensorFlow Lite models (`model.tflite`), computed by LiteRT's interpreter.
//!
//! ```text
//! Lookup ──▶ LiteLibrary ──▶ LiteModel::load ──▶ LiteModel (a Predictor)
//!                                                   │ run: an interpreter from the pool
//!                 Tensor ──copy──▶ LiteRtRunCompiledModel ──copy──▶ Tensor
//! ```
//!
//! LiteRT is what TensorFlow Lite is called today. Its library comes with the Python package
//! `ai-edge-litert`; like libtensorflow it is opened when it is first needed, and never linked.
//! An interpreter computes one request at a time, so a model has a pool of them.

mod ffi;
mod interpreter;
mod library;
mod model;
mod status;

pub use library::{LiteLibrary, LiteOpenError};
pub use model::LiteModel;
