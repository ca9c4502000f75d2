//! The thread that writes: collects records, and brings them to the disk when they are many, or
//! when a second has passed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tensorgate_edge::LogEntry;

use super::ModelLog;
use crate::metrics::Metrics;
use crate::records::{Metadata, append_record, encode_log};

/// How long a record waits for the disk at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records of one log that are collected before they are written.
const COLLECTED: usize = 1 << 20;

/// What the writer is asked to do.
pub(super) enum Job {
    Write {
        log: Arc<ModelLog>,
        entry: LogEntry,
        /// Bytes that are counted as queued for it.
        size: usize,
    },
    Close,
}

pub(super) struct Writer {
    queue: Receiver<Job>,
    tags: Vec<String>,
    queued_bytes: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    complaints: Seldom,
    /// Logs with records that are not written yet: a few, as many as there are models.
    pending: Vec<Pending>,
}

struct Pending {
    log: Arc<ModelLog>,
    bytes: Vec<u8>,
    records: u64,
}

impl Writer {
    pub(super) fn new(
        queue: Receiver<Job>,
        tags: Vec<String>,
        queued_bytes: Arc<AtomicUsize>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            queue,
            tags,
            queued_bytes,
            metrics,
            complaints: Seldom::default(),
            pending: Vec::new(),
        }
    }

    /// Writes until it is told to end, or nobody is left who could tell it.
    pub(super) fn run(mut self) {
        let mut flush_at: Option<Instant> = None;
        loop {
            let job = match flush_at {
                None => self.queue.recv().map_err(RecvTimeoutError::from),
                Some(at) => {
                    let wait: Duration = at.saturating_duration_since(Instant::now());
                    self.queue.recv_timeout(wait)
                }
            };
            match job {
                Ok(Job::Write { log, entry, size }) => {
                    self.collect(log, &entry);
                    drop(entry);
                    self.queued_bytes.fetch_sub(size, Ordering::Relaxed);
                    flush_at = flush_at.or_else(|| Some(Instant::now() + PATIENCE));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => {
                    return self.flush();
                }
            }
            if flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush();
                flush_at = None;
            }
        }
    }

    fn collect(&mut self, log: Arc<ModelLog>, entry: &LogEntry) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let metadata = Metadata {
            model: &log.model,
            version: entry.version,
            signature: &entry.signature_name,
            sampling_rate: log.sampling_rate,
            tags: &self.tags,
            timestamp_secs: now.unwrap_or_default().as_secs(),
        };
        let parts = encode_log(entry.kind, &metadata, &entry.request, &entry.response);
        let parts: Vec<&[u8]> = parts.iter().map(Bytes::as_ref).collect();
        let found = self
            .pending
            .iter()
            .position(|pending| Arc::ptr_eq(&pending.log, &log));
        let index = found.unwrap_or_else(|| {
            self.pending.push(Pending {
                log,
                bytes: Vec::new(),
                records: 0,
            });
            self.pending.len() - 1
        });
        let pending = &mut self.pending[index];
        append_record(&mut pending.bytes, &parts);
        pending.records += 1;
        if pending.bytes.len() >= COLLECTED {
            let pending = self.pending.swap_remove(index);
            self.write(&pending);
        }
    }

    fn flush(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            self.write(&pending);
        }
    }

    fn write(&self, pending: &Pending) {
        let model = &pending.log.model;
        let mut file = pending
            .log
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let status = match file.append(&pending.bytes) {
            Ok(()) => "OK",
            Err(error) => {
                self.complaints.say(|_| {
                    tracing::error!("cannot write the request log of model {model}: {error}");
                });
                "UNAVAILABLE"
            }
        };
        let count = self.metrics.request_log.cell(&[model, status]);
        count.add(pending.records);
    }
}

/// Says something now and then: a disk that is full is full for every request.
#[derive(Debug)]
pub(super) struct Seldom {
    start: Instant,
    /// Milliseconds after `start`; 0 when nothing was said yet.
    last: AtomicU64,
    times: AtomicU64,
}

/// Between two lines.
const QUIET: Duration = Duration::from_secs(10);

impl Default for Seldom {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            times: AtomicU64::new(0),
        }
    }
}

impl Seldom {
    /// Says it, with how often it would have been said since the last time; or only counts.
    pub(super) fn say(&self, line: impl FnOnce(u64)) {
        self.times.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(self.start.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let last = self.last.load(Ordering::Relaxed);
        let is_time = last == 0 || u128::from(now - last.min(now)) >= QUIET.as_millis();
        // Of several who think that it is time, one is first.
        let changed = || {
            self.last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
        };
        if is_time && changed().is_ok() {
            line(self.times.swap(0, Ordering::Relaxed));
        }
    }
}
