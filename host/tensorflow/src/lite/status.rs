//! What LiteRT's status numbers mean.
//!
//! The library says no more than a number; the text of an error goes to its log.

use tensorgate_types::{Error, ErrorCode, Result};

use super::ffi::LiteRtStatus;

/// Turns a status into an error that says what was being done.
pub(crate) fn check(status: LiteRtStatus, doing: impl FnOnce() -> String) -> Result<()> {
    if status == 0 {
        return Ok(());
    }
    let (code, meaning) = meaning(status);
    Err(Error::new(
        code,
        format!("LiteRT: {}: {meaning} (status {status})", doing()),
    ))
}

fn meaning(status: LiteRtStatus) -> (ErrorCode, &'static str) {
    match status {
        1 => (ErrorCode::InvalidArgument, "invalid argument"),
        2 => (ErrorCode::ResourceExhausted, "out of memory"),
        3 => (ErrorCode::Internal, "failure at run time, the log says why"),
        4 => (ErrorCode::InvalidArgument, "an input is missing"),
        5 => (ErrorCode::Unimplemented, "not supported"),
        6 => (ErrorCode::NotFound, "not found"),
        8 => (ErrorCode::FailedPrecondition, "wrong version"),
        500 => (ErrorCode::Internal, "a file cannot be read"),
        501 => (ErrorCode::InvalidArgument, "this is no model"),
        504 => (ErrorCode::Internal, "it cannot be compiled"),
        _ => (ErrorCode::Unknown, "failure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_done_and_what_came_of_it() {
        assert!(check(0, || unreachable!("not asked")).is_ok());
        let error = check(501, || "reading m.tflite".to_owned()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert_eq!(
            error.message(),
            "LiteRT: reading m.tflite: this is no model (status 501)"
        );
    }
}
