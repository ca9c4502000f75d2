//! A run whose panic is an error of that run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tensorgate_types::{Error, Result};

use crate::{NamedTensors, Predictor, RunRequest};

/// Runs a model. A panic of it is `INTERNAL`; the flag says whether there was one.
pub fn run_guarded<P: Predictor + ?Sized>(
    model: &P,
    request: &RunRequest,
) -> (Result<Vec<NamedTensors>>, bool) {
    guarded(|| model.run(request))
}

/// The same for a run that is made in another way.
pub fn guarded(
    run: impl FnOnce() -> Result<Vec<NamedTensors>>,
) -> (Result<Vec<NamedTensors>>, bool) {
    // Unwind safe: what a panic leaves half done is the model's, and is asked nothing but another
    // run, which has its own buffers.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => (outcome, false),
        Err(panic) => (Err(panicked(&*panic)), true),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    Error::internal("the run of the model failed unexpectedly").with_source(message)
}
