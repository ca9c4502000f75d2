//! The WIT interface `transfer`: runs whose large values pass the component by. Inputs are parts of
//! the message of a gRPC call, outputs stay with the host, and the component deals in their
//! places and numbers.

use bytes::Bytes;
use tensorgate_types::{Error, Result};
use wasmtime::component::Linker;

use crate::Call;
use crate::contract::transfer::{OutputOut, RangeIn, RunIn};
use crate::convert::Guest;
use crate::inference::{Answer, Store, refuse};
use crate::lower::{bytes_below, error_out, outputs_out};
use crate::processing::{check_covered, run_calls};
use crate::state::{EdgeState, HeldModel};

const INTERFACE: &str = "tensorgate:serving/transfer@0.1.0";

/// Bytes of one read: a component that wants to see all of a large message pays for it in calls,
/// and each of them is a moment in which it can be interrupted.
const MAX_READ: u64 = 1 << 20;

pub(crate) fn add_to_linker(linker: &mut Linker<EdgeState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("read", |store, (part,)| Ok((read(&store, part),)))?;
    interface.func_wrap_async("run", |store, call| Box::new(run(store, call)))?;
    Ok(())
}

fn read(store: &Store<'_>, part: RangeIn) -> Result<Bytes, crate::contract::ErrorOut> {
    let state = store.data();
    let read = if part.length > MAX_READ {
        Err(Error::invalid_argument(format!(
            "at most {MAX_READ} bytes are read at a time, got {}",
            part.length
        )))
    } else {
        state.outside.part(part)
    };
    match read {
        Ok(bytes) => {
            let counters = &state.shared.counters;
            counters.bytes_to_guests.add(bytes.len() as u64);
            Ok(bytes)
        }
        Err(error) => refuse(state, &error),
    }
}

async fn run(
    mut store: Store<'_>,
    (model, calls, hold_from): RunIn,
) -> wasmtime::Result<Answer<Vec<Vec<OutputOut>>>> {
    let held = store.data().table.get(&model)?;
    let calls = Guest::of(&store).calls(held, &calls)?;
    let calls = match calls.and_then(|calls| fitting(held, calls)) {
        Ok(calls) => calls,
        Err(error) => return Ok((refuse(store.data(), &error),)),
    };
    let result = run_calls(&mut store, &model, calls).await;
    if let Ok(lists) = &result {
        let bytes = lists.iter().map(|list| bytes_below(list, hold_from)).sum();
        store.data_mut().memory.take_in(bytes)?;
    }
    let outputs = result.and_then(|lists| outputs_out(lists, hold_from, store.data_mut()));
    Ok((outputs.map_err(|error| error_out(&error)),))
}

fn fitting(held: &HeldModel, calls: Vec<Call>) -> Result<Vec<Call>> {
    for call in &calls {
        check_covered(held, call)?;
    }
    Ok(calls)
}
