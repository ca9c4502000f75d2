//! One processor: compiled, with its rights; and what it is to one version of a model.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tensorgate_types::processing::{self, Covered};
use tensorgate_types::{Deadline, Error, ServableId, ShapeCheck, Signatures};
use wasmtime::component::{Component as Compiled, ComponentExportIndex, InstancePre};

use super::Processors;
use super::convert::description_in;
use super::grants::{Granted, Silent};
use super::pipeline::Cabin;
use super::runs::Mirrors;
use super::threads::Threads;
use super::usage::Counters;
use crate::contract::processor::{DescribeIn, NamedSignatureOut, SubjectOut};
use crate::lower::{error_in, signature_out};
use crate::meter::Pace;
use crate::sandbox::{Bounds, Sandbox};
use crate::slots::Slots;
use crate::state::EdgeState;
use crate::wasi::Grants;
use crate::{Models, ProcessorError, Services};

/// What a processor exports.
const INTERFACE: &str = "tensorgate:serving/processor@0.1.0";

const MIB: usize = 1 << 20;

/// The first bytes of everything in WebAssembly's binary form.
const MAGIC: &[u8] = b"\0asm";

/// The first bytes of a module that is no component: the layer that follows its version is 0.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Bytes of what is said of a component that cannot be used. It may quote the component, and is
/// shown to whoever asks for the model's status.
const MAX_PROBLEM: usize = 2 << 10;

/// What one processor may use, and what it may see.
#[derive(Debug, Clone)]
pub struct Rights {
    /// The time that it may compute for one request, both ways together. Default 1 s.
    pub time: Duration,
    /// Linear memory of one request, in bytes. Default 256 MiB.
    pub memory: usize,
    /// The largest body that it may answer with, in bytes. Default 32 MiB.
    pub answer_bytes: usize,
    /// Requests that may be in it at the same time. Default 16.
    ///
    /// One stays in it while the model runs, so with batching this bounds how many of its requests
    /// ride together.
    pub concurrency: usize,
    /// Requests that may wait for a place in it; one more is refused at once. Default 32.
    ///
    /// A request that waits holds a slot of the server, so this and `concurrency` together bound
    /// what one slow processor takes from the others.
    pub waiting: usize,
    /// Models that it may call beside its own.
    pub models: Vec<String>,
    /// What it may see of the house. Default nothing.
    pub grants: Grants,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
            memory: 256 * MIB,
            answer_bytes: 32 * MIB,
            concurrency: 16,
            waiting: 32,
            models: Vec::new(),
            grants: Grants::default(),
        }
    }
}

/// A processor's file, ready to be attached to versions of its model. Clones share it.
#[derive(Clone)]
pub struct Component(Arc<Loaded>);

pub(super) struct Loaded {
    pub(super) sandbox: Sandbox,
    pub(super) instance: InstancePre<EdgeState>,
    pub(super) exports: Exports,
    pub(super) slots: Arc<Slots>,
    pub(super) threads: Arc<Threads>,
    pub(super) counters: Arc<Counters>,
    pub(super) answer_bytes: usize,
    pub(super) model: String,
}

