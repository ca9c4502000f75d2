//! What a gRPC call needs beside models: its message, the operator's interfaces, and chunks to
//! answer with. The traits behind the WIT interfaces `transfer`, `management`, `settings` and
//! `request-log`.

use tensorgate_types::{LogKind, ModelConfig, Result, Settings};

use crate::inference::{Inference, Range};

/// The message that is being handled. It can be larger than the component's memory: only its head
/// is there, and the rest is read as needed.
pub trait Message {
    /// Bytes in the whole message.
    fn length(&self) -> u64;

    /// The first bytes, as many as the host gives without being asked.
    fn head(&self) -> &[u8];

    /// A part of the message, exactly as long as asked for. At most [`MAX_READ`] bytes.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` when the message is shorter, `INVALID_ARGUMENT` when `part` is longer than
    /// the host allows.
    fn read(&self, part: Range) -> Result<Vec<u8>>;
}

/// What the host gives in one read.
pub const MAX_READ: u64 = 1 << 20;

/// A piece of something that the host puts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A part of the message that is being handled.
    InMessage(Range),
    /// The elements of an output that stayed with the host, little-endian.
    Held(u32),
}

/// A request and its answer, to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which log it belongs to.
    pub kind: LogKind,
    /// The model.
    pub model: String,
    /// The version that answered.
    pub version: i64,
    /// The signature that was run; empty for several.
    pub signature_name: String,
    /// The serialized request message.
    pub request: Vec<Chunk>,
    /// The serialized response message.
    pub response: Vec<Chunk>,
}

/// Everything that the gateway can ask of its host.
pub trait Services: Inference {
    /// What the operator has set.
    fn settings(&self) -> Settings;

    /// Replaces the list of models that are served, and waits until new ones are available. None
    /// is an empty configuration, which changes nothing. Returns by how much each of the metrics
    /// has grown meanwhile.
    ///
    /// # Errors
    /// Whatever is wrong with the list, or with loading a new model.
    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: &[String],
    ) -> Result<Vec<(String, i64)>>;

    /// The names of the models that are served; none where they cannot be listed.
    fn models(&self) -> Option<Vec<String>> {
        None
    }

    /// Whether this request is to be written down. Draws lots: ask once per request.
    fn log_sampled(&self, model: &str) -> bool;

    /// Writes an entry, soon. Never fails a request.
    fn log(&self, entry: LogEntry);
}
