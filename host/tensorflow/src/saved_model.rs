//! A SavedModel: loaded, run, unloaded.
//!
//! In comes a directory with a SavedModel, and requests whose inputs have been checked; out come
//! outputs by name. [`crate::plan`] says where a signature's tensors are in the graph,
//! [`crate::feed`] and [`crate::fetch`] carry them across.
//!
//! **Cancellation:** a run ends when its kernels do. A graph with loops runs on TensorFlow's pool,
//! which is given the deadline and stops between two operations; one long operation nobody stops.

#![expect(unsafe_code, reason = "loads and runs sessions")]

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_types::{Deadline, Error, Result, Signatures};

use crate::describe::{self, Described};
use crate::devices::Device;
use crate::feed::{CopyCount, CopyCounters, Feeds};
use crate::fetch::Fetched;
use crate::fetch_sets::FetchSets;
use crate::ffi::TF_Output;
use crate::library::Library;
use crate::load_error;
use crate::plan::{self, Plan, Ports};
use crate::run_options::RunOptions;
use crate::scheduling::{self, Scheduling};
use crate::session::Session;
use crate::status::Status;
use crate::together::{Part, Union};
use crate::trace::Tracer;

/// Loads SavedModels.
#[derive(Debug, Clone)]
pub struct SavedModelLoader {
    /// The library to load them with.
    pub library: Library,
    /// The tags of the graph to take: it must have exactly these.
    pub tags: Vec<String>,
    /// A serialized `tensorflow.ConfigProto`; empty for TensorFlow's defaults. The sizes of its
    /// thread pools hold for the process: the first session that is made decides.
    pub session_config: Vec<u8>,
    /// On which threads the operations of a run are computed.
    pub scheduling: Scheduling,
    /// Sees the runs of the models.
    pub tracer: Tracer,
    /// Counts what is copied for their runs.
    pub copied: Arc<CopyCounters>,
}

impl SavedModelLoader {
    /// Loads graphs tagged `serve`, with TensorFlow's defaults.
    #[must_use]
    pub fn new(library: Library) -> Self {
        Self {
            library,
            tags: vec!["serve".to_owned()],
            session_config: Vec::new(),
            scheduling: Scheduling::default(),
            tracer: Tracer::default(),
            copied: Arc::default(),
        }
    }

    /// Loads the SavedModel in `dir` and initialises it. Blocks for as long as that takes.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no SavedModel, or none with these tags; `UNIMPLEMENTED` when a
    /// signature has a type that cannot be served; whatever TensorFlow says.
    pub fn load(&self, dir: &Path) -> Result<SavedModel> {
        check_directory(dir)?;
        let mut session = Session::new(self.library.api());
        let meta_graph = session
            .load(dir, &self.tags, &self.session_config)
            .map_err(|error| load_error::explain(error, dir))?;
        let described = describe::read_meta_graph(meta_graph.as_slice())?;
        let on_calling_thread = self.scheduling == Scheduling::CallingThread
            && !scheduling::may_run_forever(meta_graph.as_slice())?;
        drop(meta_graph);
        plan::check_types(&described)?;
        let plans = plan::plan_all(&described, |operation, index| {
            session.find(operation, index)
        });
        let Described {
            signatures,
            signature_defs,
            not_dense: _,
            defaults: _,
        } = described;
        Ok(SavedModel {
            runners: plans.into_iter().map(Runner::new).collect(),
            library: self.library,
            session,
            on_calling_thread,
            tracer: self.tracer.clone(),
            signatures,
            signature_defs,
            copied: Arc::clone(&self.copied),
            fetch_sets: FetchSets::default(),
        })
    }
}

/// What TensorFlow Serving looks at before it calls TensorFlow, with its words.
fn check_directory(dir: &Path) -> Result<()> {
    let has = |name: &str| {
        let path = dir.join(name);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(true),
            // TensorFlow would wait for somebody to write to a pipe.
            Ok(_other) => Err(describe::not_a_file(&path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let message = format!("cannot look at {}", path.display());
                Err(Error::internal(message).with_source(error))
            }
        }
    };
    // `.cpb` is a file of chunks, for graphs above 2 GB.
    if has("saved_model.pb")? || has("saved_model.pbtxt")? || has("saved_model.cpb")? {
        Ok(())
    } else if has("export.meta")? {
        Err(Error::unimplemented(
            "Session Bundle is deprecated and removed.",
        ))
    } else {
        Err(describe::no_saved_model(dir))
    }
}

