//! The vocabulary of Tensorgate: what a tensor, a signature, a model version and an error are.
//!
//! Every other crate depends on this one, and guests are compiled with it too, so that one
//! validator and one error mapping serve both sides of the sandbox.
//!
//! **Invariant:** nothing here waits, spawns, opens a file or knows a wire format, a sandbox or
//! TensorFlow's library. TensorFlow's *numbers* for types and states are facts and live here.

mod buffer;
mod copies;
mod deadline;
mod dtype;
mod elements;
mod error;
mod management;
mod priority;
pub mod processing;
mod servable;
mod signature;
mod tensor;
mod validate;

pub use buffer::{ALIGNMENT, AlignedBuffer};
pub use copies::{Counter, Sink, copy};
pub use deadline::Deadline;
pub use dtype::DType;
pub use elements::{Elements, Place, Slab};
pub use error::{Error, ErrorCode, Result};
pub use management::{LogKind, LoggingConfig, ModelConfig, ModelVersionPolicy, Settings};
pub use priority::Priority;
pub use servable::{ModelSpec, ModelVersionStatus, ServableId, ServableState, VersionChoice};
pub use signature::{
    DEFAULT_SIGNATURE, INIT_OP_SIGNATURE, PREDICT_METHOD, Signature, Signatures, TensorInfo,
};
pub use tensor::{NamedTensors, StringData, StringDataBuilder, Tensor, TensorData};
pub use validate::{
    FIXED_RANK, InputView, ShapeCheck, element_count, validate_inputs, validate_names,
};
