//! TensorFlow through its C API.
