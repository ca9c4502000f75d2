//! The models of the host, as one instance of the component has them.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use tensorgate_logic::Reply;
use tensorgate_logic::remote::client::{self, Heard};
use tensorgate_logic::remote::{Known, KnownSignature};
use tensorgate_types::{
    Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ShapeCheck, Signature,
};

use crate::ask::{self, Answered, Budget, Question};
use crate::settings::Settings;
use crate::world::World;
use crate::{answers, kept};

/// The host, from here.
pub(crate) struct Remote<W: World> {
    pub(crate) world: W,
    started: OnceCell<Result<(Settings, Budget)>>,
    /// What was opened: all that one request opens of a model is the same version.
    opened: RefCell<HashMap<ModelSpec, Seen>>,
    /// What was opened in which way. Who opens the same once more has failed by it, and wants to
    /// know whether it still holds.
    asked: RefCell<HashSet<(ModelSpec, bool)>>,
}

/// What is known of a version, and whether the host said so to this very instance.
#[derive(Debug, Clone)]
struct Seen {
    known: Rc<Known>,
    is_confirmed: bool,
}

/// A version that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) spec: ModelSpec,
    pub(crate) known: Rc<Known>,
    /// Without the host's processor.
    pub(crate) bare: bool,
}

/// What is to be run of it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) signature: String,
    /// `predict`, `classify`, `regress`.
    pub(crate) api: String,
    pub(crate) accept: Option<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) payload: Reply,
}

/// A run on its way.
pub(crate) struct Running<S> {
    spec: ModelSpec,
    fingerprint: Option<answers::Fingerprint>,
    state: Sent<S>,
}

enum Sent<S> {
    /// It was answered before.
    Kept(Vec<u8>),
    Asked(Question<S>),
}

impl Opened {
    /// A signature as whoever opened it is to see it.
    pub(crate) fn signature(&self, name: &str) -> Option<(&Signature, ShapeCheck)> {
        let mut covered = self.known.covered.iter().filter(|_| !self.bare);
        if let Some(covered) = covered.find(|covered| covered.name == name) {
            return Some((&covered.signature, covered.shapes));
        }
        let KnownSignature {
            signature, shapes, ..
        } = self.known.signatures.get(name)?;
        Some((signature, *shapes))
    }
}

