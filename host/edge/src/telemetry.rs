//! The WIT interface `telemetry`: what the gateway says of a request, passed on once.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::contract::OutcomeIn;
use crate::convert::Guest;
use crate::state::EdgeState;

const INTERFACE: &str = "tensorgate:serving/telemetry@0.1.0";

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("report", report)
}

fn report(
    mut store: StoreContextMut<'_, EdgeState>,
    (outcome,): (OutcomeIn,),
) -> wasmtime::Result<()> {
    // The first report counts: a component that reports more often would falsify every rate.
    if std::mem::replace(&mut store.data_mut().reported, true) {
        return Ok(());
    }
    let outcome = Guest::of(&store).outcome(&outcome)?;
    store.data().services.telemetry.report(outcome);
    Ok(())
}
