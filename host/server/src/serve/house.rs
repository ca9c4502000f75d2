//! What is behind the door: libtensorflow, the shelf with its models, the gateway component.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tensorgate_core::{FileSystemSource, Manager, ManagerOptions, ModelReadiness, Readiness};
use tensorgate_edge::{EdgeEngine, Gateway, Services};
use tensorgate_engine::{RunPool, RunPoolOptions};
use tensorgate_types::{Error, ErrorCode};

use crate::metrics::{Metrics, watch_run_pool, watch_sandbox, watch_shelf};
use crate::options::{Manner, ServeOptions};
use crate::request_log::RequestLogs;
use crate::warmup::{WarmUp, WarmingFactory};
use crate::wiring::{
    EdgeHandler, MeasuredModel, ModelFactory, Outcomes, Reports, ServedModel, Shelf, load_gateway,
    sandbox,
};

/// The rooms, connected.
pub(super) struct House {
    manager: Manager<MeasuredModel>,
    engine: EdgeEngine,
    gateway: Gateway,
    outcomes: Arc<Outcomes>,
    request_logs: RequestLogs,
    /// The models that flags or the config file name.
    models: Vec<String>,
    /// How long the parts took, for the line that says that the server is ready.
    took: String,
}

impl House {
    /// Opens the library and compiles the component; models are being loaded when this returns.
    pub(super) async fn build(
        options: &ServeOptions,
        manner: Manner,
        models: Vec<ServedModel>,
        metrics: &Arc<Metrics>,
        started: Instant,
    ) -> Result<Self, Error> {
        let request_logs = request_logs(options, &models, metrics)?;
        let factory = ModelFactory::new(options, Arc::clone(metrics))?;
        let pool = RunPool::new(run_pool_options(options))
            .map_err(|error| Error::internal("cannot start run threads").with_source(error))?;
        let pool = Arc::new(pool);
        let outcomes = Arc::new(Outcomes::new(Arc::clone(metrics)));
        let warm_up = options.enable_model_warmup.then(|| {
            let (pool, outcomes) = (Arc::clone(&pool), Arc::clone(&outcomes));
            WarmUp::new(options, pool, outcomes, Arc::clone(metrics))
        });
        let warming = WarmingFactory::new(factory.clone(), warm_up.clone());
        let manager = Manager::spawn(&manager_options(options), warming)
            .map_err(|error| Error::internal("cannot start loading").with_source(error))?;
        let engine = sandbox(options)?;
        watch_rooms(metrics, &manager, &pool, &engine);
        start_blocking_threads().await;
        // While the system's loader opens the library it lets nobody start a thread or enter the
        // sandbox. So the component comes after it, beside the loads of models, and only the
        // directories are looked at meanwhile.
        let library = async {
            let library = tokio::task::spawn_blocking(move || factory.open()).await;
            let library =
                library.map_err(|error| Error::internal("libtensorflow").with_source(error))??;
            let path = library.path().display();
            tracing::info!("Using TensorFlow {} from {path}", library.version());
            Ok::<_, Error>(())
        };
        let (watched, labels): (Vec<_>, Vec<_>) = models
            .into_iter()
            .map(|model| (model.watched, model.labels))
            .unzip();
        let names: Vec<String> = watched.iter().map(|model| model.name.clone()).collect();
        let shelf = Shelf::new(manager.clone(), pool, options.strict_shapes.clone());
        let services = Services {
            request_log: Arc::new(request_logs.clone()),
            ..Services::new(Arc::new(shelf), Arc::new(Reports))
        };
        let parts = async {
            library.await?;
            let opened = started.elapsed();
            let gateway = load_gateway(options, &engine, services).await;
            // Loads may wait for it, and the start-up for loads: for an error, too.
            if let Some(warm_up) = warm_up {
                warm_up.open(gateway.clone());
            }
            let gateway = gateway?;
            Ok::<_, Error>((gateway, opened, started.elapsed() - opened))
        };
        let source = FileSystemSource::new(watched, options.polling);
        let (parts, ()) = tokio::join!(parts, manager.attach(source));
        let (gateway, library_took, gateway_took) = parts?;
        let house = Self {
            manager,
            engine,
            gateway,
            outcomes,
            request_logs,
            models: names,
            took: format!(
                "libtensorflow {} ms, then gateway {} ms",
                library_took.as_millis(),
                gateway_took.as_millis()
            ),
        };
        house.set_labels(options, manner, labels).await?;
        Ok(house)
    }

    /// What the door hands requests to.
    pub(super) fn handler(&self) -> EdgeHandler {
        EdgeHandler {
            gateway: self.gateway.clone(),
            manager: self.manager.clone(),
            outcomes: Arc::clone(&self.outcomes),
        }
    }

