//! The component `remote-inference`: the models of a Tensorgate host, for a shell or a processor
//! that runs elsewhere.
//!
//! ```text
//!  inference, edge, runs (exports)            wasi:http (import)
//!  open  ─> what is kept of it, or ─────────> POST /edge/v1  Open
//!  run   ─> the answer that is kept, or ────> POST /edge/v1  Run (with the digest) ─> host
//!             fermyon:spin/key-value            again on 503 and broken connections,
//!             (both stores, with a time)        within the request's time
//! ```
//!
//! Under Spin an instance lives for one request: what outlives it is in the key-value store. An
//! instance asks for a model once, so that all that it opens of it is one version.
//!
//! **Invariant:** everything but the calls into WASI and Spin is plain Rust over the trait
//! [`World`], and tested natively.

#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only its tests run natively")
)]

mod answers;
mod ask;
mod kept;
mod models;
mod settings;
mod world;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package tensorgate:remote-inference;
            world component {
                include tensorgate:edge/remote@0.1.0;
                import fermyon:spin/variables@2.0.0;
                import fermyon:spin/key-value@2.0.0;
            }
        ",
        path: ["../../wit", "../../wit/edge", "wit"],
        world: "tensorgate:remote-inference/component",
        generate_all,
    });

    export!(Component with_types_in self);
    use super::shell::Component;
}
#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
mod shell;
#[cfg(target_arch = "wasm32")]
mod wasi_world;

pub use world::World;
