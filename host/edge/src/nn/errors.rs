//! The interface `errors`, and how a function of the standard fails.
//!
//! **Invariant:** every word that a component gets is bounded, though names of its own are in it.

use tensorgate_types::Error;
use wasmtime::component::{Linker, Resource, ResourceType};

use super::contract::NnErrorCode;
use crate::inference::Store;
use crate::state::{EdgeState, MAX_RESOURCES};

const INTERFACE: &str = "wasi:nn/errors@0.2.0-rc-2024-10-28";

/// Bytes of an error's text.
const MAX_DATA: usize = 4 << 10;

/// What a handle of the resource `error` stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NnError {
    pub(super) code: NnErrorCode,
    pub(super) data: String,
}

pub(super) type Fallible<T> = Result<T, NnError>;

/// A function's answer: a WIT `result` alone.
pub(super) type Answer<T> = (Result<T, Resource<NnError>>,);

impl NnError {
    pub(super) fn new(code: NnErrorCode, data: impl Into<String>) -> Self {
        let mut data = data.into();
        if data.len() > MAX_DATA {
            data.truncate(data.floor_char_boundary(MAX_DATA));
            data.push_str("...TRUNCATED");
        }
        Self { code, data }
    }

    pub(super) fn invalid(data: impl Into<String>) -> Self {
        Self::new(NnErrorCode::InvalidArgument, data)
    }
}

impl From<Error> for NnError {
    fn from(error: Error) -> Self {
        Self::new(error.code().into(), error.message())
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource(
        "error",
        ResourceType::host::<NnError>(),
        |mut store, rep| {
            let error = Resource::<NnError>::new_own(rep);
            store.data_mut().table.delete(error)?;
            Ok(())
        },
    )?;
    interface.func_wrap("[method]error.code", |store, call| code(&store, call))?;
    interface.func_wrap("[method]error.data", |store, call| data(&store, call))
}

fn code(store: &Store<'_>, (error,): (Resource<NnError>,)) -> wasmtime::Result<(NnErrorCode,)> {
    Ok((store.data().table.get(&error)?.code,))
}

fn data(store: &Store<'_>, (error,): (Resource<NnError>,)) -> wasmtime::Result<(String,)> {
    Ok((store.data().table.get(&error)?.data.clone(),))
}

/// Tells the component how it went.
///
/// # Errors
/// A trap, where a component holds so much that it cannot be given an error.
pub(super) fn answer<T>(state: &mut EdgeState, result: Fallible<T>) -> wasmtime::Result<Answer<T>> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => {
            state.shared.counters.refused_calls.increment();
            // Also one who holds all that it may is told so.
            state.table.set_max_capacity(MAX_RESOURCES + 1);
            let pushed = state.table.push(error);
            state.table.set_max_capacity(MAX_RESOURCES);
            Err(pushed?)
        }
    },))
}

/// Gives the component a handle.
pub(super) fn give<T: Send + 'static>(state: &mut EdgeState, value: T) -> Fallible<Resource<T>> {
    state.table.push(value).map_err(|_| {
        NnError::new(
            NnErrorCode::RuntimeError,
            format!("one request may hold {MAX_RESOURCES} resources at a time"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_component_gets_of_an_error_is_bounded() {
        let error = NnError::from(Error::not_found("é".repeat(MAX_DATA)));
        assert_eq!(error.code, NnErrorCode::NotFound);
        assert!(error.data.len() < MAX_DATA + 20);
        assert!(error.data.ends_with("é...TRUNCATED"));
    }
}
