//! What can go wrong between a request and its answer that is not the request's own affair, and
//! what can keep an engine or a component from starting.
//!
//! Which code a case has: a limit that the *request* met is `RESOURCE_EXHAUSTED`, a passed
//! deadline is `DEADLINE_EXCEEDED`, a full house is `UNAVAILABLE`, and whatever a *component* did
//! wrong (a trap, a loop that does not end, an answer that cannot be sent) is `INTERNAL`: the
//! client can do nothing about it, and the operator wants to hear of it.
//!
//! **Invariant:** messages for clients say nothing of wasmtime, stacks or memory layouts; the
//! cause is beside them, for the log.

use std::time::Duration;

use tensorgate_types::{Error, ErrorCode};

/// What a component did, in the sandbox's words: for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}{}{output}", if output.is_empty() { "" } else { "; it printed: " })]
pub struct GuestFault {
    /// The trap and where it happened.
    pub description: String,
    /// The last of what the component printed, such as the message of a panic.
    pub output: String,
}

/// Why a request has no answer from a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// Every slot is taken, and the line before them is full.
    #[error("all {slots} slots are taken and {waiting} requests are waiting already")]
    Full {
        /// Slots of the engine.
        slots: usize,
        /// Places in the line.
        waiting: usize,
    },
    /// The deadline passed in the line.
    #[error("none of {slots} slots came free before the deadline")]
    NoSlotInTime {
        /// Slots of the engine.
        slots: usize,
    },
    /// The request is larger than any may be.
    #[error("the request has {size} bytes, the limit is {limit}")]
    RequestTooLarge {
        /// Bytes of the request, path and headers included.
        size: usize,
        /// [`EdgeLimits::request_bytes`](crate::EdgeLimits::request_bytes).
        limit: usize,
    },
    /// The answer is larger than any may be.
    #[error("the component's answer has {size} bytes, the limit is {limit}")]
    ResponseTooLarge {
        /// Bytes of the answer, headers included.
        size: usize,
        /// [`EdgeLimits::response_bytes`](crate::EdgeLimits::response_bytes).
        limit: usize,
    },
    /// The answer cannot be sent over HTTP.
    #[error("the component's answer cannot be sent: {0}")]
    BadResponse(String),
    /// The deadline passed while the component was at work.
    #[error("the deadline passed inside the component")]
    DeadlinePassed,
    /// The component had used up its own time.
    #[error("the component spent its {limit:?} and was stopped")]
    OutOfTime {
        /// [`EdgeLimits::guest_time`](crate::EdgeLimits::guest_time).
        limit: Duration,
    },
    /// The component asked for more memory than it may have, and gave up.
    #[error("the component needed more than {limit} bytes of memory")]
    OutOfMemory {
        /// [`EdgeLimits::memory`](crate::EdgeLimits::memory).
        limit: usize,
        /// Whether a model had run already: then it is the answer that takes so much, and not
        /// the request.
        answering: bool,
        /// How it gave up.
        #[source]
        fault: GuestFault,
    },
    /// The component used up its stack.
    #[error("the component used up its stack")]
    StackOverflow {
        /// Where.
        #[source]
        fault: GuestFault,
    },
    /// The component trapped.
    #[error("the component trapped")]
    Trap {
        /// How.
        #[source]
        fault: GuestFault,
    },
}

impl EdgeError {
    /// The code that the client sees.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Full { .. } | Self::NoSlotInTime { .. } => ErrorCode::Unavailable,
            Self::RequestTooLarge { .. }
            | Self::ResponseTooLarge { .. }
            | Self::OutOfMemory { .. } => ErrorCode::ResourceExhausted,
            Self::DeadlinePassed => ErrorCode::DeadlineExceeded,
            Self::BadResponse(_)
            | Self::OutOfTime { .. }
            | Self::StackOverflow { .. }
            | Self::Trap { .. } => ErrorCode::Internal,
        }
    }

    /// What the client may read.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Full { .. } => {
                "too many requests are being handled and waiting; try again later".to_owned()
            }
            Self::NoSlotInTime { .. } => {
                "too many requests are being handled: none ended before this one's deadline; \
                 try again later"
                    .to_owned()
            }
            Self::RequestTooLarge { size, limit } => {
                format!("the request has {size} bytes, the server takes at most {limit}")
            }
            Self::ResponseTooLarge { size, limit } => {
                format!("the response has {size} bytes, the server sends at most {limit}")
            }
            Self::OutOfMemory {
                limit, answering, ..
            } => {
                let what = if *answering {
                    "the answer to this request"
                } else {
                    "handling this request"
                };
                format!(
                    "{what} takes more than the {limit} bytes of memory that one request may use"
                )
            }
            Self::DeadlinePassed => {
                "the deadline passed while the request was being handled".to_owned()
            }
            Self::OutOfTime { .. } => {
                "the request handler took too long and was stopped".to_owned()
            }
            Self::BadResponse(_) => {
                "the request handler gave a response that cannot be sent".to_owned()
            }
            Self::StackOverflow { .. } | Self::Trap { .. } => {
                "the request handler failed".to_owned()
            }
        }
    }
}

