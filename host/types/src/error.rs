//! The one error of a request: a canonical code, a message that a client may read, and a cause
//! that it may not.
//!
//! The codes are the canonical gRPC ones; the mapping to HTTP status is TensorFlow Serving's.
//! Both mappings live here, because the gateway component answers with them too, also where
//! there is no server around it.

use std::fmt;
use std::sync::Arc;

/// What a request can end with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $http:literal;)+) => {
        /// The canonical gRPC error codes (there is no `Ok`: an error is an error).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant = $number,)+
        }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The canonical name, as TensorFlow prints it: `INVALID_ARGUMENT`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The HTTP status that TensorFlow Serving's REST API gives for this code.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)+ }
            }

            /// The code with this number in `google.rpc.Code`; `None` for 0 (OK) and for numbers
            /// that no code has.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

error_codes! {
    /// The caller went away.
    Cancelled = 1, "CANCELLED", 499;
    /// An error from elsewhere that has no code.
    Unknown = 2, "UNKNOWN", 500;
    /// The request is wrong, whatever state the server is in.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// The time was up before there was an answer.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// No such model, version or signature.
    NotFound = 5, "NOT_FOUND", 404;
    /// It is there already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller may not do that.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A quota or a limit was reached.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The server is not in the state that the request needs.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// Somebody else was quicker.
    Aborted = 10, "ABORTED", 409;
    /// Past the end.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// Not supported.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// An invariant of the server is broken.
    Internal = 13, "INTERNAL", 500;
    /// Try again later.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Stored data is damaged.
    DataLoss = 15, "DATA_LOSS", 500;
    /// The caller has not said who it is.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}

impl ErrorCode {
    /// The number in `google.rpc.Code` (and in `tensorflow.error.Code`).
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Whether the fault is the server's, so that its operator wants to hear of it.
    #[must_use]
    pub const fn is_server_fault(self) -> bool {
        matches!(self, Self::Unknown | Self::Internal | Self::DataLoss)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error that answers a request.
///
/// `message` is for the client and is sent as it stands; `source` is for the log.
#[derive(Debug, Clone)]
pub struct Error {
    code: ErrorCode,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with this code and this message for the client.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
        }
    }

    /// Keeps the cause for the log; the client does not see it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// `INVALID_ARGUMENT`.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// `NOT_FOUND`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// `INTERNAL`.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// `UNAVAILABLE`.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// `FAILED_PRECONDITION`.
    pub fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::FailedPrecondition, message)
    }

    /// `UNIMPLEMENTED`.
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unimplemented, message)
    }

    /// `RESOURCE_EXHAUSTED`.
    pub fn resource_exhausted(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceExhausted, message)
    }

    /// `DEADLINE_EXCEEDED`, in the words that TensorFlow uses for a run that took too long.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::new(
            ErrorCode::DeadlineExceeded,
            "Timed out waiting for notification",
        )
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for the client.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `INVALID_ARGUMENT: message`, as absl prints a status.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_map_to_the_numbers_and_statuses_of_tensorflow_serving() {
        let table: Vec<(u32, &str, u16)> = ErrorCode::ALL
            .iter()
            .map(|code| (code.number(), code.name(), code.http_status()))
            .collect();
        assert_eq!(
            table,
            [
                (1, "CANCELLED", 499),
                (2, "UNKNOWN", 500),
                (3, "INVALID_ARGUMENT", 400),
                (4, "DEADLINE_EXCEEDED", 504),
                (5, "NOT_FOUND", 404),
                (6, "ALREADY_EXISTS", 409),
                (7, "PERMISSION_DENIED", 403),
                (8, "RESOURCE_EXHAUSTED", 429),
                (9, "FAILED_PRECONDITION", 400),
                (10, "ABORTED", 409),
                (11, "OUT_OF_RANGE", 400),
                (12, "UNIMPLEMENTED", 501),
                (13, "INTERNAL", 500),
                (14, "UNAVAILABLE", 503),
                (15, "DATA_LOSS", 500),
                (16, "UNAUTHENTICATED", 401),
            ]
        );
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ErrorCode::from_number(0), None);
        assert_eq!(ErrorCode::from_number(17), None);
    }

    #[test]
    fn prints_like_absl_and_keeps_the_cause_out_of_the_message() {
        let error = Error::internal("no room").with_source(std::io::Error::other("disk full"));
        assert_eq!(error.to_string(), "INTERNAL: no room");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("disk full"));
    }
}
