//! The WIT package `wasi:nn` 0.2.0-rc-2024-10-28, as processors are given it: a component that
//! was written for the standard calls the house's models by name, with nothing of this house in
//! its code.
//!
//! ```text
//! graph.load-by-name("m@3#signature")   Models::open, as `inference.open`
//! graph.init-execution-context          another handle to the same version
//! tensor.constructor                    one copy, from the component
//! graph-execution-context.compute       OpenModel::run: rides in a batch with others
//! ```
//!
//! **Invariant:** a tensor that the host holds counts as the component's memory. What the standard
//! can say in an error is an error value; a constructor has none, so one that asks for too much
//! is a trap.

mod contract;
mod errors;
mod graph;
mod inference;
mod name;
mod tensor;

use wasmtime::component::Linker;

use crate::state::EdgeState;

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    tensor::add_to_linker(linker)?;
    errors::add_to_linker(linker)?;
    inference::add_to_linker(linker)?;
    graph::add_to_linker(linker)
}
