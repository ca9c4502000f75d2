//! What the shelf loads: SavedModels, by TensorFlow, here or in workers.
//!
//! The library takes a while to open, and the shelf need not wait for it to look at directories:
//! loads wait instead, on the shelf's own threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tensorgate_core::ServableFactory;
use tensorgate_engine::Predictor as _;
use tensorgate_tensorflow::{CopyCounters, Library, Scheduling, Tracer, capture_logs};
use tensorgate_types::{Error, ServableId};
use tensorgate_workers::Device;
use tracing::info;

use crate::metrics::Metrics;
use crate::options::{ModelSessions, ServeOptions};

use super::away::Away;
use super::loaded::LoadedModel;
use super::local::{LocalLoader, lookup};
use super::session::{parallelism, session_config};
use super::sessions::HowSession;
use super::{Batching, Desk, MeasuredModel};

/// Where models are loaded.
#[derive(Debug, Clone)]
enum Place {
    Here(Box<LocalLoader>),
    Workers(Away),
}

/// Loads models as soon as there is something to load them with. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ModelFactory {
    place: Place,
    sessions: HowSession,
    of_models: ModelSessions,
    tags: Vec<String>,
    metrics: Arc<Metrics>,
    /// None where nothing is batched.
    batching: Option<Batching>,
    processors: Desk,
}

impl ModelFactory {
    /// A factory whose loads wait until [`open`](Self::open) has been called. Workers will be
    /// asked `threads` things at a time, and `max_waiting` runs may wait for one of them while
    /// another one is up.
    ///
    /// # Errors
    /// When flags contradict each other.
    pub(crate) fn new(
        options: &ServeOptions,
        batching: Option<Batching>,
        processors: Desk,
        metrics: Arc<Metrics>,
        threads: usize,
        max_waiting: usize,
    ) -> Result<Self, Error> {
        let sessions = HowSession {
            config: session_config(options)?,
            scheduling: scheduling(options),
        };
        let place = if options.workers.0.is_empty() {
            Place::Here(Box::new(LocalLoader::new(options)?))
        } else {
            Place::Workers(Away::new(options, threads, max_waiting)?)
        };
        Ok(Self {
            place,
            sessions,
            of_models: options.model_sessions.clone(),
            tags: options.saved_model_tags.clone(),
            metrics,
            batching,
            processors,
        })
    }

    /// Sees the runs of all SavedModels that are loaded here.
    pub(crate) fn tracer(&self) -> Tracer {
        match &self.place {
            Place::Here(loader) => loader.tracer(),
            Place::Workers(_) => Tracer::default(),
        }
    }

    /// The devices of this process, once there was a model here.
    pub(crate) fn devices(&self) -> Vec<Device> {
        match &self.place {
            Place::Here(loader) => loader.devices(),
            Place::Workers(_) => Vec::new(),
        }
    }

    /// Counts what is copied for the runs of all SavedModels that are loaded here.
    pub(crate) fn copied(&self) -> Arc<CopyCounters> {
        match &self.place {
            Place::Here(loader) => loader.copied(),
            Place::Workers(_) => Arc::default(),
        }
    }

    /// The workers, where there are any.
    pub(crate) fn workers(&self) -> Option<&Away> {
        match &self.place {
            Place::Here(_) => None,
            Place::Workers(away) => Some(away),
        }
    }

    /// Opens the library, for all clones; none where only workers need it. Blocks for as long as
    /// that takes.
    ///
    /// # Errors
    /// Why it cannot be opened; loads fail for the same reason from then on.
    pub(crate) fn open(&self) -> Result<Option<Library>, Error> {
        match &self.place {
            Place::Here(loader) => loader.open().map(Some),
            Place::Workers(_) => Ok(None),
        }
    }

    fn load_model(&self, id: &ServableId, path: &Path) -> Result<LoadedModel, Error> {
        let how = self.sessions.of_model(self.of_models.of(&id.name));
        match &self.place {
            Place::Here(loader) => loader.load(path, how),
            Place::Workers(away) => away.load(id, path, &how),
        }
    }
}

impl ServableFactory for ModelFactory {
    type Servable = MeasuredModel;

    fn load(&self, id: &ServableId, path: &Path) -> Result<MeasuredModel, Error> {
        if let Place::Here(loader) = &self.place {
            // A load is not slow because the library is not open yet.
            loader.wait();
        }
        info!("Reading SavedModel from: {}", path.display());
        let start = Instant::now();
        let loaded = self.load_model(id, path);
        // What TensorFlow counts are its own loads and runs, and not those of others.
        let is_lite = loaded.as_ref().is_ok_and(LoadedModel::is_lite);
        let metrics = (!is_lite).then(|| Arc::clone(&self.metrics));
        if let Some(metrics) = &metrics {
            let took = start.elapsed();
            metrics.loads.record(path, took, loaded.is_ok());
            let status = match &loaded {
                Ok(_) => "success: OK".to_owned(),
                Err(error) => format!("fail: {error}"),
            };
            // TensorFlow's own line, which its C functions keep from whoever reads the log.
            info!(
                "SavedModel load for tags {{ {} }}; Status: {status}. Took {} microseconds.",
                self.tags.join(" "),
                took.as_micros()
            );
        }
        let model = loaded?;
        let everywhere = model.everywhere();
        let lane = match &self.batching {
            Some(batching) => batching.lane(id, path, model.signatures())?,
            None => None,
        };
        let seat = self.processors.seat(id, path, model.signatures())?;
        Ok(MeasuredModel::new(model, metrics)
            .with_lane(lane)
            .with_seat(seat)
            .with_everywhere(everywhere))
    }
}

/// The version of the library that would be used.
pub(crate) fn library_version(options: &ServeOptions) -> Result<String, String> {
    // Its greetings are of no use to whoever asks for a number.
    let _captured = capture_logs();
    Library::find(&lookup(options))
        .map(|library| library.version().to_owned())
        .map_err(|error| error.to_string())
}

/// Whoever asks for several threads for operations side by side gets TensorFlow's pool of them.
/// Left to us, a run is computed by the thread that calls, and requests run side by side.
fn scheduling(options: &ServeOptions) -> Scheduling {
    if parallelism(options).1 > 1 {
        Scheduling::InterOpPool
    } else {
        Scheduling::CallingThread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_it_gets_the_inter_op_pool() {
        let of = |session_parallelism, inter_op_parallelism| {
            scheduling(&ServeOptions {
                session_parallelism,
                inter_op_parallelism,
                ..ServeOptions::default()
            })
        };
        assert_eq!(of(0, 0), Scheduling::CallingThread);
        assert_eq!(of(1, 0), Scheduling::CallingThread);
        assert_eq!(of(4, 0), Scheduling::InterOpPool);
        assert_eq!(of(0, 2), Scheduling::InterOpPool);
    }
}
