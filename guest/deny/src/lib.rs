//! Stands in for the host before a component that may use nothing of it.
//!
//! A component's imports of the network, variables, key-value stores, environment and files are
//! satisfied by this one where they are not to reach the host. Each call gives the error that says
//! so, where its interface has one, and nothing else where it has none.
//!
//! **Invariant:** it imports types of the host and no function of it, so that nothing can be
//! reached through it. Hence without `std`, whose panics would import streams and an environment.
//!
//! Built for `wasm32-wasip2`; on every other target this crate is empty.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
extern crate alloc;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        world: "deny",
        path: "wit",
        generate_all,
    });

    export!(Deny with_types_in self);
    use super::adapter::Deny;
}

#[cfg(target_arch = "wasm32")]
mod adapter;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "what `std` has for every other guest")]
#[path = "../../without_std.rs"]
mod without_std;
