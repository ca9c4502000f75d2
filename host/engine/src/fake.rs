//! A model that does what a test says, for everybody who stands on the seam to a runtime.
//!
//! Without further words it computes `y = 0.5 x + 2`, as the field's test model does, so that a
//! whole server can be tried without TensorFlow. A test can give it another behaviour, and hold
//! its runs at a [`Gate`], so that "while a run is under way" is a fact and not a matter of luck.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tensorgate_types::{
    DEFAULT_SIGNATURE, DType, Error, PREDICT_METHOD, Result, Signature, Signatures, Tensor,
    TensorData, TensorInfo,
};

use crate::{Call, NamedTensors, Predictor, RunRequest};

type Behaviour = Box<dyn Fn(&Call) -> Result<NamedTensors> + Send + Sync>;

/// A model without a runtime.
pub struct FakeModel {
    signatures: Signatures,
    signature_defs: Vec<(String, Bytes)>,
    behaviour: Behaviour,
    gate: Option<Gate>,
}

impl Default for FakeModel {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeModel {
    /// `serving_default`: a float `x` of any length in, `y = 0.5 x + 2` out.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signatures: half_plus_two_signatures(),
            signature_defs: Vec::new(),
            behaviour: Box::new(half_plus_two),
            gate: None,
        }
    }

    /// Other signatures, with their serialized definitions.
    #[must_use]
    pub fn with_signatures(mut self, signatures: Signatures, defs: Vec<(String, Bytes)>) -> Self {
        self.signatures = signatures;
        self.signature_defs = defs;
        self
    }

    /// Another behaviour, for each call: outputs, an error, a panic.
    #[must_use]
    pub fn with_behaviour(
        mut self,
        behaviour: impl Fn(&Call) -> Result<NamedTensors> + Send + Sync + 'static,
    ) -> Self {
        self.behaviour = Box::new(behaviour);
        self
    }

    /// Every run stops at `gate` before it does anything.
    #[must_use]
    pub fn with_gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

impl Predictor for FakeModel {
    fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &self.signature_defs
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        request
            .calls
            .iter()
            .map(|call| (self.behaviour)(call))
            .collect()
    }
}

impl std::fmt::Debug for FakeModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeModel")
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}

fn half_plus_two_signatures() -> Signatures {
    let info = |name: &str| TensorInfo {
        tensor_name: format!("{name}:0"),
        dtype: DType::FLOAT,
        shape: None,
        optional: false,
    };
    let signature = Signature {
        method_name: PREDICT_METHOD.to_owned(),
        inputs: [("x".to_owned(), info("x"))].into(),
        outputs: [("y".to_owned(), info("y"))].into(),
    };
    [(DEFAULT_SIGNATURE.to_owned(), signature)].into()
}

fn half_plus_two(call: &Call) -> Result<NamedTensors> {
    let Some((_, x)) = call.inputs.iter().find(|(name, _)| name == "x") else {
        return Err(Error::invalid_argument("the fake model wants an input x"));
    };
    let TensorData::Fixed(bytes) = x.data() else {
        return Err(Error::invalid_argument("the fake model wants floats"));
    };
    let y: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|x| 0.5 * f32::from_le_bytes(*x) + 2.0)
        .collect();
    let y = Tensor::from_slice(DType::FLOAT, x.shape().to_vec(), &y)?;
    Ok(vec![("y".to_owned(), y)])
}

/// Where runs wait until the test lets them go. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    inner: Arc<GateInner>,
}

#[derive(Debug, Default)]
struct GateInner {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    arrived: usize,
    allowed: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `runs` more runs go.
    pub fn allow(&self, runs: usize) {
        let mut state = self.lock();
        state.allowed = state.allowed.saturating_add(runs);
        drop(state);
        self.inner.changed.notify_all();
    }

    /// Lets every run go, now and later.
    pub fn open(&self) {
        self.allow(usize::MAX);
    }

    /// Blocks the test's thread until `runs` runs in all have come to the gate.
    pub fn wait_for_arrivals(&self, runs: usize) {
        let state = self.lock();
        let _state = self
            .inner
            .changed
            .wait_while(state, |state| state.arrived < runs)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// How many runs have come to the gate.
    #[must_use]
    pub fn arrivals(&self) -> usize {
        self.lock().arrived
    }

    fn pass(&self) {
        let mut state = self.lock();
        state.arrived += 1;
        self.inner.changed.notify_all();
        let mut state = self
            .inner
            .changed
            .wait_while(state, |state| state.allowed == 0)
            .unwrap_or_else(PoisonError::into_inner);
        // An open gate stays open.
        if state.allowed != usize::MAX {
            state.allowed -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
