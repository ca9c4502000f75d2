//! `RunOptions`, written on the stack: this is done once per run.
//!
//! Either a run is computed by the calling thread, and then TensorFlow cannot end it early; or by
//! TensorFlow's pool, and then it is told of the deadline. See [`crate::Scheduling`].

use std::time::Duration;

use tensorgate_types::Deadline;

/// TensorFlow Serving gives this many milliseconds to requests without a deadline; also the most
/// that is passed on for those with one, since TensorFlow counts in microseconds and overflows.
const MAX_MILLISECONDS: u64 = i32::MAX as u64;

/// How long the longest is: ten bytes of a number, one of its field's, and two for the trace.
const MAX_BYTES: usize = 13;

/// TensorFlow's `SOFTWARE_TRACE`.
const SOFTWARE_TRACE: i32 = 1;

/// A serialized `tensorflow.RunOptions` with one field or two.
pub(crate) struct RunOptions {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl RunOptions {
    /// The thread that calls computes: `inter_op_thread_pool` is -1.
    pub(crate) fn on_calling_thread() -> Self {
        let mut bytes = [0; MAX_BYTES];
        let mut rest = &mut bytes[..];
        prost::encoding::int32::encode(3, &-1, &mut rest);
        let len = MAX_BYTES - rest.len();
        Self { bytes, len }
    }

    /// TensorFlow's pool computes, until the deadline: what is left of it is `timeout_in_ms`.
    /// `None` when there is none.
    pub(crate) fn for_deadline(deadline: Deadline) -> Option<Self> {
        deadline.remaining().map(Self::with_timeout)
    }

    fn with_timeout(remaining: Duration) -> Self {
        // Rounded up: to TensorFlow, 0 is no limit at all.
        let milliseconds = u64::try_from(remaining.as_micros().div_ceil(1000))
            .unwrap_or(MAX_MILLISECONDS)
            .clamp(1, MAX_MILLISECONDS);
        let mut bytes = [0; MAX_BYTES];
        let mut rest = &mut bytes[..];
        prost::encoding::int64::encode(2, &milliseconds.cast_signed(), &mut rest);
        let len = MAX_BYTES - rest.len();
        Self { bytes, len }
    }

    /// The same, and the run tells of its operations.
    pub(crate) fn traced(options: Option<Self>) -> Self {
        let mut options = options.unwrap_or(Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        });
        let mut rest = &mut options.bytes[options.len..];
        prost::encoding::int32::encode(1, &SOFTWARE_TRACE, &mut rest);
        options.len = MAX_BYTES - rest.len();
        options
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tensorgate_proto::tensorflow as proto;

    use super::*;

    fn timeout(remaining: Duration) -> i64 {
        let options = RunOptions::with_timeout(remaining);
        let decoded = proto::RunOptions::decode(options.as_slice()).unwrap();
        decoded.timeout_in_ms
    }

    #[test]
    fn a_deadline_is_never_rounded_to_no_limit() {
        assert_eq!(timeout(Duration::ZERO), 1);
        assert_eq!(timeout(Duration::from_nanos(1)), 1);
        assert_eq!(timeout(Duration::from_micros(999)), 1);
        assert_eq!(timeout(Duration::from_micros(1001)), 2);
        assert_eq!(timeout(Duration::from_secs(3)), 3000);
        assert_eq!(timeout(Duration::MAX), i64::from(i32::MAX));
        assert!(RunOptions::for_deadline(Deadline::NEVER).is_none());
    }

    #[test]
    fn a_traced_run_keeps_its_other_option() {
        let traced = |options| RunOptions::traced(options).as_slice().to_vec();
        assert_eq!(traced(None), [8, 1]);
        let calling = traced(Some(RunOptions::on_calling_thread()));
        let decoded = proto::RunOptions::decode(calling.as_slice()).unwrap();
        assert_eq!(decoded.inter_op_thread_pool, -1);
        assert_eq!(calling[calling.len() - 2..], [8, 1]);
    }

    #[test]
    fn the_calling_thread_is_pool_minus_one() {
        let options = RunOptions::on_calling_thread();
        let decoded = proto::RunOptions::decode(options.as_slice()).unwrap();
        assert_eq!(decoded.inter_op_thread_pool, -1);
        assert_eq!(decoded.timeout_in_ms, 0);
    }
}
