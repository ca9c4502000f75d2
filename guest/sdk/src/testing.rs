//! For native tests of processors that call models: what those models answer.

use std::cell::RefCell;
use std::rc::Rc;

use tensorgate_types::{Error, ModelSpec, Result, VersionChoice};

use crate::describe::Signature;
use crate::processor::Call;
use crate::tensors::Outputs;

type Answers = Rc<dyn Fn(&str, &Call) -> Result<Outputs>>;

thread_local! {
    static ANSWERS: RefCell<Option<Answers>> = const { RefCell::new(None) };
}

/// Runs `test` with models that answer as `answers` says: it gets the model's name and the call.
/// A version that is not asked for by its number is 1.
pub fn with_models<T>(
    answers: impl Fn(&str, &Call) -> Result<Outputs> + 'static,
    test: impl FnOnce() -> T,
) -> T {
    /// Puts back what was there, also when a test panics.
    struct Restore(Option<Answers>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ANSWERS.set(self.0.take());
        }
    }
    let _restore = Restore(ANSWERS.replace(Some(Rc::new(answers))));
    test()
}

/// A model that [`with_models`] answers for.
pub(crate) struct Handle {
    name: String,
    version: i64,
    answers: Answers,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} version {}", self.name, self.version)
    }
}

pub(crate) fn open(spec: &ModelSpec) -> Result<Handle> {
    let answers = ANSWERS.with_borrow(Clone::clone).ok_or_else(|| {
        Error::not_found("there are no models outside of a component: see `testing::with_models`")
    })?;
    let version = match spec.version {
        VersionChoice::Specific(version) => version,
        VersionChoice::Latest | VersionChoice::Label(_) => 1,
    };
    Ok(Handle {
        name: spec.name.clone(),
        version,
        answers,
    })
}

pub(crate) fn version(model: &Handle) -> i64 {
    model.version
}

pub(crate) fn signature(_model: &Handle, _name: &str) -> Option<Signature> {
    None
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as in the sandbox, where the inputs are handed on"
)]
pub(crate) fn predict(model: &Handle, call: Call) -> Result<Outputs> {
    (model.answers)(&model.name, &call)
}

/// What a run gives, which was known when it was begun.
#[derive(Debug)]
pub(crate) struct Begun(Result<Outputs>);

#[expect(
    clippy::unnecessary_wraps,
    reason = "as in the sandbox, where it may fail"
)]
pub(crate) fn begin(model: &Handle, call: Call) -> Result<Begun> {
    Ok(Begun(predict(model, call)))
}

pub(crate) fn wait(run: Begun) -> Result<Outputs> {
    run.0
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as in the sandbox, where it may fail"
)]
pub(crate) fn mirror(model: &Handle, call: Call) -> Result<()> {
    let _dropped = predict(model, call);
    Ok(())
}
