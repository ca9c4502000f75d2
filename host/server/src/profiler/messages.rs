//! The messages of `tensorflow.ProfilerService`, and the trace that it writes (`XSpace`). Of each,
//! the fields that are read or written here; numbers are TensorFlow's.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileRequest {
    #[prost(uint64, tag = "1")]
    pub(super) duration_ms: u64,
    #[prost(message, optional, tag = "4")]
    pub(super) opts: Option<ProfileOptions>,
    /// Ends with `plugins/profile`.
    #[prost(string, tag = "5")]
    pub(super) repository_root: String,
    #[prost(string, tag = "6")]
    pub(super) session_id: String,
    #[prost(string, tag = "7")]
    pub(super) host_name: String,
    /// Whether the trace is wanted in the answer.
    #[prost(bool, tag = "9")]
    pub(super) emit_xspace: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileOptions {
    /// When to begin, in nanoseconds since 1970; 0 for now.
    #[prost(uint64, tag = "8")]
    pub(super) start_timestamp_ns: u64,
    #[prost(uint64, tag = "9")]
    pub(super) duration_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProfileResponse {
    #[prost(bool, tag = "7")]
    pub(super) empty_trace: bool,
    /// An `XSpace`; on the wire, a message and its bytes are the same.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(super) xspace: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TerminateRequest {
    #[prost(string, tag = "1")]
    pub(super) session_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct XSpace {
    #[prost(message, repeated, tag = "1")]
    pub(super) planes: Vec<XPlane>,
    #[prost(string, repeated, tag = "3")]
    pub(super) warnings: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) hostnames: Vec<String>,
}

/// A device.
#[derive(Clone, PartialEq, Message)]
pub(super) struct XPlane {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) lines: Vec<XLine>,
    #[prost(btree_map = "int64, message", tag = "4")]
    pub(super) event_metadata: BTreeMap<i64, XEventMetadata>,
}

/// A thread of it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct XLine {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    /// Events count from here.
    #[prost(int64, tag = "3")]
    pub(super) timestamp_ns: i64,
    #[prost(message, repeated, tag = "4")]
    pub(super) events: Vec<XEvent>,
}

/// An operation, with picoseconds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct XEvent {
    #[prost(int64, tag = "1")]
    pub(super) metadata_id: i64,
    #[prost(int64, tag = "2")]
    pub(super) offset_ps: i64,
    #[prost(int64, tag = "3")]
    pub(super) duration_ps: i64,
}

/// What events of one name share.
#[derive(Clone, PartialEq, Message)]
pub(super) struct XEventMetadata {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
}
