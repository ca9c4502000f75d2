//! What can be set: of the belt as a whole, and of one version's lane.

use std::time::Duration;

/// The belt's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeltOptions {
    /// Batches that run at once; each is one thread. At least 1.
    pub threads: usize,
    /// How the threads are called; a number is appended.
    pub thread_name: String,
    /// How many requests that cannot be batched may wait in each lane.
    pub alone_queue: usize,
}

impl Default for BeltOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            thread_name: "tg-batch".to_owned(),
            alone_queue: 1024,
        }
    }
}

/// How one version's requests are batched. The names are those of TensorFlow Serving's
/// `BatchingParameters`, and so are the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneOptions {
    /// Rows of a batch, and the most rows that one request may have; in the adaptive mode one
    /// with more is run by itself.
    pub max_batch_size: usize,
    /// How long a request may wait for others while a thread is idle.
    pub batch_timeout: Duration,
    /// How many full batches' worth of rows may wait in each queue; at least 1.
    pub max_enqueued_batches: usize,
    /// Batches are padded to the smallest of these that holds them. Ascending; may be empty.
    pub allowed_batch_sizes: Vec<usize>,
    /// Whether tensors that differ in dimensions behind the first ride together, padded with
    /// their own first element to the longest.
    pub pad_variable_length_inputs: bool,
    /// Whether a request may be spread over several batches.
    pub splitting: Option<Splitting>,
    /// The model's share of the threads when there are not enough, relative to the other models'.
    /// Above 0.
    pub weight: f64,
    /// Finds batch size, waiting time and runs at once by itself.
    pub adaptive: Option<Adaptive>,
}

/// Large requests are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splitting {
    /// Rows of a batch; `max_batch_size` then only bounds a request.
    pub max_execution_batch_size: usize,
}

/// What the adaptive mode aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptive {
    /// The longest time from arrival to answer that is acceptable.
    pub latency_target: Duration,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self {
            max_batch_size: 1000,
            batch_timeout: Duration::ZERO,
            max_enqueued_batches: 10,
            allowed_batch_sizes: Vec::new(),
            pad_variable_length_inputs: false,
            splitting: None,
            weight: 1.0,
            adaptive: None,
        }
    }
}

impl LaneOptions {
    /// Rows of a batch at most.
    #[must_use]
    pub fn execution_batch_size(&self) -> usize {
        self.splitting
            .map_or(self.max_batch_size, |splitting| {
                splitting.max_execution_batch_size
            })
            .max(1)
    }

    /// The number of rows that a batch of `rows` is padded to.
    pub(crate) fn padded(&self, rows: usize) -> usize {
        let sizes = self.allowed_batch_sizes.iter();
        // Larger than every allowed size: it runs as it is.
        sizes.copied().find(|size| *size >= rows).unwrap_or(rows)
    }
}
