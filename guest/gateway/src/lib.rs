//! The gateway component: the world `gateway` round `tensorgate-logic`.
//!
//! Requests come in through `rest`, models are reached through `inference`, and the outcome of
//! each request is reported through `telemetry`. All thinking is in the logic crate.
//!
//! **Invariant:** an instance lives for one request and keeps nothing. Tensors are lent to the
//! host where the parser has put them: the guest makes no copy.
//!
//! Built for `wasm32-wasip2`; on every other target this crate is empty.

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        world: "gateway",
        path: "../../wit",
        ownership: Borrowing { duplicate_if_necessary: true },
        generate_all,
    });

    export!(Gateway with_types_in self);
    use super::shell::Gateway;
}

#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
mod shell;
