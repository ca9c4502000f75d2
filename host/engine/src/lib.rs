//! The press: runs models on their own bounded threads.
//!
//! Generic over [`Predictor`], so that everything here is tested without TensorFlow.

mod predictor;

pub use predictor::{NamedTensors, Predictor, RunRequest};