    /// Under our own name labels may come before their versions: requests are answered from the
    /// start, and one for a label whose version is on its way should hear that and not that there
    /// is no such label. The original wants the version to be there.
    async fn set_labels(
        &self,
        options: &ServeOptions,
        manner: Manner,
        labels: Vec<BTreeMap<String, i64>>,
    ) -> Result<(), Error> {
        let early = manner == Manner::Tensorgate || options.labels_for_unavailable;
        for (name, labels) in self.models.iter().zip(labels) {
            if labels.is_empty() {
                continue;
            }
            if !early {
                self.manager.wait_until_settled(&[name]).await;
            }
            self.manager.set_labels(name, labels, early).await?;
        }
        Ok(())
    }

    /// Waits until the first load of every model has ended, and one of them answers.
    ///
    /// A model that is broken, or not there, holds none of the others up. When no model answers,
    /// there is nothing to open a port for: if one is broken that is an error, as it is for the
    /// original, and if none is there yet this waits for the first one, as the original does.
    pub(super) async fn wait_for_an_answer(&self) -> Result<(), Error> {
        let mut manager = self.manager.clone();
        let mut readiness = manager.wait_until_settled(&self.models).await;
        loop {
            if self.models.is_empty() || answers(&readiness) {
                return Ok(());
            }
            if let Some(message) = readiness.failure_message("servable(s)") {
                return Err(Error::new(ErrorCode::Unknown, message));
            }
            if !manager.changed().await {
                return Err(Error::unavailable("the server is shutting down"));
            }
            readiness = manager.wait_until_settled(&self.models).await;
        }
    }

    /// Waits until the first load of every model has ended, and says how long all took.
    pub(super) async fn settle(&self, started: Instant) {
        let readiness = self.manager.wait_until_settled(&self.models).await;
        let available = readiness
            .models
            .values()
            .filter(|model| matches!(model, ModelReadiness::Available { .. }))
            .count();
        let total = started.elapsed().as_millis();
        tracing::info!(
            "Ready in {total} ms: {available} of {} models are available \
             ({}, models beside it)",
            self.models.len(),
            self.took
        );
    }

    /// Lets the models go, but waits no longer than `limit`, and says what was done.
    pub(super) async fn close(self, limit: Duration) {
        let (requests, errors) = self.outcomes.totals();
        let stats = self.engine.stats();
        tracing::info!(
            "Answered {requests} requests, {errors} of them with an error; made {} instances of \
             the gateway",
            stats.instances
        );
        let logs = self.request_logs;
        let written = tokio::task::spawn_blocking(move || logs.close());
        if tokio::time::timeout(limit, written).await.is_err() {
            tracing::warn!("What is not in the request logs after {limit:?} is lost");
        }
        if tokio::time::timeout(limit, self.manager.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("Models that are still held after {limit:?} end with the process");
        }
    }
}

/// Makes the request logs that the models ask for: what is wrong with them is said before anything
/// is served.
fn request_logs(
    options: &ServeOptions,
    models: &[ServedModel],
    metrics: &Arc<Metrics>,
) -> Result<RequestLogs, Error> {
    let logs = RequestLogs::start(options.saved_model_tags.clone(), Arc::clone(metrics))
        .map_err(|error| Error::internal("cannot start the request log").with_source(error))?;
    let wanted = models
        .iter()
        .filter_map(|model| Some((model.watched.name.as_str(), model.logging.as_ref()?)));
    logs.replace(logs.prepare(wanted)?);
    Ok(logs)
}

/// Lets the metrics ask the rooms.
fn watch_rooms(
    metrics: &Metrics,
    manager: &Manager<MeasuredModel>,
    pool: &Arc<RunPool>,
    engine: &EdgeEngine,
) {
    watch_shelf(&metrics.registry, manager);
    watch_run_pool(&metrics.registry, pool);
    watch_sandbox(&metrics.registry, engine);
    let models = manager.clone();
    metrics.requests.know(move |name| models.knows(name));
}

/// Starts the threads that the start-up blocks: for the library, and to look at directories.
async fn start_blocking_threads() {
    const THREADS: usize = 4;
    let all_there = Arc::new(Barrier::new(THREADS));
    let mut threads = tokio::task::JoinSet::new();
    for _ in 0..THREADS {
        let all_there = Arc::clone(&all_there);
        threads.spawn_blocking(move || all_there.wait());
    }
    threads.join_all().await;
}

fn answers(readiness: &Readiness) -> bool {
    readiness
        .models
        .values()
        .any(|model| matches!(model, ModelReadiness::Available { .. }))
}

fn manager_options(options: &ServeOptions) -> ManagerOptions {
    let defaults = ManagerOptions::default();
    ManagerOptions {
        num_load_threads: match options.num_load_threads {
            0 => defaults.num_load_threads,
            threads => threads,
        },
        num_unload_threads: options.num_unload_threads,
        max_num_load_retries: options.max_num_load_retries,
        load_retry_interval: options.load_retry_interval,
        ..defaults
    }
}

fn run_pool_options(options: &ServeOptions) -> RunPoolOptions {
    let defaults = RunPoolOptions::default();
    RunPoolOptions {
        threads: match options.run_threads {
            0 => defaults.threads,
            threads => threads,
        },
        queue: options.run_queue,
    }
}
