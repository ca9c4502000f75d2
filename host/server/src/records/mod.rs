//! Files of `PredictionLog`: what requests are logged to, and what models are warmed up from.
//!
//! ```text
//! file = TFRecord of records = length, check sum, PredictionLog, check sum
//! PredictionLog = what is said of a request, and which kind it is of = request, response
//! ```
//!
//! **Invariant:** requests and responses are bytes here. They come from the gateway component or
//! go to it, and nobody else looks into them.

mod prediction_log;
mod tfrecord;
mod wire;

pub(crate) use prediction_log::{LoggedKind, Metadata, encode_log, log_of_record};
pub(crate) use tfrecord::{RecordReader, append_record};
pub(crate) use wire::{has_field, put_bytes};
