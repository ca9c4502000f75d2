//! Runs a batch: joins, runs, splits, answers.
//!
//! When a batch of several fails, it is run again in halves, and those in halves, so that a member
//! that breaks its batch is found in a few runs and everybody else gets an answer. Errors that have
//! nothing to do with the inputs go to all: the deadline's, and that of a runtime which is not there.
//!
//! A batch that was lost with the process that ran it is not halved, since the guilty half would be
//! lost again and again: each member is run once more by itself, as long as few of them are lost.

use std::ops::Deref;
use std::time::{Duration, Instant};

use tensorgate_engine::{Call, LostRun, NamedTensors, Predictor, RunRequest, guarded};
use tensorgate_types::{Counter, Error, ErrorCode, Result, Tensor, TensorData};

use crate::lane::Lane;
use crate::rows::{have_rows, join, join_in_place, slice_all};
use crate::state::last;
use crate::stats::{BatchRun, Counters, Observer, add};
use crate::task::Task;
use crate::tuner::Ridden;

/// Members of a lost batch that may be lost by themselves, too. Each of them costs everybody a
/// process; one is the rule, and where more are the model itself may be to blame.
const MAX_LOST_ALONE: usize = 2;

/// What a ride needs to know.
pub(crate) struct Ride<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) counters: &'a Counters,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) batched: bool,
}

