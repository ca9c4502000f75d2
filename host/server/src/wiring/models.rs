//! The models that a component may call: those on the shelf, run by the press.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tensorgate_core::{Manager, ServableHandle};
use tensorgate_edge::{BoxFuture, Models, NamedTensors, OpenModel, Processor, Work, own_places};
use tensorgate_types::{
    Deadline, Error, ErrorCode, InputView, ModelSpec, ModelVersionStatus, Place, Result,
    ServableId, ShapeCheck, Signatures,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::press::{Press, Servable};
use super::telemetry;
use crate::options::{ModelLimits, StrictShapes};

/// What a request is told that is longer than its model takes.
pub(crate) fn too_long_for(model: &str, most: usize) -> String {
    format!("Model {model} takes requests of at most {most} bytes (--model_limits)")
}

/// Opens models of a manager and runs them.
pub(crate) struct Shelf<P> {
    manager: Manager<P>,
    press: Press,
    strict_shapes: StrictShapes,
    limits: ModelLimits,
    /// Places in models whose number is limited; at most one entry per model that was ever
    /// served. Held only to find one.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl<P> Shelf<P> {
    pub(crate) fn new(
        manager: Manager<P>,
        press: Press,
        strict_shapes: StrictShapes,
        limits: ModelLimits,
    ) -> Self {
        Self {
            manager,
            press,
            strict_shapes,
            limits,
            places: Mutex::default(),
        }
    }

    /// A place in the model for one request, where their number is limited.
    fn enter(&self, model: &str) -> Result<Option<OwnedSemaphorePermit>> {
        let Some(most) = self.limits.of(model).concurrency else {
            return Ok(None);
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places
            .entry(model.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(Error::new(
                ErrorCode::ResourceExhausted,
                format!(
                    "Model {model} is busy: it takes {most} requests at a time (--model_limits)"
                ),
            )),
        }
    }
}

impl<P> fmt::Debug for Shelf<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl<P: Servable> Models for Shelf<P> {
    fn open(&self, spec: &ModelSpec, request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        let handle = self.manager.lookup(spec)?;
        // Bodies over REST are bounded at the door, before they are read; for messages of gRPC
        // only the component knows the model.
        if let Some(most) = self.limits.of(&spec.name).body_bytes
            && request_bytes > most
        {
            return Err(Error::resource_exhausted(too_long_for(&spec.name, most)));
        }
        // After the lookup: only names of models that exist are remembered.
        let place = self.enter(&spec.name)?;
        let shape_check = if self.strict_shapes.contains(&spec.name) {
            ShapeCheck::Strict
        } else {
            ShapeCheck::Lenient
        };
        Ok(Arc::new(Pinned {
            handle,
            press: self.press.clone(),
            shape_check,
            _place: place,
        }))
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        self.manager.status(name, version)
    }

    fn for_request(&self, work: Work) -> Work {
        telemetry::for_request(work)
    }

    fn for_nobody(&self, work: Work) -> Work {
        telemetry::for_nobody(work)
    }
}

/// One version, held for one request.
struct Pinned<P> {
    handle: ServableHandle<P>,
    press: Press,
    shape_check: ShapeCheck,
    /// Given back when the request is over.
    _place: Option<OwnedSemaphorePermit>,
}

impl<P: Servable> OpenModel for Pinned<P> {
    fn id(&self) -> &ServableId {
        self.handle.id()
    }

    fn signatures(&self) -> &Signatures {
        self.handle.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.handle.signature_defs()
    }

    fn shape_check(&self) -> ShapeCheck {
        self.shape_check
    }

    fn processor(&self) -> Option<Processor> {
        self.handle.processor()
    }

    fn places(&self, signature: &str, inputs: &[InputView<'_>]) -> Vec<Place> {
        let beside_others = self.press.places(&*self.handle, signature, inputs);
        beside_others.unwrap_or_else(|| own_places(inputs))
    }

    fn run(
        &self,
        calls: Vec<tensorgate_edge::Call>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>> {
        // A handle of its own: the run may outlive the request that asked for it.
        self.press.run(self.handle.clone(), calls, deadline)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tensorgate_batching::Lane;
    use tensorgate_core::{AspiredVersion, AspiredVersions, ManagerOptions, ServableFactory};
    use tensorgate_engine::fake::FakeModel;
    use tensorgate_engine::{RunPool, RunPoolOptions};
    use tensorgate_types::{DType, Tensor, TensorData, VersionChoice};

    use super::*;

    impl Servable for FakeModel {
        fn lane(&self) -> Option<&Arc<Lane>> {
            None
        }
    }

    struct Fakes;

    impl ServableFactory for Fakes {
        type Servable = FakeModel;

        fn load(&self, _id: &ServableId, _path: &Path) -> Result<FakeModel, Error> {
            Ok(FakeModel::new())
        }
    }

    #[tokio::test]
    async fn opens_what_is_on_the_shelf_and_runs_it_on_the_press() {
        let manager = Manager::spawn(&ManagerOptions::default(), Fakes).unwrap();
        manager.add_models(vec!["m".to_owned()]).await;
        let versions = vec![AspiredVersion {
            version: 7,
            path: PathBuf::new(),
        }];
        let name = "m".to_owned();
        let aspired = AspiredVersions { name, versions };
        manager.aspirations().aspire(aspired).await;
        manager.wait_until_settled(&["m"]).await;
        let pool = RunPool::new(RunPoolOptions::default()).unwrap();
        let limits = ModelLimits::parse("m:concurrency=1:body_bytes=10").unwrap();
        let press = Press::new(Arc::new(pool), None);
        let shelf = Shelf::new(manager, press, StrictShapes::parse("m"), limits);

        let spec = |name: &str| ModelSpec {
            name: name.to_owned(),
            version: VersionChoice::Latest,
        };
        let missing = shelf
            .open(&spec("other"), 0)
            .err()
            .map(|error| error.code());
        assert_eq!(missing, Some(ErrorCode::NotFound));
        let long = shelf
            .open(&spec("m"), 11)
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            long.as_deref(),
            Some("RESOURCE_EXHAUSTED: Model m takes requests of at most 10 bytes (--model_limits)")
        );
        let model = shelf.open(&spec("m"), 10).unwrap();
        assert_eq!(model.id(), &ServableId::new("m", 7));
        assert_eq!(model.shape_check(), ShapeCheck::Strict);
        let busy = shelf
            .open(&spec("m"), 0)
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            busy.as_deref(),
            Some(
                "RESOURCE_EXHAUSTED: Model m is busy: it takes 1 requests at a time \
                 (--model_limits)"
            )
        );
        let x = Tensor::from_slice(DType::FLOAT, vec![1], &[2.0f32]).unwrap();
        let call = tensorgate_edge::Call {
            signature: "serving_default".to_owned(),
            inputs: vec![("x".to_owned(), x)],
            outputs: Vec::new(),
        };
        let outputs = model
            .run(vec![call.clone(), call], Deadline::NEVER)
            .await
            .unwrap();
        assert_eq!(outputs.len(), 2);
        let TensorData::Fixed(bytes) = outputs[1][0].1.data() else {
            panic!("floats are of a fixed size");
        };
        assert_eq!(bytes.as_ref(), 3.0f32.to_le_bytes());
    }
}
