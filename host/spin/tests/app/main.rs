//! From a manifest to a locked app, and the values of its variables.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod load;
mod lock;
mod variables;
