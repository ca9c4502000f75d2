//! One request on the belt, or a part of one.

use std::sync::Arc;
use std::time::Instant;

use tensorgate_engine::{Call, NamedTensors};
use tensorgate_types::{Counter, Deadline, Error, Priority, Result};
use tokio::sync::oneshot;

use crate::parts::Parts;
use crate::rows::slice;

/// What waits and rides.
pub(crate) struct Task<H> {
    /// Keeps the version until the run has ended.
    pub(crate) model: H,
    /// One, unless the request is run alone. Sorted.
    pub(crate) calls: Vec<Call>,
    /// Rows of its inputs; 1 where it is run alone.
    pub(crate) rows: usize,
    pub(crate) priority: Priority,
    pub(crate) deadline: Deadline,
    pub(crate) arrived: Instant,
    pub(crate) reply: Reply,
}

/// Where the outputs go.
pub(crate) enum Reply {
    /// To the caller.
    Caller(oneshot::Sender<Result<Vec<NamedTensors>>>),
    /// To the other parts of the same request.
    Part(Arc<Parts>, usize),
}

impl Reply {
    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Caller(caller) => caller.is_closed(),
            Self::Part(parts, _) => parts.is_abandoned(),
        }
    }

    /// Answers. Outputs that nobody waits for are dropped here. Adds what is copied to `copied`.
    pub(crate) fn send(self, answer: Result<Vec<NamedTensors>>, copied: &Counter) {
        match self {
            Self::Caller(caller) => {
                let _unheard = caller.send(answer);
            }
            Self::Part(parts, number) => parts.take(number, answer, copied),
        }
    }
}

impl<H: Clone> Task<H> {
    /// Takes the first `rows` rows off. What is left stays in `self`.
    pub(crate) fn split_off(&mut self, rows: usize) -> Result<Self> {
        let [call] = self.calls.as_slice() else {
            return Err(Error::internal("only one signature can be split"));
        };
        let part = |start: usize, rows: usize| -> Result<Vec<Call>> {
            let inputs = call.inputs.iter();
            let inputs = inputs
                .map(|(name, tensor)| Ok((name.clone(), slice(tensor, start, rows)?)))
                .collect::<Result<_>>()?;
            Ok(vec![Call {
                signature: call.signature.clone(),
                inputs,
                outputs: call.outputs.clone(),
            }])
        };
        let (first, rest) = (part(0, rows)?, part(rows, self.rows - rows)?);
        let reply = Parts::split(&mut self.reply);
        self.calls = rest;
        self.rows -= rows;
        Ok(Self {
            model: self.model.clone(),
            calls: first,
            rows,
            priority: self.priority,
            deadline: self.deadline,
            arrived: self.arrived,
            reply,
        })
    }
}
