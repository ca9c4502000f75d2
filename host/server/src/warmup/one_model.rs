//! The models that a warm-up may call: one, by any name.

use std::sync::Arc;

use bytes::Bytes;
use tensorgate_edge::{BoxFuture, Call, Models, NamedTensors, OpenModel, Processor};
use tensorgate_engine::Predictor as _;
use tensorgate_types::{
    Deadline, Error, ModelSpec, ModelVersionStatus, Result, ServableId, ShapeCheck, Signatures,
};

use crate::wiring::{MeasuredModel, Press, Servable as _};

/// A version that nobody else can see yet.
#[derive(Clone)]
pub(super) struct OneModel {
    id: ServableId,
    model: Arc<MeasuredModel>,
    press: Press,
}

impl OneModel {
    pub(super) fn new(id: ServableId, model: Arc<MeasuredModel>, press: Press) -> Self {
        Self { id, model, press }
    }
}

impl Models for OneModel {
    /// The name and the version that a record was made with say nothing: it may have been
    /// recorded with another version, and copied from one to the next.
    fn open(&self, _spec: &ModelSpec, _request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        Ok(Arc::new(self.clone()))
    }

    fn status(&self, _name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        Err(Error::unimplemented(
            "a model is warmed up with inference only",
        ))
    }
}

impl OpenModel for OneModel {
    fn id(&self) -> &ServableId {
        &self.id
    }

    fn signatures(&self) -> &Signatures {
        self.model.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.model.signature_defs()
    }

    fn shape_check(&self) -> ShapeCheck {
        ShapeCheck::Lenient
    }

    fn processor(&self) -> Option<Processor> {
        self.model.processor()
    }

    fn run(
        &self,
        calls: Vec<Call>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>> {
        self.press.run(Arc::clone(&self.model), calls, deadline)
    }
}