impl Loaded {
    /// Does `work` for the request of this task, on the processors' threads.
    pub(super) fn on_threads<T, F>(&self, work: F) -> impl Future<Output = Option<T>> + use<T, F>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let models = &self.sandbox.services.models;
        let wrap = |work| models.for_request(work);
        let task = self.threads.run(work, wrap);
        async move { task?.await }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Exports {
    pub(super) describe: ComponentExportIndex,
    pub(super) preprocess: ComponentExportIndex,
    pub(super) postprocess: ComponentExportIndex,
}

impl Processors {
    /// Compiles a processor of `model`, or finds it in the cache. Takes tenths of a second where
    /// it has to compile; the work is done on a thread that may block. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it is no component, or none of the world `model-processor`, or its rights make no sense.
    pub async fn load(
        &self,
        model: &str,
        wasm: Bytes,
        rights: Rights,
        models: Arc<dyn Models>,
    ) -> Result<Component, ProcessorError> {
        let inner = Arc::clone(self.engine.inner());
        let most = inner.shared.limits.memory;
        check_rights(&rights, most)?;
        let (instance, exports) = tokio::task::spawn_blocking({
            let inner = Arc::clone(&inner);
            move || -> Result<_, ProcessorError> {
                let component = compile(&inner.engine, &wasm)?;
                let exports = exports(&inner.engine, &component)?;
                let instance = inner
                    .linker
                    .instantiate_pre(&component)
                    .map_err(|error| ProcessorError::Import(problem(&error)))?;
                Ok((instance, exports))
            }
        })
        .await
        .map_err(|stopped| ProcessorError::Compile(stopped.to_string()))??;
        let granted = Granted {
            models,
            own: model.to_owned(),
            others: rights.models,
        };
        let mut sandbox = Sandbox::new(inner, Services::new(Arc::new(granted), Arc::new(Silent)));
        sandbox.bounds = Bounds {
            time: rights.time,
            pace: Pace::Cpu,
            memory: rights.memory,
        };
        sandbox.grants = Arc::new(rights.grants);
        let counters = self.usage.of(model);
        let mirrors = Mirrors::new(rights.concurrency, rights.memory, Arc::clone(&counters));
        sandbox.mirrors = Some(Arc::new(mirrors));
        Ok(Component(Arc::new(Loaded {
            sandbox,
            instance,
            exports,
            slots: Arc::new(Slots::new(rights.concurrency, rights.waiting)),
            threads: Arc::clone(&self.threads),
            counters,
            answer_bytes: rights.answer_bytes,
            model: model.to_owned(),
        })))
    }
}

/// What a component asks for and gives, whatever world it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Interfaces, in its own order.
    pub imports: Vec<String>,
    /// The same.
    pub exports: Vec<String>,
}

impl Processors {
    /// Compiles a component, and looks at what it asks for and gives.
    ///
    /// # Errors
    /// When it is no component.
    pub async fn survey(&self, wasm: Bytes) -> Result<Survey, ProcessorError> {
        let inner = Arc::clone(self.engine.inner());
        let survey = tokio::task::spawn_blocking(move || {
            let component = compile(&inner.engine, &wasm)?;
            let kind = component.component_type();
            let owned = |name: &str| name.to_owned();
            Ok(Survey {
                imports: kind
                    .imports(&inner.engine)
                    .map(|(name, _)| owned(name))
                    .collect(),
                exports: kind
                    .exports(&inner.engine)
                    .map(|(name, _)| owned(name))
                    .collect(),
            })
        });
        survey
            .await
            .map_err(|stopped| ProcessorError::Compile(stopped.to_string()))?
    }
}

fn check_rights(rights: &Rights, most: usize) -> Result<(), ProcessorError> {
    let problem = if rights.concurrency == 0 {
        Some("its concurrency is 0; expected at least 1".to_owned())
    } else if rights.memory < MIB || rights.memory > most {
        Some(format!(
            "its memory is {} bytes; expected 1 MiB to the {most} bytes that any processor may have",
            rights.memory
        ))
    } else if rights.time.is_zero() {
        Some("its time is 0; expected more".to_owned())
    } else {
        rights.grants.problem()
    };
    problem.map_or(Ok(()), |problem| Err(ProcessorError::Rights(problem)))
}

fn compile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Compiled, ProcessorError> {
    if wasm.starts_with(CORE_MODULE) {
        return Err(ProcessorError::CoreModule);
    }
    if !wasm.starts_with(MAGIC) {
        let beginning = &wasm[..wasm.len().min(8)];
        return Err(ProcessorError::NoWasm(beginning.escape_ascii().to_string()));
    }
    Compiled::from_binary(engine, wasm).map_err(|error| ProcessorError::Compile(problem(&error)))
}

/// What is wrong, in words that are not longer than anybody reads.
fn problem(error: &wasmtime::Error) -> String {
    let mut problem = format!("{error:#}");
    problem.truncate(problem.floor_char_boundary(MAX_PROBLEM));
    problem
}

