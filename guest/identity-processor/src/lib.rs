//! The processor that covers nothing: what the edge is composed with where a team has none of its
//! own.
//!
//! It describes no signature, so that requests go to the model as they come. Who calls it all the
//! same gets what it gave: tensors for the model, and the model's outputs for the client.
//!
//! It is part of every edge that is deployed, so it is as small as can be: no standard library, and
//! nothing is imported, from WASI or anybody else.
//!
//! Built for `wasm32-wasip2`; on every other target this crate is empty.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod identity;
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "what `std` has for every other guest")]
#[path = "../../without_std.rs"]
mod without_std;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package tensorgate:identity-processor;
            world identity {
                export tensorgate:serving/processor@0.1.0;
            }
        ",
        path: "../../wit",
        generate_all,
    });

    export!(Identity with_types_in self);
    use super::identity::Identity;
}
