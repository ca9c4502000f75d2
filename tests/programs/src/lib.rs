//! Guest programs that tests run: one component per file in `examples/`, each with one way to be
//! good or bad. This crate holds what they share: the bindings of the world `gateway`, and a few
//! words to write an answer with.
//!
//! To add one, write `examples/NAME.rs`, name it in `Cargo.toml`, and give it a test in
//! `host/edge/tests`: a program without a test makes a test fail.

/// The world `gateway`, as a guest sees it.
#[expect(missing_docs, reason = "generated from wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "gateway",
        path: "../../wit",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "tensorgate_test_programs::bindings",
    });
}

pub use bindings::exports::tensorgate::serving::exchange;
pub use bindings::exports::tensorgate::serving::grpc::{Guest as GrpcGuest, Request as Call};
pub use bindings::exports::tensorgate::serving::rest::{Guest, Request, Response};
pub use bindings::tensorgate::serving::{
    inference, management, request_log, settings, telemetry, transfer, types,
};

/// Answers no request whose body stays outside.
#[macro_export]
macro_rules! no_exchange {
    ($program:ident) => {
        impl $crate::exchange::Guest for $program {
            fn handle(request: $crate::exchange::Request) -> $crate::exchange::Response {
                $crate::exchange::Response {
                    status: 501,
                    headers: Vec::new(),
                    body: vec![$crate::transfer::Chunk::Bytes(request.path.into_bytes())],
                }
            }
        }
    };
}

/// Exports a program that answers over REST alone.
#[macro_export]
macro_rules! rest_only {
    ($program:ident) => {
        impl $crate::GrpcGuest for $program {
            fn handle(
                call: $crate::Call,
            ) -> Result<Vec<$crate::transfer::Chunk>, $crate::types::Error> {
                Err($crate::refusal(&call.method))
            }
        }

        $crate::no_exchange!($program);

        $crate::bindings::export!($program with_types_in $crate::bindings);
    };
}

/// Exports a program that answers gRPC calls, and the same `fine` to every request over REST.
#[macro_export]
macro_rules! grpc_only {
    ($program:ident) => {
        impl $crate::Guest for $program {
            fn handle(_request: $crate::Request) -> $crate::Response {
                $crate::answer(200, "fine")
            }
        }

        $crate::no_exchange!($program);

        $crate::bindings::export!($program with_types_in $crate::bindings);
    };
}

/// The status for a call that a program does not know.
#[must_use]
pub fn refusal(method: &str) -> Error {
    Error {
        code: types::ErrorCode::Unimplemented,
        message: format!("this program knows no {method}"),
    }
}

use types::{Error, ModelSpec, NamedTensor, Tensor, TensorData, VersionChoice};

/// An answer with this status and this body.
#[must_use]
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.into(),
    }
}

/// An answer that tells of an error of the host: its code and its message.
#[must_use]
pub fn error_answer(error: &Error) -> Response {
    answer(400, format!("{:?}: {}", error.code, error.message))
}

/// The newest version of the model `m`, which every test has.
///
/// # Errors
/// When the test has none after all.
pub fn open_model() -> Result<inference::Model, Error> {
    inference::open(&ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Latest,
    })
}

/// An input of a fixed-size type.
#[must_use]
pub fn fixed(name: &str, dtype: u32, shape: &[i64], data: &[u8]) -> NamedTensor {
    NamedTensor {
        name: name.to_owned(),
        tensor: Tensor {
            dtype,
            shape: shape.to_vec(),
            data: TensorData::Fixed(data.to_vec()),
        },
    }
}
