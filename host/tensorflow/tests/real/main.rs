//! The real library with real models: what the exporter in `tests/models` makes.
//!
//! One binary, since opening the library takes longer than all that is tested with it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod deadlines;
mod dtypes;
mod errors;
mod lite;
mod signatures;
mod styles;
mod support;
mod zero_copy;
