//! What runs do, operation by operation, while somebody watches.
//!
//! A run that starts while a [`Tracer`] watches asks TensorFlow for the times of its operations,
//! and they are gathered here. A run of a model pays one atomic load for it while nobody watches.
//!
//! TensorFlow's software trace is asked for and not its full one: that takes a lock which one run
//! in the process can have, and TensorFlow fails the others. So what a GPU does is seen as the
//! time that the host spends on it.
//!
//! **Invariant:** what is gathered is bounded by [`MAX_OPERATIONS`]; what is left out is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;

/// Operations that are kept. A viewer is slow with more, and this is a few tens of megabytes.
const MAX_OPERATIONS: usize = 200_000;

/// The longest name that is kept of an operation or a device.
const MAX_NAME: usize = 512;

/// One operation of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedOperation {
    /// `/job:localhost/replica:0/task:0/device:CPU:0`
    pub device: Arc<str>,
    /// The thread that computed it, by TensorFlow's number.
    pub thread: u32,
    /// Its name in the graph, and what it is: `MatMul = MatMul(x, w)`.
    pub name: String,
    /// When it started, in nanoseconds since 1970.
    pub start_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// The operations, run by run.
    pub operations: Vec<TracedOperation>,
    /// How many runs were seen.
    pub runs: u64,
    /// How many operations there was no room for.
    pub left_out: u64,
}

/// Watches the runs of all models that were loaded with it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    watching: AtomicBool,
    trace: Mutex<Option<Trace>>,
}

impl Tracer {
    /// Watches from now on; `false` when somebody does already, and then nothing has changed.
    #[must_use]
    pub fn start(&self) -> bool {
        let mut trace = self.lock();
        if trace.is_some() {
            return false;
        }
        *trace = Some(Trace::default());
        self.shared.watching.store(true, Ordering::Relaxed);
        true
    }

    /// Watches no more, and gives what was seen. Runs that end later are not in it.
    #[must_use]
    pub fn stop(&self) -> Trace {
        let mut trace = self.lock();
        self.shared.watching.store(false, Ordering::Relaxed);
        trace.take().unwrap_or_default()
    }

    /// Whether a run that starts now should be seen.
    pub(crate) fn is_watching(&self) -> bool {
        self.shared.watching.load(Ordering::Relaxed)
    }

    /// Adds a run, from its serialized `tensorflow.RunMetadata`.
    pub(crate) fn add(&self, metadata: &[u8]) {
        // Before the lock: this takes as long as the run was large. What cannot be read is no
        // reason to fail a run that was a success.
        let Ok(metadata) = RunMetadata::decode(metadata) else {
            return;
        };
        let mut trace = self.lock();
        if let Some(trace) = &mut *trace {
            trace.add(metadata);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trace>> {
        let trace = &self.shared.trace;
        trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trace {
    fn add(&mut self, metadata: RunMetadata) {
        self.runs += 1;
        for device in metadata.step_stats.unwrap_or_default().devices {
            let name: Arc<str> = shortened(device.name).into();
            for node in device.nodes {
                if self.operations.len() == MAX_OPERATIONS {
                    self.left_out += 1;
                    continue;
                }
                let start = node.start_ns.saturating_add(node.op_start_ns);
                let label = if node.label.is_empty() {
                    node.name
                } else {
                    node.label
                };
                self.operations.push(TracedOperation {
                    device: Arc::clone(&name),
                    thread: node.thread,
                    name: shortened(label),
                    start_ns: u64::try_from(start).unwrap_or(0),
                    duration_ns: u64::try_from(node.op_end_ns - node.op_start_ns).unwrap_or(0),
                });
            }
        }
    }
}

fn shortened(mut name: String) -> String {
    if name.len() > MAX_NAME {
        name.truncate(name.floor_char_boundary(MAX_NAME));
    }
    name
}

/// Of a `tensorflow.RunMetadata`, what is read here.
#[derive(Clone, PartialEq, Message)]
struct RunMetadata {
    #[prost(message, optional, tag = "1")]
    step_stats: Option<StepStats>,
}

#[derive(Clone, PartialEq, Message)]
struct StepStats {
    #[prost(message, repeated, tag = "1")]
    devices: Vec<DeviceStats>,
}

#[derive(Clone, PartialEq, Message)]
struct DeviceStats {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    nodes: Vec<NodeStats>,
}

/// Times of a node: when it started, and the others relative to that.
#[derive(Clone, PartialEq, Message)]
struct NodeStats {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "8")]
    label: String,
    #[prost(uint32, tag = "10")]
    thread: u32,
    #[prost(int64, tag = "13")]
    start_ns: i64,
    #[prost(int64, tag = "14")]
    op_start_ns: i64,
    #[prost(int64, tag = "15")]
    op_end_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(nodes: usize) -> Vec<u8> {
        let node = NodeStats {
            name: "m".to_owned(),
            label: "m = MatMul(x, w)".to_owned(),
            thread: 7,
            start_ns: 1000,
            op_start_ns: 10,
            op_end_ns: 25,
        };
        let device = DeviceStats {
            name: "CPU:0".to_owned(),
            nodes: vec![node; nodes],
        };
        let step_stats = Some(StepStats {
            devices: vec![device],
        });
        RunMetadata { step_stats }.encode_to_vec()
    }

    #[test]
    fn only_what_ends_while_somebody_watches_is_seen() {
        let tracer = Tracer::default();
        tracer.add(&metadata(1));
        assert!(!tracer.is_watching());
        assert!(tracer.start());
        assert!(!tracer.start(), "one at a time");
        assert!(tracer.is_watching());
        tracer.add(&metadata(2));
        tracer.add(b"\xff");
        let trace = tracer.stop();
        assert_eq!((trace.runs, trace.operations.len()), (1, 2));
        let expected = TracedOperation {
            device: "CPU:0".into(),
            thread: 7,
            name: "m = MatMul(x, w)".to_owned(),
            start_ns: 1010,
            duration_ns: 15,
        };
        assert_eq!(trace.operations[1], expected);
        tracer.add(&metadata(1));
        assert!(tracer.start());
        assert_eq!(tracer.stop().runs, 0);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let tracer = Tracer::default();
        assert!(tracer.start());
        tracer.add(&metadata(MAX_OPERATIONS - 1));
        tracer.add(&metadata(3));
        let trace = tracer.stop();
        assert_eq!(trace.operations.len(), MAX_OPERATIONS);
        assert_eq!(trace.left_out, 2);
        assert_eq!(shortened("\u{e9}".repeat(300)).len(), MAX_NAME);
    }
}