fn exports(engine: &wasmtime::Engine, component: &Compiled) -> Result<Exports, ProcessorError> {
    let missing = |missing: &str| {
        let kind = component.component_type();
        let names: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
        ProcessorError::World {
            missing: missing.to_owned(),
            exports: if names.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            },
        }
    };
    let interface = component
        .get_export_index(None, INTERFACE)
        .ok_or_else(|| missing(INTERFACE))?;
    let function = |name: &str| {
        component
            .get_export_index(Some(&interface), name)
            .ok_or_else(|| missing(&format!("{INTERFACE}#{name}")))
    };
    Ok(Exports {
        describe: function("describe")?,
        preprocess: function("preprocess")?,
        postprocess: function("postprocess")?,
    })
}

/// Beside a model a processor that covers nothing is a mistake: it would never be asked.
fn some(covered: BTreeMap<String, Covered>) -> Result<BTreeMap<String, Covered>, String> {
    if covered.is_empty() {
        return Err(
            "it covers no signature, so that it would never be asked; expected one at least"
                .to_owned(),
        );
    }
    Ok(covered)
}

impl Component {
    /// Lets the processor say what it is to a version of its model, which is also its trial: an
    /// instance is made, and the types of all that it exports are looked at.
    ///
    /// # Errors
    /// When it cannot be started, refuses the version, or describes what cannot be.
    pub async fn attach(
        &self,
        id: &ServableId,
        signatures: &Signatures,
    ) -> Result<Processor, ProcessorError> {
        let cabin = Cabin::take(&self.0, Deadline::NEVER)
            .await
            .map_err(ProcessorError::Start)?;
        let subject = SubjectOut {
            model: id.name.clone(),
            version: id.version,
            signatures: signatures
                .iter()
                .map(|(name, signature)| NamedSignatureOut {
                    name: name.clone(),
                    signature: signature_out(signature, ShapeCheck::Lenient),
                })
                .collect(),
            properties: Vec::new(),
        };
        let mut cabin = cabin.start().await.map_err(ProcessorError::Start)?;
        cabin.check_types()?;
        let export = self.0.exports.describe;
        let (_cabin, described): (_, Result<DescribeIn, _>) =
            cabin.call(export, (subject,), 0).await;
        let descriptions = described
            .map_err(ProcessorError::Start)?
            .map_err(|error| ProcessorError::Refused(error_in(error)))?;
        let descriptions = descriptions.into_iter().map(description_in).collect();
        let covered = processing::covered(descriptions, signatures)
            .and_then(some)
            .map_err(ProcessorError::Description)?;
        Ok(Processor(Arc::new(Attached {
            component: self.clone(),
            id: id.clone(),
            covered,
        })))
    }

    /// How many requests are in it now, and how many wait.
    #[must_use]
    pub fn occupancy(&self) -> (usize, usize) {
        self.0.slots.occupancy()
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("model", &self.0.model)
            .finish_non_exhaustive()
    }
}

/// A processor of one version. Clones share it.
#[derive(Debug, Clone)]
pub struct Processor(Arc<Attached>);

#[derive(Debug)]
struct Attached {
    component: Component,
    id: ServableId,
    covered: BTreeMap<String, Covered>,
}

impl Processor {
    /// The content types of bodies that it takes for this signature: in lower case, `image/*` for
    /// all of a kind.
    #[must_use]
    pub fn content_types(&self, signature: &str) -> &[String] {
        let covered = self.0.covered.get(signature);
        covered.map_or(&[], |covered| &covered.content_types)
    }

    /// The file that it was made of.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.0.component
    }

    /// The signatures that it covers, as clients see them.
    #[must_use]
    pub fn signatures(&self) -> Signatures {
        let covered = self.0.covered.iter();
        covered
            .map(|(name, covered)| (name.clone(), covered.signature.clone()))
            .collect()
    }

    pub(crate) fn covered(&self) -> &BTreeMap<String, Covered> {
        &self.0.covered
    }

    pub(crate) fn id(&self) -> &ServableId {
        &self.0.id
    }

    pub(super) fn loaded(&self) -> &Arc<Loaded> {
        &self.0.component.0
    }

    /// An error of the processor's making, with its name.
    pub(crate) fn fault(&self, what: impl fmt::Display) -> Error {
        let ServableId { name, version } = &self.0.id;
        processing::fault(name, *version, what)
    }
}
