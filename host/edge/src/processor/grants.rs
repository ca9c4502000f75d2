//! The models that a processor may call: its own, and those that the operator names.
//!
//! **Invariant:** what it opens are models without their processors. A processor that calls its
//! own model does not come to itself again, and a request is never in more than one processor.

use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{
    Deadline, Error, ErrorCode, InputView, ModelSpec, ModelVersionStatus, Place, Result,
    ServableId, ShapeCheck, Signatures,
};

use crate::{BoxFuture, Call, Models, NamedTensors, OpenModel, Outcome, Telemetry, Work};

/// The models of the house, as one processor may see them.
pub(super) struct Granted {
    pub(super) models: Arc<dyn Models>,
    /// The model that the processor belongs to.
    pub(super) own: String,
    pub(super) others: Vec<String>,
}

impl Granted {
    fn check(&self, name: &str) -> Result<()> {
        if name == self.own || self.others.iter().any(|other| other == name) {
            return Ok(());
        }
        let own = &self.own;
        Err(Error::new(
            ErrorCode::PermissionDenied,
            format!(
                "the processor of model {own} may not call model {name}: it is not granted \
                 (grants.models in --processor_config_file)"
            ),
        ))
    }
}

impl Models for Granted {
    fn open(&self, spec: &ModelSpec, request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        self.check(&spec.name)?;
        Ok(Arc::new(Bare(self.models.open(spec, request_bytes)?)))
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        self.check(name)?;
        self.models.status(name, version)
    }

    fn for_request(&self, work: Work) -> Work {
        self.models.for_request(work)
    }

    fn for_nobody(&self, work: Work) -> Work {
        self.models.for_nobody(work)
    }
}

/// A model without its processor.
struct Bare(Arc<dyn OpenModel>);

impl OpenModel for Bare {
    fn id(&self) -> &ServableId {
        self.0.id()
    }

    fn signatures(&self) -> &Signatures {
        self.0.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.0.signature_defs()
    }

    fn shape_check(&self) -> ShapeCheck {
        self.0.shape_check()
    }

    fn places(&self, signature: &str, inputs: &[InputView<'_>]) -> Vec<Place> {
        self.0.places(signature, inputs)
    }

    fn run(
        &self,
        calls: Vec<Call>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>> {
        self.0.run(calls, deadline)
    }
}

/// A processor reports nothing: the gateway does, for both.
pub(super) struct Silent;

impl Telemetry for Silent {
    fn report(&self, _outcome: Outcome) {}
}