/// A loaded SavedModel. Unloaded when dropped, which blocks for as long as that takes.
pub struct SavedModel {
    library: Library,
    session: Session,
    /// Whether runs are computed by the thread that calls, not by TensorFlow's pool.
    on_calling_thread: bool,
    tracer: Tracer,
    signatures: Signatures,
    signature_defs: Vec<(String, Bytes)>,
    /// In the order of `signatures`.
    runners: Vec<Runner>,
    copied: Arc<CopyCounters>,
    fetch_sets: FetchSets,
}

/// A signature's plan, in the form in which the session wants it.
enum Runner {
    Ready {
        ports: Ports,
        inputs: Vec<TF_Output>,
        outputs: Vec<TF_Output>,
    },
    Refused(Error),
}

impl Runner {
    fn new(plan: Plan) -> Self {
        match plan {
            Plan::Ready(ports) => Self::Ready {
                inputs: ports.input_places(),
                outputs: ports.output_places(),
                ports,
            },
            Plan::Refused(error) => Self::Refused(error),
        }
    }
}

// SAFETY: what is not thread safe by its type are the pointers to the session, the graph and its
// operations. TensorFlow's sessions are made to be run from many threads at once, nothing changes
// the graph after it was loaded, and session and graph may be deleted on any thread.
unsafe impl Send for SavedModel {}
// SAFETY: as above; `run` takes `&self` and calls nothing but `TF_SessionRun`.
unsafe impl Sync for SavedModel {}

impl SavedModel {
    /// What was copied on the way to TensorFlow and back, for all models of the same loader.
    pub fn copied(&self) -> CopyCount {
        self.copied.read()
    }

    /// What its session can compute on.
    ///
    /// # Errors
    /// Whatever TensorFlow says.
    pub fn devices(&self) -> Result<Vec<Device>> {
        self.session.devices()
    }

    /// How many sets of outputs, other than all of a signature's, TensorFlow keeps an executor
    /// for.
    pub fn fetch_sets(&self) -> usize {
        self.fetch_sets.len()
    }

    /// Runs the session `runs` times with nothing around it: tensors are made once, outputs are
    /// deleted unread. On the threads that [`run`](Predictor::run) would use. For measuring what
    /// the rest costs.
    ///
    /// # Errors
    /// As [`run`](Predictor::run).
    pub fn run_bare(&self, request: &RunRequest, runs: usize) -> Result<()> {
        let [call] = request.calls.as_slice() else {
            return Err(Error::invalid_argument("a bare run is of one call"));
        };
        let (_, ports, inputs, outputs) = self.ready(&call.signature)?;
        let mut feeds = Feeds::with_capacity(self.library.api(), inputs.len());
        for tensor in ports.arrange(&call.inputs)? {
            feeds.push(self.library, tensor, &self.copied)?;
        }
        let mut status = Status::new(self.library.api());
        let mut fetched = vec![std::ptr::null_mut(); outputs.len()];
        let options = self.options(request.deadline);
        for _run in 0..runs {
            let options = options.as_ref().map(RunOptions::as_slice);
            self.session.call(
                options,
                inputs,
                &feeds,
                outputs,
                &mut fetched,
                None,
                &mut status,
            );
            status.check()?;
            for raw in &fetched {
                // SAFETY: the run was a success, so that each slot has a tensor, ours to delete.
                drop(unsafe { Fetched::own(self.library.api(), *raw) });
            }
        }
        Ok(())
    }

    fn options(&self, deadline: Deadline) -> Option<RunOptions> {
        if self.on_calling_thread {
            Some(RunOptions::on_calling_thread())
        } else {
            RunOptions::for_deadline(deadline)
        }
    }

    /// The signature's number and places.
    fn ready(&self, signature: &str) -> Result<(usize, &Ports, &[TF_Output], &[TF_Output])> {
        let index = self
            .signatures
            .keys()
            .position(|name| name == signature)
            .ok_or_else(|| {
                Error::failed_precondition(format!(
                    "Serving signature key \"{signature}\" not found."
                ))
            })?;
        match &self.runners[index] {
            Runner::Ready {
                ports,
                inputs,
                outputs,
            } => Ok((index, ports, inputs, outputs)),
            Runner::Refused(error) => Err(error.clone()),
        }
    }

