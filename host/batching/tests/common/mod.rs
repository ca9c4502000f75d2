//! A belt with one thread and a fake model, held at a gate.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tensorgate_batching::{Belt, BeltOptions, BeltStats, Lane, LaneOptions};
use tensorgate_engine::fake::{FakeModel, Gate};
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_types::{
    DType, Deadline, Error, ErrorCode, Priority, Result, ServableId, Tensor, TensorData,
};
use tokio::task::JoinHandle;

pub(crate) type Model = Arc<FakeModel>;

/// One thread, one model, one lane.
pub(crate) struct House {
    pub(crate) belt: Arc<Belt<Model>>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) model: Model,
    pub(crate) gate: Gate,
    /// Rows and first value of each run.
    seen: Arc<Mutex<Vec<(usize, f32)>>>,
}

/// An answer to come.
pub(crate) struct Answer(JoinHandle<Result<Vec<NamedTensors>>>);

impl Answer {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl Future for Answer {
    type Output = Result<Vec<NamedTensors>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| {
            joined.unwrap_or_else(|_aborted| Err(Error::new(ErrorCode::Cancelled, "aborted")))
        })
    }
}

impl House {
    pub(crate) fn new(options: LaneOptions) -> Self {
        Self::with_behaviour(options, half_plus_two)
    }

    pub(crate) fn with_behaviour(
        options: LaneOptions,
        behaviour: impl Fn(&Call) -> Result<NamedTensors> + Send + Sync + 'static,
    ) -> Self {
        let gate = Gate::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let model = FakeModel::new()
            .with_gate(&gate)
            .with_behaviour(move |call| {
                log.lock().unwrap().push(first(call));
                behaviour(call)
            });
        let lane = Lane::new(ServableId::new("heavy", 1), model.signatures(), options);
        let options = BeltOptions {
            threads: 1,
            ..BeltOptions::default()
        };
        Self {
            belt: Arc::new(Belt::new(&options, ()).unwrap()),
            lane: Arc::new(lane),
            model: Arc::new(model),
            gate,
            seen,
        }
    }

    pub(crate) fn other_lane(&self, name: &str, options: LaneOptions) -> Arc<Lane> {
        let id = ServableId::new(name, 1);
        Arc::new(Lane::new(id, self.model.signatures(), options))
    }

    pub(crate) fn send(&self, call: Call) -> Answer {
        self.send_with(call, Deadline::NEVER, Priority::Normal)
    }

    pub(crate) fn send_until(&self, call: Call, deadline: Deadline) -> Answer {
        self.send_with(call, deadline, Priority::Normal)
    }

    pub(crate) fn send_with(&self, call: Call, deadline: Deadline, priority: Priority) -> Answer {
        self.start(&self.lane, call, deadline, priority)
    }

    pub(crate) fn send_on(&self, lane: &Arc<Lane>, call: Call) -> Answer {
        self.start(lane, call, Deadline::NEVER, Priority::Normal)
    }

    fn start(
        &self,
        lane: &Arc<Lane>,
        call: Call,
        deadline: Deadline,
        priority: Priority,
    ) -> Answer {
        let (belt, lane, model) = (
            Arc::clone(&self.belt),
            Arc::clone(lane),
            Arc::clone(&self.model),
        );
        let request = RunRequest::one(call, deadline);
        Answer(tokio::spawn(async move {
            belt.run(&lane, model, request, priority).await
        }))
    }

    /// Sends a request of one row that stops the thread at the gate. Nobody hears its answer.
    pub(crate) async fn hold(&self) {
        drop(self.send(call(&[-1.0])));
        self.until_held().await;
    }

    /// Until a run has come to the gate.
    pub(crate) async fn until_held(&self) {
        while self.gate.arrivals() == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn until_queued(&self, requests: usize) {
        self.until(|stats| stats.queued == requests).await;
    }

    pub(crate) async fn until(&self, condition: impl Fn(&BeltStats) -> bool) {
        while !condition(&self.belt.stats()) {
            tokio::task::yield_now().await;
        }
    }

    /// Rows of each run.
    pub(crate) fn runs(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(|run| run.0).collect()
    }

    /// The first value of each run.
    pub(crate) fn first_values(&self) -> Vec<f32> {
        self.seen.lock().unwrap().iter().map(|run| run.1).collect()
    }
}

fn first(call: &Call) -> (usize, f32) {
    let Some((_, tensor)) = call.inputs.first() else {
        return (0, 0.0);
    };
    let rows = tensor.shape().first().map_or(0, |rows| *rows as usize);
    let first = match tensor.data() {
        TensorData::Fixed(_) => values(tensor).first().copied(),
        TensorData::Strings(_) => None,
    };
    (rows, first.unwrap_or_default())
}

pub(crate) fn tensor(shape: &[i64], values: &[f32]) -> Tensor {
    Tensor::from_slice(DType::FLOAT, shape.to_vec(), values).unwrap()
}

fn call_of(tensor: Tensor) -> Call {
    Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), tensor)],
        outputs: Vec::new(),
    }
}

/// As many rows as values.
pub(crate) fn call(values: &[f32]) -> Call {
    call_of(tensor(&[values.len() as i64], values))
}

pub(crate) fn ones(shape: &[i64]) -> Call {
    let elements = shape.iter().product::<i64>() as usize;
    call_of(tensor(shape, &vec![1.0; elements]))
}

pub(crate) fn texts(texts: &[&str]) -> Call {
    let shape = vec![texts.len() as i64];
    call_of(Tensor::strings(shape, texts.iter().collect()).unwrap())
}

pub(crate) fn half_plus_two(call: &Call) -> Result<NamedTensors> {
    let x = &call.inputs[0].1;
    let y: Vec<f32> = values(x).iter().map(|x| 0.5 * x + 2.0).collect();
    Ok(vec![("y".to_owned(), tensor(x.shape(), &y))])
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    let TensorData::Fixed(bytes) = tensor.data() else {
        panic!("strings");
    };
    let chunks = bytes.as_chunks::<4>().0.iter();
    chunks.map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

pub(crate) fn floats(outputs: &[NamedTensors]) -> Vec<f32> {
    values(&outputs[0][0].1)
}

pub(crate) fn words(outputs: &[NamedTensors]) -> Vec<String> {
    let TensorData::Strings(data) = outputs[0][0].1.data() else {
        panic!("numbers");
    };
    let strings = data.iter();
    strings
        .map(|string| String::from_utf8(string.to_vec()).unwrap())
        .collect()
}
