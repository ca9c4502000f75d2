//! A version of a model with a measure round its runs: what the shelf holds.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tensorgate_batching::Lane;
use tensorgate_edge::Processor;
use tensorgate_engine::{NamedTensors, Predictor, RunRequest};
use tensorgate_types::{Result, Signatures, Tensor, TensorData};

use crate::metrics::Metrics;

use super::Seat;
use super::press::Servable;

/// A loaded version. Clones share it; the last one that goes unloads it.
#[derive(Clone)]
pub(crate) struct MeasuredModel {
    model: Arc<dyn Predictor>,
    /// None when its runs are none of TensorFlow's.
    metrics: Option<Arc<Metrics>>,
    /// None when its requests are run one by one.
    lane: Option<Arc<Lane>>,
    /// What runs it on all workers that have it, where it is on workers.
    everywhere: Option<Arc<dyn Predictor>>,
    /// None where nothing can stand before it, as in tests.
    seat: Option<Arc<Seat>>,
}

impl MeasuredModel {
    pub(crate) fn new(model: impl Predictor, metrics: Option<Arc<Metrics>>) -> Self {
        Self {
            model: Arc::new(model),
            metrics,
            lane: None,
            everywhere: None,
            seat: None,
        }
    }

    /// The same, with its requests batched.
    pub(crate) fn with_lane(self, lane: Option<Arc<Lane>>) -> Self {
        Self { lane, ..self }
    }

    /// The same, with something that runs it on all workers that have it.
    pub(crate) fn with_everywhere(self, everywhere: Option<Arc<dyn Predictor>>) -> Self {
        Self { everywhere, ..self }
    }

    /// The same, with a place for its team's processor before it.
    pub(crate) fn with_seat(self, seat: Arc<Seat>) -> Self {
        let seat = Some(seat);
        Self { seat, ..self }
    }

    /// The same for a warm-up: each run is made on all workers that have it.
    pub(crate) fn warming(&self) -> Self {
        let mut warming = self.clone();
        if let Some(everywhere) = &self.everywhere {
            warming.model = Arc::clone(everywhere);
        }
        warming
    }
}

impl Servable for MeasuredModel {
    fn lane(&self) -> Option<&Arc<Lane>> {
        self.lane.as_ref()
    }

    fn processor(&self) -> Option<Processor> {
        self.seat.as_ref()?.processor()
    }
}

impl Predictor for MeasuredModel {
    fn signatures(&self) -> &Signatures {
        self.model.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.model.signature_defs()
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.measured(request, || self.model.run(request))
    }

    fn run_once(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.measured(request, || self.model.run_once(request))
    }
}

impl MeasuredModel {
    fn measured(
        &self,
        request: &RunRequest,
        run: impl FnOnce() -> Result<Vec<NamedTensors>>,
    ) -> Result<Vec<NamedTensors>> {
        let Some(metrics) = &self.metrics else {
            return run();
        };
        let start = Instant::now();
        let result = run();
        let took = start.elapsed();
        let fed = request
            .calls
            .iter()
            .map(|call| bytes_of(&call.inputs))
            .sum();
        let given = result
            .as_ref()
            .ok()
            .map(|outputs| outputs.iter().map(bytes_of).sum());
        metrics.runs.record(took, fed, given);
        result
    }
}

fn bytes_of(tensors: &NamedTensors) -> u64 {
    let of = |tensor: &Tensor| match tensor.data() {
        TensorData::Fixed(bytes) => bytes.len(),
        TensorData::Strings(strings) => strings.bytes().len(),
    };
    tensors.iter().map(|(_, tensor)| of(tensor) as u64).sum()
}

impl fmt::Debug for MeasuredModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasuredModel").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_engine::Call;
    use tensorgate_engine::fake::FakeModel;
    use tensorgate_types::{DType, Deadline, Error};

    use super::*;

    #[test]
    fn runs_are_counted_with_their_bytes() {
        let metrics = Metrics::new();
        let model = FakeModel::new().with_behaviour(|call| match call.signature.as_str() {
            "echo" => Ok(call.inputs.clone()),
            _ => Err(Error::internal("broken")),
        });
        let model = MeasuredModel::new(model, Some(Arc::clone(&metrics)));
        let run = |signature: &str| {
            let x = Tensor::from_slice(DType::FLOAT, vec![2], &[2.0f32, 4.0]).unwrap();
            let call = Call {
                signature: signature.to_owned(),
                inputs: vec![("x".to_owned(), x)],
                outputs: Vec::new(),
            };
            model.run(&RunRequest::one(call, Deadline::NEVER))
        };
        assert!(run("echo").is_ok());
        assert!(run("broken").is_err());
        let value = |name| metrics.value_of_first_cell(name);
        assert_eq!(value("/tensorflow/core/graph_runs"), Some(1));
        let page = crate::metrics::page_of(&metrics);
        for line in [
            ":tensorflow:core:graph_run_input_tensor_bytes_sum{} 16\n",
            ":tensorflow:core:graph_run_output_tensor_bytes_count{} 1\n",
            ":tensorflow:core:graph_run_time_usecs_histogram_count{} 1\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }
}
