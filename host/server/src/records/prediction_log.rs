//! `tensorflow.serving.PredictionLog`: its frame, with the request and the response as bytes.

use bytes::Bytes;
use tensorgate_edge::LogKind;
use tensorgate_types::Error;

use super::wire::{fields_with_bytes, put_bytes, put_double, put_length, put_varint_field};

/// The field of `log_type` for a kind.
fn field(kind: LogKind) -> u32 {
    match kind {
        LogKind::Classify => 2,
        LogKind::Regress => 3,
        LogKind::MultiInference => 4,
        LogKind::Predict => 6,
    }
}

/// What a log is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoggedKind {
    /// This.
    Of(LogKind),
    /// Something that no server answers, with the number of its field: a run of a session, a
    /// stream.
    Unsupported(u64),
    /// Nothing.
    Empty,
}

/// What is said of a request beside itself.
#[derive(Debug, Clone)]
pub(crate) struct Metadata<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: i64,
    pub(crate) signature: &'a str,
    pub(crate) sampling_rate: f64,
    pub(crate) tags: &'a [String],
    pub(crate) timestamp_secs: u64,
}

fn metadata_message(metadata: &Metadata<'_>) -> Vec<u8> {
    let mut version = Vec::new();
    put_varint_field(&mut version, 1, metadata.version.cast_unsigned());
    let mut spec = Vec::new();
    put_bytes(&mut spec, 1, metadata.model.as_bytes());
    put_bytes(&mut spec, 2, &version);
    put_bytes(&mut spec, 3, metadata.signature.as_bytes());
    let mut sampling = Vec::new();
    put_double(&mut sampling, 1, metadata.sampling_rate);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &spec);
    put_bytes(&mut message, 2, &sampling);
    for tag in metadata.tags {
        put_bytes(&mut message, 3, tag.as_bytes());
    }
    put_varint_field(&mut message, 4, metadata.timestamp_secs);
    message
}

/// A log, in pieces that belong one after the other: large ones are not copied.
pub(crate) fn encode_log(
    kind: LogKind,
    metadata: &Metadata<'_>,
    request: &[Bytes],
    response: &[Bytes],
) -> Vec<Bytes> {
    let length = |parts: &[Bytes]| parts.iter().map(|part| part.len() as u64).sum::<u64>();
    let mut before_request = Vec::new();
    put_length(&mut before_request, 1, length(request));
    let mut before_response = Vec::new();
    put_length(&mut before_response, 2, length(response));
    let frames = before_request.len() + before_response.len();
    let all = frames as u64 + length(request) + length(response);

    let mut head = Vec::new();
    put_bytes(&mut head, 1, &metadata_message(metadata));
    put_length(&mut head, field(kind), all);
    head.extend_from_slice(&before_request);
    let mut parts = vec![Bytes::from(head)];
    parts.extend_from_slice(request);
    parts.push(Bytes::from(before_response));
    parts.extend_from_slice(response);
    parts
}

/// What a record is a log of, and the request in it.
///
/// # Errors
/// When the record is no message.
pub(crate) fn log_of_record(record: &[u8]) -> Result<(LoggedKind, Vec<u8>), Error> {
    let mut kind = LoggedKind::Empty;
    // A field that comes twice is one message, in two parts; another kind replaces it.
    let mut request = Vec::new();
    for (field, log) in fields_with_bytes(record)? {
        let next = match field {
            2 => LoggedKind::Of(LogKind::Classify),
            3 => LoggedKind::Of(LogKind::Regress),
            4 => LoggedKind::Of(LogKind::MultiInference),
            6 => LoggedKind::Of(LogKind::Predict),
            5 | 7 => LoggedKind::Unsupported(field),
            _ => continue,
        };
        if next != kind {
            request.clear();
        }
        kind = next;
        if let LoggedKind::Of(_) = kind {
            for (field, bytes) in fields_with_bytes(log)? {
                if field == 1 {
                    request.extend_from_slice(bytes);
                }
            }
        }
    }
    Ok((kind, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(kind: LogKind) -> Vec<u8> {
        let metadata = Metadata {
            model: "m",
            version: 3,
            signature: "serving_default",
            sampling_rate: 0.5,
            tags: &["serve".to_owned()],
            timestamp_secs: 7,
        };
        let request = [Bytes::from_static(b"re"), Bytes::from_static(b"quest")];
        encode_log(
            kind,
            &metadata,
            &request,
            &[Bytes::from_static(b"response")],
        )
        .concat()
    }

    #[test]
    fn reads_the_request_of_a_log_that_it_wrote() {
        for kind in [
            LogKind::Classify,
            LogKind::Regress,
            LogKind::Predict,
            LogKind::MultiInference,
        ] {
            let (found, request) = log_of_record(&log(kind)).unwrap();
            assert_eq!(
                (found, request.as_slice()),
                (LoggedKind::Of(kind), &b"request"[..])
            );
        }
    }

    #[test]
    fn a_record_can_be_of_nothing_or_of_something_else() {
        assert_eq!(log_of_record(b"").unwrap().0, LoggedKind::Empty);
        let mut session_run = Vec::new();
        put_bytes(&mut session_run, 5, b"any");
        assert_eq!(
            log_of_record(&session_run).unwrap().0,
            LoggedKind::Unsupported(5)
        );
        assert!(log_of_record(b"no message").is_err());
    }

    #[test]
    fn the_last_kind_wins_and_parts_of_one_are_joined() {
        let part = |field, bytes: &[u8]| {
            let (mut log, mut record) = (Vec::new(), Vec::new());
            put_bytes(&mut log, 1, bytes);
            put_bytes(&mut record, field, &log);
            record
        };
        let record = [part(2, b"gone"), part(6, b"a"), part(6, b"b")].concat();
        let (kind, request) = log_of_record(&record).unwrap();
        assert_eq!(
            (kind, request.as_slice()),
            (LoggedKind::Of(LogKind::Predict), &b"ab"[..])
        );
    }
}
