//! The component's exports over [`Remote`].

use std::cell::RefCell;

use tensorgate_logic::Reply;
use tensorgate_types::{Error, Result};

use crate::bindings::exports::tensorgate::edge::models as edge;
use crate::bindings::exports::tensorgate::serving::{inference, runs};
use crate::bindings::tensorgate::serving::types;
use crate::convert;
use crate::models::{Call, Opened, Remote, Running};
use crate::wasi_world::{Sent, Wasi};

thread_local! {
    /// One for the instance, and so for the request.
    static REMOTE: Remote<Wasi> = Remote::new(Wasi);
}

/// What the component exports.
pub(crate) struct Component;

fn told<T>(result: Result<T>) -> Result<T, types::Error> {
    result.map_err(|error| convert::error_out(&error))
}

/// A handle of the WIT resource `model`, of `inference` or of `edge`.
pub(crate) struct Held(Opened);

fn open(spec: types::ModelSpec, bare: bool) -> Result<Held, types::Error> {
    let opened = REMOTE.with(|remote| remote.open(convert::spec(spec), bare));
    told(opened.map(Held))
}

fn status(name: &str, version: Option<i64>) -> Result<Vec<inference::VersionStatus>, types::Error> {
    let versions = REMOTE.with(|remote| remote.status(name, version));
    told(versions.map(|versions| versions.into_iter().map(convert::status_out).collect()))
}

impl Held {
    fn signature(&self, name: &str) -> Option<types::Signature> {
        let (signature, shapes) = self.0.signature(name)?;
        Some(convert::signature_out(signature, shapes))
    }

    fn definitions(&self) -> Vec<(String, Vec<u8>)> {
        let signatures = self.0.known.signatures.iter();
        signatures
            .map(|(name, known)| (name.clone(), known.definition.clone()))
            .collect()
    }
}

/// A run of a processor or a cascade: what it is for is nobody's business but theirs.
fn call(signature: String, inputs: Vec<types::NamedTensor>, outputs: Vec<String>) -> Result<Call> {
    Ok(Call {
        signature,
        api: "predict".to_owned(),
        accept: None,
        outputs,
        payload: Reply::Tensors(convert::tensors(inputs)?),
    })
}

fn only_tensors((_, reply): (i64, Reply)) -> Result<Vec<types::NamedTensor>> {
    match reply {
        Reply::Tensors(outputs) => Ok(convert::tensors_out(outputs)),
        Reply::Body { content_type, .. } => Err(Error::internal(format!(
            "the host answered tensors with a body of the type {content_type}"
        ))),
    }
}

impl inference::Guest for Component {
    type Model = Held;

    fn open(spec: types::ModelSpec) -> Result<inference::Model, types::Error> {
        open(spec, false).map(inference::Model::new)
    }

    fn status(
        name: String,
        version: Option<i64>,
    ) -> Result<Vec<inference::VersionStatus>, types::Error> {
        status(&name, version)
    }
}

impl inference::GuestModel for Held {
    fn version(&self) -> i64 {
        self.0.known.version
    }

    fn signature(&self, name: String) -> Option<types::Signature> {
        self.signature(&name)
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.definitions()
    }

    fn predict(
        &self,
        signature_name: String,
        inputs: Vec<types::NamedTensor>,
        outputs: Vec<String>,
    ) -> Result<Vec<types::NamedTensor>, types::Error> {
        let ran = REMOTE.with(|remote| {
            let call = call(signature_name, inputs, outputs)?;
            remote.run(&self.0, call)
        });
        told(ran.and_then(only_tensors))
    }
}

impl edge::Guest for Component {
    type Model = Held;

    fn open(spec: types::ModelSpec) -> Result<edge::Model, types::Error> {
        open(spec, false).map(edge::Model::new)
    }

    fn open_bare(spec: types::ModelSpec) -> Result<edge::Model, types::Error> {
        open(spec, true).map(edge::Model::new)
    }

    fn status(
        name: String,
        version: Option<i64>,
    ) -> Result<Vec<inference::VersionStatus>, types::Error> {
        status(&name, version)
    }
}

impl edge::GuestModel for Held {
    fn version(&self) -> i64 {
        self.0.known.version
    }

    fn signature(&self, name: String) -> Option<types::Signature> {
        self.signature(&name)
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.definitions()
    }

    fn covered(&self) -> Vec<edge::CoveredSignature> {
        let covered = self.0.known.covered.iter().filter(|_| !self.0.bare);
        covered.map(convert::covered_out).collect()
    }

    fn run(&self, call: edge::Call) -> Result<edge::Reply, types::Error> {
        let ran = REMOTE.with(|remote| remote.run(&self.0, convert::call(call)?));
        told(ran.map(convert::reply_out))
    }
}

/// A handle of the WIT resource `run`; empty once it was waited for.
pub(crate) struct HeldRun(RefCell<Option<Running<Sent>>>);

impl runs::GuestRun for HeldRun {
    fn wait(&self) -> Result<Vec<types::NamedTensor>, types::Error> {
        let running = self.0.borrow_mut().take();
        let running = running
            .ok_or_else(|| Error::failed_precondition("the run has given its outputs already"));
        let ran = running.and_then(|running| REMOTE.with(|remote| remote.wait(running)));
        told(ran.and_then(only_tensors))
    }
}

impl runs::Guest for Component {
    type Run = HeldRun;

    fn begin(
        model: inference::ModelBorrow<'_>,
        signature_name: String,
        inputs: Vec<types::NamedTensor>,
        outputs: Vec<String>,
    ) -> Result<runs::Run, types::Error> {
        let Held(opened) = model.get();
        let begun = REMOTE.with(|remote| {
            let call = call(signature_name, inputs, outputs)?;
            remote.begin(opened, call)
        });
        told(begun.map(|running| runs::Run::new(HeldRun(RefCell::new(Some(running))))))
    }

    fn mirror(
        _model: inference::ModelBorrow<'_>,
        _signature_name: String,
        _inputs: Vec<types::NamedTensor>,
    ) -> Result<(), types::Error> {
        // The instance ends with its request, and what it has not waited for ends with it: traffic
        // for nobody is the host's to make.
        told(Err(Error::unimplemented(
            "runs for nobody (`mirror`) are made by the host alone, not at the edge",
        )))
    }
}
