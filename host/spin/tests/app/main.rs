//! From a manifest to a locked app, and the values of its variables.

mod load;
mod lock;
mod variables;
