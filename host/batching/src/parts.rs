//! A request whose rows are spread over several batches.
//!
//! **Invariant:** the caller is answered once: when every part has its outputs, or at the first
//! part that fails; then the others are abandoned.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tensorgate_engine::NamedTensors;
use tensorgate_types::{Counter, Error, Result, Tensor};
use tokio::sync::oneshot;

use crate::rows::join;
use crate::task::Reply;

/// What the parts of one request share.
pub(crate) struct Parts {
    state: Mutex<State>,
}

struct State {
    /// None once the caller is answered.
    caller: Option<oneshot::Sender<Result<Vec<NamedTensors>>>>,
    /// The outputs of each part, in the order of the rows.
    outputs: Vec<Option<NamedTensors>>,
}

impl Parts {
    /// Cuts off the first rows of what `reply` answers: gives the reply of these rows, and leaves
    /// that of the rest.
    pub(crate) fn split(reply: &mut Reply) -> Reply {
        match reply {
            Reply::Part(parts, number) => {
                let parts = Arc::clone(parts);
                let first = *number;
                let mut state = parts.lock();
                state.outputs.push(None);
                *number = state.outputs.len() - 1;
                drop(state);
                Reply::Part(parts, first)
            }
            Reply::Caller(_) => {
                let parts = Arc::new(Self {
                    state: Mutex::new(State {
                        caller: None,
                        outputs: vec![None, None],
                    }),
                });
                let rest = Reply::Part(Arc::clone(&parts), 1);
                if let Reply::Caller(caller) = std::mem::replace(reply, rest) {
                    parts.lock().caller = Some(caller);
                }
                Reply::Part(parts, 0)
            }
        }
    }

    /// Whether nobody waits for the request any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        let state = self.lock();
        state.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// What became of one part. Adds to `copied` what it takes to put the parts together.
    pub(crate) fn take(&self, number: usize, answer: Result<Vec<NamedTensors>>, copied: &Counter) {
        let mut state = self.lock();
        let outcome = match answer {
            Err(error) => Some(Err(error)),
            Ok(mut outputs) => {
                state.outputs[number] = outputs.pop();
                let whole = state.outputs.iter().all(Option::is_some);
                whole.then(|| Ok(std::mem::take(&mut state.outputs)))
            }
        };
        let Some(outcome) = outcome else { return };
        let Some(caller) = state.caller.take() else {
            return;
        };
        drop(state);
        let answer = outcome.and_then(|parts: Vec<Option<NamedTensors>>| {
            whole(&parts.into_iter().flatten().collect::<Vec<_>>(), copied)
        });
        // Nobody there any more: dropped.
        let _unheard = caller.send(answer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outputs of all parts, put together. Runs of one signature give the same outputs in the
/// same order.
fn whole(parts: &[NamedTensors], copied: &Counter) -> Result<Vec<NamedTensors>> {
    let Some(first) = parts.first() else {
        return Err(Error::internal("a request without parts"));
    };
    let outputs = first.iter().enumerate();
    let outputs = outputs.map(|(index, (name, _))| {
        let tensors: Vec<&Tensor> = parts
            .iter()
            .filter_map(|part| part.get(index))
            .map(|(_, tensor)| tensor)
            .collect();
        Ok((name.clone(), join(&tensors, 0, false, copied)?))
    });
    Ok(vec![outputs.collect::<Result<_>>()?])
}
