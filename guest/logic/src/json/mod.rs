//! JSON as RapidJSON 1.1.0 reads and writes it, which is what TensorFlow Serving's clients see.
//!
//! [`syntax`] decides whether a text is accepted and names the error and its offset otherwise;
//! everything else here walks text that has been accepted. There is no tree: values are read
//! where they lie, so that memory stays bounded by the body however it is nested.
//!
//! **Invariant:** nothing here knows tensors or TensorFlow Serving's messages.

pub(crate) mod base64;
pub(crate) mod decimal;
pub(crate) mod digits;
pub(crate) mod dump;
pub(crate) mod number;
pub(crate) mod syntax;
pub(crate) mod text;
pub(crate) mod walk;
pub(crate) mod write;
