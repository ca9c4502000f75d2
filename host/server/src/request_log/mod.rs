//! The request log: sampled requests and their answers, written down for the owner of a model
//! (`logging_config` of its entry in the configuration).
//!
//! ```text
//! request --> sampled? --> entry --> bounded queue --> writer thread --> TFRecord files
//!                                    full: counted, dropped
//! ```
//!
//! **Invariant:** a request never waits for a disk. What does not fit into the queue, or cannot be
//! written, is counted in `request_log_count` under its code, and lost.
//! **Ordering:** entries of one model are written in the order in which they were queued.
//! **Cancellation:** [`RequestLogs::close`] writes what is queued, then ends the thread.

mod file;
mod lots;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use tensorgate_edge::{LogEntry, RequestLog};
use tensorgate_proto::config::LoggingConfig;
use tensorgate_types::Error;

use crate::metrics::Metrics;

use file::LogFile;
use lots::draw;
use writer::{Job, Seldom, Writer};

/// Entries that may wait for the writer.
const MAX_QUEUED: usize = 4096;

/// Bytes of entries that may wait for the writer. Beyond it the disk is slower than the requests.
const MAX_QUEUED_BYTES: usize = 256 << 20;

/// How `log_collector_config.type` names what this is. Nothing at all means the same.
const COLLECTOR: &str = "tfrecord";

/// What is written down of one model.
struct ModelLog {
    model: String,
    config: LoggingConfig,
    sampling_rate: f64,
    /// Locked by the writer, and once when it is made.
    file: Mutex<LogFile>,
}

/// The logs of a configuration, by model.
type Logs = HashMap<String, Arc<ModelLog>>;

/// The logs of all models, and the thread that writes them. Clones share both.
#[derive(Clone)]
pub(crate) struct RequestLogs(Arc<Shared>);

struct Shared {
    /// Replaced by a new configuration, read by every request.
    logs: RwLock<Arc<Logs>>,
    jobs: SyncSender<Job>,
    queued_bytes: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    complaints: Seldom,
    /// Taken by whoever closes the log.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Logs that are ready to be used: their files are there. Dropped, they leave nothing behind.
#[must_use]
pub(crate) struct Prepared(Logs);

impl RequestLogs {
    /// Starts the writer. `tags` are those of the models that are loaded.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(tags: Vec<String>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (jobs, queue) = std::sync::mpsc::sync_channel(MAX_QUEUED);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let writer = Writer::new(queue, tags, Arc::clone(&queued_bytes), Arc::clone(&metrics));
        let thread = std::thread::Builder::new()
            .name("tg-log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(Arc::new(Shared {
            logs: RwLock::default(),
            jobs,
            queued_bytes,
            metrics,
            complaints: Seldom::default(),
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Checks a configuration and makes the files that it asks for. A model whose logging does
    /// not change goes on with the file that it has.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a configuration that makes no sense, `FAILED_PRECONDITION` for a
    /// file that cannot be made.
    pub(crate) fn prepare<'a>(
        &self,
        configs: impl IntoIterator<Item = (&'a str, &'a LoggingConfig)>,
    ) -> Result<Prepared, Error> {
        let before = self.logs();
        let mut logs = Logs::new();
        for (model, config) in configs {
            let (prefix, sampling_rate) = checked(model, config)?;
            let log = match before.get(model) {
                Some(log) if log.config == *config => Arc::clone(log),
                _ => Arc::new(ModelLog {
                    model: model.to_owned(),
                    config: config.clone(),
                    sampling_rate,
                    file: Mutex::new(LogFile::create(prefix).map_err(|(path, error)| {
                        Error::failed_precondition(format!(
                            "cannot create the request log of model {model} at '{}': {error}",
                            path.display()
                        ))
                    })?),
                }),
            };
            logs.insert(model.to_owned(), log);
        }
        Ok(Prepared(logs))
    }

    /// From now on these are the logs. What is queued for others is still written.
    pub(crate) fn replace(&self, logs: Prepared) {
        let mut current = self.0.logs.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(logs.0);
    }

    /// Writes what is queued and ends the writer. Blocks for as long as the disk takes. Later
    /// entries are dropped.
    pub(crate) fn close(&self) {
        let thread = self
            .0
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Fails when the writer has gone, and then there is nothing to wait for.
            let _ = self.0.jobs.send(Job::Close);
            let _ = thread.join();
        }
    }

    fn logs(&self) -> Arc<Logs> {
        Arc::clone(&self.0.logs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there was room for it.
    fn queue(&self, log: Arc<ModelLog>, entry: LogEntry) -> bool {
        let size = size(&entry.request) + size(&entry.response);
        let queued = &self.0.queued_bytes;
        // Relaxed: it bounds memory and orders nothing.
        let reserved = queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |queued| {
            queued
                .checked_add(size)
                .filter(|sum| *sum <= MAX_QUEUED_BYTES)
        });
        if reserved.is_err() {
            return false;
        }
        let is_taken = self
            .0
            .jobs
            .try_send(Job::Write { log, entry, size })
            .is_ok();
        if !is_taken {
            queued.fetch_sub(size, Ordering::Relaxed);
        }
        is_taken
    }
}

impl RequestLog for RequestLogs {
    fn sampled(&self, model: &str) -> bool {
        let logs = self.logs();
        logs.get(model).is_some_and(|log| draw(log.sampling_rate))
    }

    fn write(&self, entry: LogEntry) {
        // Between the draw and now its log may have been taken away.
        let Some(log) = self.logs().get(&entry.model).map(Arc::clone) else {
            return;
        };
        if self.queue(Arc::clone(&log), entry) {
            return;
        }
        let model = &log.model;
        self.0
            .metrics
            .request_log
            .cell(&[model, "RESOURCE_EXHAUSTED"])
            .increment();
        self.0.complaints.say(|times| {
            tracing::warn!(
                "the request log of model {model} drops entries, {times} since the last line \
                 like this: requests come faster than they are written"
            );
        });
    }
}

fn size(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}

/// Where a model's log is written, and which share of its requests.
fn checked<'a>(model: &str, config: &'a LoggingConfig) -> Result<(&'a str, f64), Error> {
    let (collector, prefix) = match &config.log_collector_config {
        Some(config) => (config.r#type.as_str(), config.filename_prefix.as_str()),
        None => ("", ""),
    };
    let sampling_rate = config
        .sampling_config
        .as_ref()
        .map_or(0.0, |config| config.sampling_rate);
    let problem = if !matches!(collector, "" | COLLECTOR) {
        format!(
            "log_collector_config.type is '{collector}', and only '{COLLECTOR}' is there (it is \
             the default, too)"
        )
    } else if prefix.is_empty() {
        "log_collector_config.filename_prefix is empty: it says where the log is written".to_owned()
    } else if !(0.0..=1.0).contains(&sampling_rate) {
        format!("sampling_config.sampling_rate is {sampling_rate}, and it must be from 0 to 1")
    } else {
        return Ok((prefix, sampling_rate));
    };
    Err(Error::invalid_argument(format!(
        "logging_config of model {model}: {problem}"
    )))
}

impl fmt::Debug for RequestLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLogs").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
