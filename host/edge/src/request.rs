//! Requests as they are handed to a component, and the answer to a call.
//!
//! **Invariant:** data only.

use bytes::Bytes;

/// A request as it is handed to the component.
#[derive(Debug, Clone, Default)]
pub struct RestRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query as they were sent.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body. It is copied into the component's memory: all of it, once, by
    /// [`Gateway::handle`](crate::Gateway::handle); its beginning by [`Gateway::handle_exchange`](crate::Gateway::handle_exchange).
    pub body: Bytes,
}

/// A gRPC call as it is handed to the component.
#[derive(Debug, Clone, Default)]
pub struct GrpcRequest {
    /// The full method: `/tensorflow.serving.PredictionService/Predict`.
    pub method: String,
    /// The message, decompressed. Only its beginning is copied into the component's memory.
    pub message: Bytes,
}

/// The answer to a gRPC call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrpcResponse {
    /// The message, in pieces that follow one another. Large ones are shared with the runtime.
    pub chunks: Vec<Bytes>,
}

/// Bytes of what stands before a body.
pub(crate) fn head_size(method: &str, path: &str, headers: &[(String, String)]) -> usize {
    let headers = headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    method.len() + path.len() + headers
}
