//! Where runs are made: on the belt, together with others, where a version is batched; else one
//! by one on the run threads.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tensorgate_batching::{Belt, BeltStats, Lane};
use tensorgate_edge::{BoxFuture, Processor};
use tensorgate_engine::{Call, NamedTensors, Predictor, RunPool, RunRequest};
use tensorgate_types::{Deadline, InputView, Place, Result, Signatures};

use super::telemetry::{in_model, priority};

/// A version that may be batched.
pub(crate) trait Servable: Predictor {
    /// Where its requests wait for others; none where it is not batched.
    fn lane(&self) -> Option<&Arc<Lane>>;

    /// What stands before it, where its team has given it a processor.
    fn processor(&self) -> Option<Processor> {
        None
    }
}

/// What rides: any handle to any version.
pub(crate) type Rider = Arc<dyn Predictor>;

/// Runs models. Clones share it.
#[derive(Clone)]
pub(crate) struct Press {
    pool: Arc<RunPool>,
    /// None where nothing is batched.
    belt: Option<Arc<Belt<Rider>>>,
}

impl Press {
    pub(crate) fn new(pool: Arc<RunPool>, belt: Option<Arc<Belt<Rider>>>) -> Self {
        Self { pool, belt }
    }

    /// Runs what the sandbox has checked, and notes for its request how long that was.
    pub(crate) fn run<H>(
        &self,
        model: H,
        calls: Vec<tensorgate_edge::Call>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>>
    where
        H: Deref<Target: Servable> + Send + Sync + 'static,
    {
        let calls = calls.into_iter().map(|call| Call {
            signature: call.signature,
            inputs: call.inputs,
            outputs: call.outputs,
        });
        let request = RunRequest {
            calls: calls.collect(),
            deadline,
        };
        if let Some(belt) = &self.belt
            && let Some(lane) = model.lane()
        {
            let lane = Arc::clone(lane);
            let rider: Rider = Arc::new(Held(model));
            return Box::pin(in_model(async move {
                belt.run(&lane, rider, request, priority()).await
            }));
        }
        Box::pin(in_model(self.pool.run(model, request)))
    }

    /// Places for inputs of a request that is about to come; none where they are nobody's affair.
    pub(crate) fn places(
        &self,
        model: &impl Servable,
        signature: &str,
        inputs: &[InputView<'_>],
    ) -> Option<Vec<Place>> {
        let lane = self.belt.as_ref().and(model.lane())?;
        Some(lane.places(signature, inputs))
    }

    /// From now on no request waits for others to ride with.
    pub(crate) fn hurry(&self) {
        if let Some(belt) = &self.belt {
            belt.hurry();
        }
    }

    /// Reads what the belt has done, for as long as there is one. Keeps nothing alive.
    pub(crate) fn belt_reader(&self) -> impl Fn() -> BeltStats + Clone + Send + Sync + 'static {
        let belt = self.belt.as_ref().map(Arc::downgrade);
        move || {
            let belt = belt.as_ref().and_then(Weak::upgrade);
            belt.map(|belt| belt.stats()).unwrap_or_default()
        }
    }
}

impl fmt::Debug for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Press")
            .field("pool", &self.pool)
            .field("belt", &self.belt)
            .finish()
    }
}

/// A handle as the version that it holds.
struct Held<H>(H);

impl<H> Predictor for Held<H>
where
    H: Deref<Target: Servable> + Send + Sync + 'static,
{
    fn signatures(&self) -> &Signatures {
        self.0.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.0.signature_defs()
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.0.run(request)
    }

    fn run_once(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.0.run_once(request)
    }
}
