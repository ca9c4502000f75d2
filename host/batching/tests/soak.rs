//! Many requests of many shapes, urgencies and fates at once: each is answered once and rightly,
//! and nothing is left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorgate_batching::{Adaptive, Belt, BeltOptions, Lane, LaneOptions, Splitting};
use tensorgate_engine::fake::FakeModel;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_types::{
    DType, Deadline, Error, ErrorCode, Priority, Result, ServableId, Tensor, TensorData,
};

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let TensorData::Fixed(bytes) = tensor.data() else {
        panic!("strings");
    };
    let chunks = bytes.as_chunks::<4>().0.iter();
    chunks.map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

fn lanes(signatures: &tensorgate_types::Signatures) -> Vec<Arc<Lane>> {
    let options = [
        LaneOptions::default(),
        LaneOptions {
            max_batch_size: 8,
            max_enqueued_batches: 4,
            ..LaneOptions::default()
        },
        LaneOptions {
            max_batch_size: 16,
            batch_timeout: Duration::from_micros(200),
            allowed_batch_sizes: vec![4, 16],
            ..LaneOptions::default()
        },
        LaneOptions {
            splitting: Some(Splitting {
                max_execution_batch_size: 4,
            }),
            weight: 2.0,
            ..LaneOptions::default()
        },
        LaneOptions {
            adaptive: Some(Adaptive {
                latency_target: Duration::from_millis(20),
            }),
            ..LaneOptions::default()
        },
    ];
    let lane = |(number, options)| {
        let id = ServableId::new(format!("m{number}"), 1);
        Arc::new(Lane::new(id, signatures, options))
    };
    options.into_iter().enumerate().map(lane).collect()
}

/// A 13 fails its run, a 14 panics; everything else is doubled.
fn model() -> FakeModel {
    FakeModel::new().with_behaviour(|call| {
        let x = &call.inputs[0].1;
        let numbers = values(x);
        assert!(!numbers.contains(&14.0), "fourteen");
        if numbers.contains(&13.0) {
            return Err(Error::invalid_argument("thirteen"));
        }
        let doubled: Vec<f32> = numbers.iter().map(|x| 2.0 * x).collect();
        let y = Tensor::from_slice(DType::FLOAT, x.shape().to_vec(), &doubled)?;
        Ok(vec![("y".to_owned(), y)])
    })
}

/// A request, and what is in it.
fn request(numbers: &mut Numbers) -> (RunRequest, Vec<i64>, Vec<f32>) {
    let (rows, columns) = (1 + numbers.below(7), 1 + numbers.below(3));
    let shape = match numbers.below(20) {
        0 => vec![],
        _ => vec![rows as i64, columns as i64],
    };
    let count = shape.iter().product::<i64>() as usize;
    let mut x: Vec<f32> = (0..count)
        .map(|_| 100.0 + numbers.below(1000) as f32)
        .collect();
    match numbers.below(40) {
        0 => x[0] = 13.0,
        1 => x[count - 1] = 14.0,
        _ => {}
    }
    let tensor = Tensor::from_slice(DType::FLOAT, shape.clone(), &x)
        .expect("as many numbers as the shape says");
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), tensor)],
        outputs: Vec::new(),
    };
    let deadline = match numbers.below(10) {
        0 => Deadline::after(Duration::from_micros(numbers.below(2000))),
        _ => Deadline::NEVER,
    };
    (RunRequest::one(call, deadline), shape, x)
}

/// Whether an answer can be that of the request.
fn check(answer: Result<Vec<NamedTensors>>, shape: &[i64], x: &[f32], has_deadline: bool) {
    match answer {
        Ok(outputs) => {
            assert_eq!(outputs[0][0].1.shape(), shape);
            let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
            assert_eq!(values(&outputs[0][0].1), expected);
        }
        Err(error) => match error.code() {
            ErrorCode::InvalidArgument => assert!(x.contains(&13.0), "{error}"),
            ErrorCode::Internal => assert!(x.contains(&14.0), "{error}"),
            ErrorCode::DeadlineExceeded | ErrorCode::ResourceExhausted => {
                assert!(has_deadline, "{error}");
            }
            ErrorCode::Unavailable => {}
            _ => panic!("{error}"),
        },
    }
}

/// A client that asks this and that; gives how often it waited for the answer.
async fn client(
    seed: u64,
    belt: Arc<Belt<Arc<FakeModel>>>,
    lanes: Arc<Vec<Arc<Lane>>>,
    model: Arc<FakeModel>,
) -> usize {
    let mut numbers = Numbers(seed);
    let mut answered = 0;
    for _ in 0..400 {
        let lane = &lanes[numbers.below(lanes.len() as u64) as usize];
        let (request, shape, x) = request(&mut numbers);
        let has_deadline = request.deadline != Deadline::NEVER;
        let priority = Priority::ALL[numbers.below(3) as usize];
        let run = belt.run(lane, Arc::clone(&model), request, priority);
        if numbers.below(15) == 0 {
            // A caller that goes away, before or after its batch is cut.
            let patience = Duration::from_micros(numbers.below(500));
            let _gone = tokio::time::timeout(patience, run).await;
            continue;
        }
        answered += 1;
        check(run.await, &shape, &x, has_deadline);
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_answered_once_and_rightly() {
    let model = Arc::new(model());
    let lanes = Arc::new(lanes(model.signatures()));
    let options = BeltOptions {
        threads: 3,
        ..BeltOptions::default()
    };
    let belt = Arc::new(Belt::new(&options, ()).unwrap());
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (belt, lanes, model) = (Arc::clone(&belt), Arc::clone(&lanes), Arc::clone(&model));
        clients.spawn(client(number * 7919 + 1, belt, lanes, model));
    }
    let answered: usize = clients.join_all().await.into_iter().sum();
    assert!(answered > 5000, "{answered}");
    // Those whose callers had gone are taken out when their turn comes, and so are their handles.
    let patience = Instant::now() + Duration::from_secs(30);
    while Arc::strong_count(&model) > 1 && Instant::now() < patience {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&model), 1, "every handle was given back");
    let stats = belt.stats();
    assert_eq!((stats.queued, stats.running), (0, 0));
}
