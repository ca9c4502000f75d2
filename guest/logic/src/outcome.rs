//! How a request ended: what only the gateway knows, for the host's logs and metrics.

/// How a request ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The model that was asked for; empty when none was named.
    pub model: String,
    /// The version that answered, when one was opened.
    pub version: Option<i64>,
    /// `predict`, `classify`, `regress`, `multi_inference`, `infer`, `status`, `metadata` or
    /// `reload`; empty when it was none.
    pub api: &'static str,
    /// The signature that was run; empty when none was.
    pub signature: String,
    /// Rows in the batch; 0 when nothing was run.
    pub rows: u64,
    /// The canonical gRPC code; 0 for success.
    pub code: u32,
}