    fn session_run(
        &self,
        deadline: Deadline,
        inputs: &[TF_Output],
        feeds: &Feeds,
        outputs: &[TF_Output],
    ) -> Result<impl Iterator<Item = Fetched> + use<>> {
        let mut options = self.options(deadline);
        let traced = self.tracer.is_watching().then_some(&self.tracer);
        if traced.is_some() {
            options = Some(RunOptions::traced(options));
        }
        self.session
            .run(options.as_ref(), traced, inputs, feeds, outputs)
    }

    fn run_one(&self, call: &Call, deadline: Deadline) -> Result<NamedTensors> {
        let (index, ports, inputs, outputs) = self.ready(&call.signature)?;
        let arranged = ports.arrange(&call.inputs)?;
        let selected = ports.select(&call.outputs)?;
        let mut feeds = Feeds::with_capacity(self.library.api(), arranged.len());
        for tensor in arranged {
            feeds.push(self.library, tensor, &self.copied)?;
        }
        let run = |outputs: &[TF_Output]| self.session_run(deadline, inputs, &feeds, outputs);
        let named = |(index, fetched): (usize, Fetched)| {
            let name = ports.output_name(index);
            Ok((
                name.to_owned(),
                fetched.into_tensor(name, &self.copied.strings_out)?,
            ))
        };
        match selected {
            Some(selected) if self.fetch_sets.admit(index, &selected) => {
                let places: Vec<TF_Output> = selected.iter().map(|at| outputs[*at]).collect();
                selected.into_iter().zip(run(&places)?).map(named).collect()
            }
            // No room for another set: all of them, and those that are wanted are picked.
            Some(selected) => (0..ports.output_count())
                .zip(run(outputs)?)
                .filter(|(at, _)| selected.binary_search(at).is_ok())
                .map(named)
                .collect(),
            None => (0..ports.output_count())
                .zip(run(outputs)?)
                .map(named)
                .collect(),
        }
    }

    fn run_together(&self, calls: &[Call], deadline: Deadline) -> Result<Vec<NamedTensors>> {
        let mut names = Vec::with_capacity(calls.len());
        let mut parts = Vec::with_capacity(calls.len());
        for call in calls {
            let (signature, ports, inputs, outputs) = self.ready(&call.signature)?;
            let arranged = ports.arrange(&call.inputs)?.into_iter().enumerate();
            names.push(ports);
            parts.push(Part {
                signature,
                inputs: arranged
                    .map(|(at, tensor)| (inputs[at], ports.input_name(at), tensor))
                    .collect(),
                outputs,
                selected: ports
                    .select(&call.outputs)?
                    .unwrap_or_else(|| (0..outputs.len()).collect()),
            });
        }
        let union = Union::of(&parts)?;
        if !self.fetch_sets.admit_key(union.key) {
            // No room for another set: one after another, with those that there are.
            return calls
                .iter()
                .map(|call| self.run_one(call, deadline))
                .collect();
        }
        let mut feeds = Feeds::with_capacity(self.library.api(), union.tensors.len());
        for tensor in union.tensors {
            feeds.push(self.library, tensor, &self.copied)?;
        }
        let fetched = self
            .session_run(deadline, &union.inputs, &feeds, &union.outputs)?
            .map(|fetched| {
                fetched.into_tensor("of a run of several signatures", &self.copied.strings_out)
            })
            .collect::<Result<Vec<_>>>()?;
        let named = |(ports, (part, picks)): (&Ports, (Part<'_>, Vec<usize>))| {
            let outputs = part.selected.into_iter().zip(picks);
            outputs
                .map(|(output, at)| (ports.output_name(output).to_owned(), fetched[at].clone()))
                .collect()
        };
        let parts = parts.into_iter().zip(union.picks);
        Ok(names.into_iter().zip(parts).map(named).collect())
    }
}

impl Predictor for SavedModel {
    fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &self.signature_defs
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        if request.deadline.has_passed() {
            return Err(Error::deadline_exceeded());
        }
        match request.calls.as_slice() {
            [call] => Ok(vec![self.run_one(call, request.deadline)?]),
            [] => Ok(Vec::new()),
            calls => self.run_together(calls, request.deadline),
        }
    }
}

impl fmt::Debug for SavedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedModel")
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}
