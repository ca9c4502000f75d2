//! The interface `graph`: a version of a model and one of its signatures, by name.
//!
//! **Invariant:** what a component opens here is what `inference.open` would give it, with the
//! same rights, and counts as one model that is held, however many contexts it has.

use std::sync::Arc;

use tensorgate_types::{ServableId, Signature};
use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};

use super::contract::{ExecutionTarget, GraphEncoding, NnErrorCode};
use super::errors::{Answer, Fallible, NnError, answer, give};
use super::inference::Context;
use super::name::{Name, parse};
use crate::OpenModel;
use crate::convert::Guest;
use crate::inference::Store;
use crate::state::EdgeState;

const INTERFACE: &str = "wasi:nn/graph@0.2.0-rc-2024-10-28";

/// A version of a model and one of its signatures.
pub(super) struct Opened {
    pub(super) model: Arc<dyn OpenModel>,
    pub(super) name: String,
    pub(super) signature: Signature,
}

/// What a handle of the resource `graph` stands for.
struct Graph(Arc<Opened>);

pub(super) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("graph", ResourceType::host::<Graph>(), |mut store, rep| {
        let state = store.data_mut();
        let Graph(opened) = state.table.delete(Resource::<Graph>::new_own(rep))?;
        let_go(state, opened);
        Ok(())
    })?;
    interface.func_wrap("load", load)?;
    interface.func_wrap("load-by-name", load_by_name)?;
    interface.func_wrap(
        "[method]graph.init-execution-context",
        init_execution_context,
    )
}

/// A handle is gone. The last one to a version lets it go.
pub(super) fn let_go(state: &mut EdgeState, opened: Arc<Opened>) {
    if Arc::into_inner(opened).is_some() {
        state.held_models -= 1;
    }
}

type Load = (WasmList<WasmList<u8>>, GraphEncoding, ExecutionTarget);

/// The bytes stay where they are.
fn load(mut store: Store<'_>, _bytes: Load) -> wasmtime::Result<Answer<Resource<Graph>>> {
    let error = NnError::new(
        NnErrorCode::UnsupportedOperation,
        "graph.load: the server's models are the ones that it has loaded itself; use \
         graph.load-by-name, with model, model@3 or model:label",
    );
    answer(store.data_mut(), Err(error))
}

fn load_by_name(
    mut store: Store<'_>,
    (name,): (WasmStr,),
) -> wasmtime::Result<Answer<Resource<Graph>>> {
    let name = Guest::of(&store).string(&name)?;
    let state = store.data_mut();
    let graph = open(state, &name).and_then(|opened| give(state, Graph(Arc::new(opened))));
    if graph.is_ok() {
        state.held_models += 1;
    }
    answer(state, graph)
}

fn open(state: &EdgeState, name: &str) -> Fallible<Opened> {
    let Name { spec, signature } = parse(name)?;
    let limit = state.shared.limits.open_models;
    if state.held_models >= limit {
        return Err(NnError::new(
            NnErrorCode::RuntimeError,
            format!("one request may hold {limit} models open"),
        ));
    }
    let model = state.services.models.open(&spec, state.request_bytes)?;
    let signatures = model.signatures();
    let Some(found) = signatures.get(&signature) else {
        let ServableId { name, version } = model.id();
        let all: Vec<&str> = signatures.keys().map(String::as_str).collect();
        return Err(NnError::new(
            NnErrorCode::NotFound,
            format!(
                "model {name} version {version} has no signature {signature}; it has {} \
                 (written {name}#signature)",
                all.join(", ")
            ),
        ));
    };
    Ok(Opened {
        signature: found.clone(),
        name: signature,
        model,
    })
}

fn init_execution_context(
    mut store: Store<'_>,
    (graph,): (Resource<Graph>,),
) -> wasmtime::Result<Answer<Resource<Context>>> {
    let state = store.data_mut();
    let opened = Arc::clone(&state.table.get(&graph)?.0);
    let context = give(state, Context(opened));
    answer(state, context)
}