impl<W: World> Remote<W> {
    pub(crate) fn new(world: W) -> Self {
        Self {
            world,
            started: OnceCell::new(),
            opened: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// The settings; and the request's time, which begins with the first use.
    fn started(&self) -> Result<(&Settings, Budget)> {
        let started = self.started.get_or_init(|| {
            let settings = Settings::read(&self.world).inspect_err(|error| {
                self.world.log(error.message());
            })?;
            let budget = Budget::begin(&self.world, &settings);
            Ok((settings, budget))
        });
        match started {
            Ok((settings, budget)) => Ok((settings, *budget)),
            Err(error) => Err(error.clone()),
        }
    }

    fn ask(&self, body: client::Pieces) -> Result<Answered> {
        let (settings, budget) = self.started()?;
        let question = ask::begin(&self.world, settings, budget, body);
        self.finish(question)
    }

    fn finish(&self, question: Question<W::Sent>) -> Result<Answered> {
        let (settings, budget) = self.started()?;
        let answered = ask::finish(&self.world, settings, budget, question);
        answered.inspect_err(|error| self.world.log(error.message()))
    }

    /// Opens a version: from what is kept, where that is fresh. Opened the same way once more, it
    /// has to be fresher.
    ///
    /// # Errors
    /// The host's, or as [`ask::finish`].
    pub(crate) fn open(&self, spec: ModelSpec, bare: bool) -> Result<Opened> {
        let (settings, _) = self.started()?;
        let is_first = self.asked.borrow_mut().insert((spec.clone(), bare));
        let seen = self.opened.borrow().get(&spec).cloned();
        let seen = match seen {
            Some(seen) if is_first || seen.is_confirmed => seen,
            seen => {
                let believed = match seen {
                    None => settings.signature_ttl,
                    Some(_) => settings.recheck.min(settings.signature_ttl),
                };
                let seen = self.look_up(&spec, believed)?;
                let mut opened = self.opened.borrow_mut();
                opened.insert(spec.clone(), seen.clone());
                seen
            }
        };
        let known = seen.known;
        Ok(Opened { spec, known, bare })
    }

    fn look_up(&self, spec: &ModelSpec, believed: Duration) -> Result<Seen> {
        let (settings, _) = self.started()?;
        let kept = kept::load(&self.world, settings, spec);
        let digest = match &kept {
            Some(kept) if kept.age.is_some_and(|age| age < believed) => {
                return Ok(Seen {
                    known: Rc::new(kept.known.clone()),
                    is_confirmed: false,
                });
            }
            Some(kept) => &*kept.known.digest,
            None => "",
        };
        let confirmed = |known| Seen {
            known: Rc::new(known),
            is_confirmed: true,
        };
        match (self.ask(client::open(spec, digest))?.heard, &kept) {
            (Heard::Opened(current), Some(kept)) if current.known.digest == kept.known.digest => {
                kept::confirm(&self.world, settings, spec, kept);
                Ok(confirmed(kept.known.clone()))
            }
            (Heard::Opened(current), _) => {
                kept::keep(&self.world, settings, spec, &current.bytes);
                Ok(confirmed(current.known))
            }
            (Heard::Failed(error, _), _) => Err(error),
            (Heard::Versions(_) | Heard::Ran(..), _) => Err(unasked()),
        }
    }

    /// The states of a model's versions, always the host's.
    ///
    /// # Errors
    /// The host's, or as [`ask::finish`].
    pub(crate) fn status(
        &self,
        name: &str,
        version: Option<i64>,
    ) -> Result<Vec<ModelVersionStatus>> {
        match self.ask(client::status(name, version))?.heard {
            Heard::Versions(versions) => Ok(versions),
            Heard::Failed(error, _) => Err(error),
            Heard::Opened(_) | Heard::Ran(..) => Err(unasked()),
        }
    }

    /// Begins a run.
    ///
    /// # Errors
    /// When the inputs are no tensors.
    pub(crate) fn begin(&self, model: &Opened, call: Call) -> Result<Running<W::Sent>> {
        let (settings, budget) = self.started()?;
        let run = client::Run {
            spec: &model.spec,
            known: (model.known.version, &model.known.digest),
            bare: model.bare,
            signature: &call.signature,
            api: &call.api,
            accept: call.accept.as_deref(),
            outputs: &call.outputs,
        };
        let pieces = client::run(&run, call.payload)?;
        let fingerprint = answers::Fingerprint::of(settings, &pieces);
        let kept = fingerprint.and_then(|it| answers::load(&self.world, settings, it));
        Ok(Running {
            spec: model.spec.clone(),
            fingerprint,
            state: match kept {
                Some(answer) => Sent::Kept(answer),
                None => Sent::Asked(ask::begin(&self.world, settings, budget, pieces)),
            },
        })
    }

    /// Waits for a run: the version that answered, and its answer.
    ///
    /// # Errors
    /// The host's, or as [`ask::finish`]. `ABORTED` when what was known of the model is not so any
    /// more; what is so now was kept, and `open` gives it.
    pub(crate) fn wait(&self, running: Running<W::Sent>) -> Result<(i64, Reply)> {
        let (settings, _) = self.started()?;
        let answered = match running.state {
            Sent::Kept(body) => Answered {
                heard: client::hear(&body)?,
                body,
            },
            Sent::Asked(question) => {
                let answered = self.finish(question)?;
                let is_answer = matches!(answered.heard, Heard::Ran(..));
                if let Some(fingerprint) = running.fingerprint.filter(|_| is_answer) {
                    answers::keep(&self.world, settings, fingerprint, &answered.body);
                }
                answered
            }
        };
        match answered.heard {
            Heard::Ran(version, reply) => Ok((version, reply)),
            Heard::Failed(error, Some(current)) if error.code() == ErrorCode::Aborted => {
                kept::keep(&self.world, settings, &running.spec, &current.bytes);
                let mut opened = self.opened.borrow_mut();
                let known = Rc::new(current.known);
                let is_confirmed = true;
                opened.insert(
                    running.spec,
                    Seen {
                        known,
                        is_confirmed,
                    },
                );
                Err(error)
            }
            Heard::Failed(error, _) => Err(error),
            Heard::Opened(_) | Heard::Versions(_) => Err(unasked()),
        }
    }

    /// Runs a model, and waits for it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin) and [`wait`](Self::wait).
    pub(crate) fn run(&self, model: &Opened, call: Call) -> Result<(i64, Reply)> {
        self.wait(self.begin(model, call)?)
    }
}

fn unasked() -> Error {
    Error::internal("the Tensorgate host has answered another question than the one it was asked")
}
