//! Programs in the sandbox, good ones and hostile ones, against fake models.
//!
//! The programs are in `tests/programs/examples`, processors in `tests/processors/examples`; `cargo xtask guests` builds them. Tests run on
//! one thread each where they can: a hostile program then has the very thread that ordinary
//! requests need.

mod coverage;
mod fake;
mod grpc;
mod grpc_hostile;
mod handmade;
mod harness;
mod hostile;
mod lies;
mod loading;
mod nn;
mod ordinary;
mod processors;
mod processors_refused;
mod runs;
mod waiting;