impl From<EdgeError> for Error {
    fn from(error: EdgeError) -> Self {
        Self::new(error.code(), error.public_message()).with_source(error)
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The limits make no sense.
    #[error("limits of the sandbox: {0}")]
    Limits(&'static str),
    /// The machine does not give what the limits ask for, most likely address space.
    #[error("cannot set up the sandbox: {0}")]
    Sandbox(String),
    /// The threads that processors run on cannot be started.
    #[error("cannot start the threads of processors")]
    Threads(#[source] std::io::Error),
    /// The thread that keeps the time cannot be started.
    #[error("cannot start the thread that keeps the sandbox's time")]
    Ticker(#[source] std::io::Error),
}

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not a component, or one that this machine cannot compile.
    #[error("not a WebAssembly component that can be used: {0}")]
    Compile(String),
    /// It needs something that nobody gives it.
    #[error("the component asks for something that a gateway is not given: {0}")]
    Import(String),
    /// It does not give what a gateway gives.
    #[error("the component is no gateway: it does not export {missing} ({cause})")]
    World {
        /// The export that is missing or of another type.
        missing: &'static str,
        /// What the sandbox says of it.
        cause: String,
    },
    /// It cannot even be started.
    #[error("the component cannot be started")]
    Start(#[source] EdgeError),
}

/// Why a processor cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// It is a module, and no component.
    #[error(
        "it is a core WebAssembly module and no component; build it for wasm32-wasip2, or make a \
         component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// It is no WebAssembly at all.
    #[error(
        "it is no WebAssembly component: it begins with \"{0}\"; expected its binary form, \
         which begins with \"\\x00asm\""
    )]
    NoWasm(String),
    /// It is not a component, or one that this machine cannot compile.
    #[error("it is no WebAssembly component that can be used: {0}")]
    Compile(String),
    /// It needs something that nobody gives it.
    #[error(
        "it asks for something that processors are not given: {0}; they are given \
         tensorgate:serving/inference@0.1.0, tensorgate:serving/runs@0.1.0, wasi:nn \
         0.2.0-rc-2024-10-28 and WASI 0.2"
    )]
    Import(String),
    /// It does not give what a processor gives.
    #[error(
        "it does not export {missing}: build it for the world `model-processor` of \
         tensorgate:serving@0.1.0 (it exports {exports})"
    )]
    World {
        /// What is missing.
        missing: String,
        /// What is there.
        exports: String,
    },
    /// A function is not of the type that it should be.
    #[error(
        "its function {function} is not the one of tensorgate:serving/processor@0.1.0: {cause}; \
         build it with the wit/ of this server's release"
    )]
    Type {
        /// Which.
        function: &'static str,
        /// What is different.
        cause: String,
    },
    /// It cannot be started, or fails when it is asked to describe itself.
    #[error("it failed when it was asked to describe itself")]
    Start(#[source] EdgeError),
    /// It does not want this model.
    #[error("it refuses this model: {}", .0.message())]
    Refused(Error),
    /// What it says of itself cannot be.
    #[error("its description is not valid: {0}")]
    Description(String),
    /// Its rights make no sense.
    #[error("{0} (--processor_config_file)")]
    Rights(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_s_fault_is_internal_and_keeps_its_cause_from_the_client() {
        let fault = GuestFault {
            description: "wasm trap: unreachable".to_owned(),
            output: "panicked at src/lib.rs".to_owned(),
        };
        let error = Error::from(EdgeError::Trap { fault });
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(error.message(), "the request handler failed");
        let source = std::error::Error::source(&error).and_then(std::error::Error::source);
        assert_eq!(
            source.map(ToString::to_string).as_deref(),
            Some("wasm trap: unreachable; it printed: panicked at src/lib.rs")
        );
    }

    #[test]
    fn a_full_house_is_unavailable_and_a_passed_deadline_is_not() {
        let full = EdgeError::Full {
            slots: 1,
            waiting: 2,
        };
        assert_eq!(full.code().http_status(), 503);
        let late = EdgeError::NoSlotInTime { slots: 1 };
        assert_eq!(late.code().http_status(), 503);
        assert_eq!(EdgeError::DeadlinePassed.code().http_status(), 504);
    }
}
