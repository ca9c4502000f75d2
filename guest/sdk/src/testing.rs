//! For native tests of processors: what the models answer that they call, and what is set for them.

use std::cell::RefCell;
use std::rc::Rc;

use tensorgate_types::{Error, ModelSpec, Result, VersionChoice};

use crate::describe::Signature;
use crate::processor::Call;
use crate::tensors::Outputs;

type Answers = Rc<dyn Fn(&ModelSpec, &Call) -> Result<Outputs>>;

type Settings = Vec<(String, String)>;

thread_local! {
    static ANSWERS: RefCell<Option<Answers>> = const { RefCell::new(None) };
    static SETTINGS: RefCell<Settings> = const { RefCell::new(Vec::new()) };
}

/// Runs `test` with models that answer as `answers` says: it gets the model's name and the call.
/// A version that is not asked for by its number is 1.
pub fn with_models<T>(
    answers: impl Fn(&str, &Call) -> Result<Outputs> + 'static,
    test: impl FnOnce() -> T,
) -> T {
    with_versions(move |model, call| answers(&model.name, call), test)
}

/// As [`with_models`], for processors that call several versions: `answers` gets which one was
/// asked for, as the processor said it.
pub fn with_versions<T>(
    answers: impl Fn(&ModelSpec, &Call) -> Result<Outputs> + 'static,
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

/// Runs `test` with these environment variables set, as far as [`setting`](crate::setting) reads
/// them; without it none is.
pub fn with_settings<T>(settings: &[(&str, &str)], test: impl FnOnce() -> T) -> T {
    /// As above.
    struct Restore(Settings);
    impl Drop for Restore {
        fn drop(&mut self) {
            SETTINGS.set(std::mem::take(&mut self.0));
        }
    }
    let settings = settings.iter();
    let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let _restore = Restore(SETTINGS.replace(settings.collect()));
    test()
}

pub(crate) fn setting(name: &str) -> Option<String> {
    SETTINGS.with_borrow(|settings| {
        let found = settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

/// A model that [`with_models`] answers for.
pub(crate) struct Handle {
    spec: ModelSpec,
    version: i64,
    answers: Answers,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} version {}", self.spec.name, self.version)
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
        spec: spec.clone(),
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
    (model.answers)(&model.spec, &call)
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