impl Ride<'_> {
    /// Runs all riders and answers each. Gives what the belt learns from it.
    pub(crate) fn run<H>(&self, riders: Vec<Task<H>>) -> Ridden
    where
        H: Deref<Target: Predictor>,
    {
        let start = Instant::now();
        let count = riders.len();
        let rows = riders.iter().map(|rider| rider.rows).sum();
        let arrivals: Vec<Instant> = riders.iter().map(|rider| rider.arrived).collect();
        let waited: Vec<Duration> = arrivals
            .iter()
            .map(|arrived| start.saturating_duration_since(*arrived))
            .collect();
        add(&self.counters.riders, count);
        self.group(riders, &waited);
        let end = Instant::now();
        let stayed = arrivals
            .iter()
            .map(|arrived| end.saturating_duration_since(*arrived));
        Ridden {
            rows,
            riders: count,
            took: end - start,
            longest: stayed.clone().max().unwrap_or_default(),
            stayed: stayed.sum(),
        }
    }

    /// Runs some of the riders as one batch. `waited` is empty when they have ridden before.
    fn group<H>(&self, mut riders: Vec<Task<H>>, waited: &[Duration])
    where
        H: Deref<Target: Predictor>,
    {
        let outcome = match riders.as_mut_slice() {
            [] => return,
            [only] if !self.is_padded(only) => self.alone(only, waited, Loss::MadeGood),
            riders => self.joined(riders, waited),
        };
        match outcome {
            Ok(answers) => {
                for (rider, answer) in riders.into_iter().zip(answers) {
                    self.answer(rider, Ok(answer));
                }
            }
            Err(Failed::WithoutRows) => {
                if let Some(call) = riders.first().and_then(|rider| rider.calls.first()) {
                    self.lane.learn_alone(call);
                }
                for rider in riders {
                    add(&self.counters.retries, 1);
                    let answer = self.alone(&rider, &[], Loss::MadeGood);
                    let answer = answer.map_err(Failed::into_error);
                    self.answer(
                        rider,
                        answer.map(|mut answers| answers.pop().unwrap_or_default()),
                    );
                }
            }
            Err(Failed::Run(error)) => {
                if let Some(first) = LostRun::of(&error) {
                    return self.one_by_one(riders, first);
                }
                let is_for_all = matches!(
                    error.code(),
                    ErrorCode::DeadlineExceeded | ErrorCode::Unavailable
                );
                if riders.len() == 1 || is_for_all {
                    for rider in riders {
                        self.answer(rider, Err(error.clone()));
                    }
                    return;
                }
                add(&self.counters.retries, 2);
                let rest = riders.split_off(riders.len() / 2);
                self.group(self.living(riders), &[]);
                self.group(self.living(rest), &[]);
            }
        }
    }

    /// Runs each member of a lost batch once more, so that only the guilty is lost twice.
    fn one_by_one<H>(&self, riders: Vec<Task<H>>, first: &LostRun)
    where
        H: Deref<Target: Predictor>,
    {
        let mut lost_alone = 0;
        for rider in riders {
            let Some(mut rider) = self.living(vec![rider]).pop() else {
                continue;
            };
            if lost_alone == MAX_LOST_ALONE {
                let message = format!(
                    "the run was lost together with others, {lost_alone} of which were lost again: \
                     {first}"
                );
                self.answer(rider, Err(Error::unavailable(message)));
                continue;
            }
            add(&self.counters.retries, 1);
            let answer = self.once(&mut rider).map_err(|error| {
                let Some(second) = LostRun::of(&error) else {
                    return error;
                };
                lost_alone += 1;
                Error::unavailable(format!("the run was lost twice: {first}, then {second}"))
            });
            self.answer(rider, answer);
        }
    }

    /// One request by itself, with padding where the lane has it.
    fn once<H>(&self, rider: &mut Task<H>) -> Result<Vec<NamedTensors>>
    where
        H: Deref<Target: Predictor>,
    {
        let mut outcome = Err(Failed::WithoutRows);
        if self.is_padded(rider) {
            outcome = self.joined(std::slice::from_mut(rider), &[]);
        }
        if matches!(outcome, Err(Failed::WithoutRows)) {
            outcome = self.alone(rider, &[], Loss::Told);
        }
        let mut answers = outcome.map_err(Failed::into_error)?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Those whom an answer can still reach; the others get theirs here.
    fn living<H>(&self, riders: Vec<Task<H>>) -> Vec<Task<H>> {
        let (dead, living): (Vec<_>, Vec<_>) = riders
            .into_iter()
            .partition(|rider| rider.deadline.has_passed() || rider.reply.is_abandoned());
        for rider in dead {
            self.answer(rider, Err(Error::deadline_exceeded()));
        }
        living
    }

    fn answer<H>(&self, rider: Task<H>, answer: Result<Vec<NamedTensors>>) {
        // The handle goes after the answer: if it is the last one, unloading must not delay it.
        let Task { reply, model, .. } = rider;
        reply.send(answer, &self.counters.bytes_copied);
        drop(model);
    }

    fn is_padded<H>(&self, rider: &Task<H>) -> bool {
        self.batched && self.lane.options().padded(rider.rows) != rider.rows
    }

    /// One request as it came: nothing is copied.
    fn alone<H>(
        &self,
        rider: &Task<H>,
        waited: &[Duration],
        loss: Loss,
    ) -> std::result::Result<Vec<Vec<NamedTensors>>, Failed>
    where
        H: Deref<Target: Predictor>,
    {
        let request = RunRequest {
            calls: rider.calls.clone(),
            deadline: rider.deadline,
        };
        let inputs = rider.calls.iter().map(|call| call.inputs.len()).sum();
        let sizes = Sizes {
            riders: 1,
            rows: rider.rows,
            processed: rider.rows,
            inputs,
        };
        let outputs = self.timed(&rider.model, &request, sizes, waited, loss)?;
        Ok(vec![outputs])
    }

    /// Several requests as one run.
    fn joined<H>(
        &self,
        riders: &mut [Task<H>],
        waited: &[Duration],
    ) -> std::result::Result<Vec<Vec<NamedTensors>>, Failed>
    where
        H: Deref<Target: Predictor>,
    {
        let rows: usize = riders.iter().map(|rider| rider.rows).sum();
        let padded = self.lane.options().padded(rows);
        let call = self.join(riders, padded - rows)?;
        let sizes = Sizes {
            riders: riders.len(),
            rows,
            processed: padded,
            inputs: call.inputs.len(),
        };
        let request = RunRequest::one(call, last(riders));
        let model = &riders[0].model;
        let mut outputs = self.timed(model, &request, sizes, waited, Loss::Told)?;
        let outputs = outputs.pop().unwrap_or_default();
        if !have_rows(&outputs, padded) {
            return Err(Failed::WithoutRows);
        }
        let mut start = 0;
        let parts = riders.iter().map(|rider| {
            let part = slice_all(&outputs, start, rider.rows)?;
            start += rider.rows;
            Ok(vec![part])
        });
        Ok(parts.collect::<Result<_>>()?)
    }

    /// The inputs of all riders behind one another. Riders may change their order: to that in
    /// which their places were given, so that what lies side by side need not be copied.
    fn join<H>(&self, riders: &mut [Task<H>], extra: usize) -> Result<Call> {
        let pad = self.lane.options().pad_variable_length_inputs;
        // Counted here first: strings are copied one by one, and others add to the same number.
        let copied = Counter::default();
        if extra == 0 {
            riders.sort_by_key(|rider| place_of(&rider.calls[0]));
        }
        let mut inputs = Vec::with_capacity(riders[0].calls[0].inputs.len());
        for index in 0..riders[0].calls[0].inputs.len() {
            let name = riders[0].calls[0].inputs[index].0.clone();
            // Keys are equal, so that all have the same inputs in the same order.
            let parts = riders.iter_mut();
            let mut parts: Vec<&mut Tensor> = parts
                .map(|rider| &mut rider.calls[0].inputs[index].1)
                .collect();
            // Padding has no place behind the last of them.
            let side_by_side = (extra == 0).then(|| join_in_place(&mut parts)).flatten();
            let joined = match side_by_side {
                Some(joined) => joined,
                None => {
                    let parts: Vec<&Tensor> = parts.iter().map(|part| &**part).collect();
                    join(&parts, extra, pad, &copied)?
                }
            };
            inputs.push((name, joined));
        }
        self.counters.bytes_copied.add(copied.get());
        let first = &riders[0].calls[0];
        Ok(Call {
            signature: first.signature.clone(),
            inputs,
            outputs: first.outputs.clone(),
        })
    }

    fn timed<H>(
        &self,
        model: &H,
        request: &RunRequest,
        sizes: Sizes,
        waited: &[Duration],
        loss: Loss,
    ) -> Result<Vec<NamedTensors>>
    where
        H: Deref<Target: Predictor>,
    {
        let start = Instant::now();
        let (outcome, _) = guarded(|| match loss {
            Loss::MadeGood => model.run(request),
            Loss::Told => model.run_once(request),
        });
        add(&self.counters.batches, 1);
        let id = self.lane.id();
        self.observer.ran(&BatchRun {
            model: &id.name,
            version: id.version,
            riders: sizes.riders,
            rows: sizes.rows,
            processed: sizes.processed,
            inputs: sizes.inputs,
            batched: self.batched,
            took: start.elapsed(),
            waited,
        });
        outcome
    }
}

/// Where the rows of a call lie, if they have a place that others lie beside.
fn place_of(call: &Call) -> Option<usize> {
    call.inputs
        .iter()
        .find_map(|(_, tensor)| match tensor.data() {
            TensorData::Fixed(elements) if elements.is_piece() => Some(elements.as_ptr().addr()),
            TensorData::Fixed(_) | TensorData::Strings(_) => None,
        })
}

#[derive(Clone, Copy)]
struct Sizes {
    riders: usize,
    rows: usize,
    processed: usize,
    inputs: usize,
}

/// What becomes of a run that is lost with its process.
#[derive(Clone, Copy)]
enum Loss {
    /// The runtime makes it again, if it can.
    MadeGood,
    /// The ride hears of it.
    Told,
}

/// Why a batch gave no answers.
enum Failed {
    Run(Error),
    /// The run went well, but an output has no row per input.
    WithoutRows,
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Run(error) => error,
            Self::WithoutRows => Error::internal("an output without rows"),
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}
