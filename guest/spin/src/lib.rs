//! The shell at the edge: TensorFlow Serving's REST API, over models of a host far away.
//!
//! Requests are parsed, checked, and taken through the processor beside it here; only tensors
//! leave. All thinking about models is in `tensorgate-logic` ([`tensorgate_logic::edge`]): this
//! crate does what the door of a host does round the gateway (bodies within limits, what is packed,
//! ids of requests), and brings the interfaces together: `wasi:http/incoming-handler` of WASI 0.2,
//! which Spin, SpinKube and every other host of `wasi:http` calls; `inference` and `edge`, by which
//! models are reached; `processor`.
//!
//! It is built with spin-sdk 5, because no released Spin runs the WASI 0.3 components that newer
//! SDKs make, and imports nothing of Spin's: whoever reaches the host has settings and stores.
//!
//! **Invariant:** an instance lives for one request and keeps nothing. Tensors are lent to the
//! other components where the parser has put them.

#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only its tests run natively")
)]

mod door;
mod packed;

#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({
        world: "tensorgate:edge/shell",
        path: ["../../wit", "../../wit/edge"],
        ownership: Borrowing { duplicate_if_necessary: true },
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
mod far;
#[cfg(target_arch = "wasm32")]
mod processor;
#[cfg(target_arch = "wasm32")]
#[expect(
    unsafe_code,
    reason = "the component's export, which the SDK's macro generates"
)]
mod shell;
