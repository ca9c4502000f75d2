//! What is behind the door: libtensorflow, the shelf with its models, the gateway component.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tensorgate_core::{
    Catalog, CatalogOptions, Manager, ManagerOptions, ModelReadiness, Readiness,
};
use tensorgate_edge::{EdgeEngine, Gateway, Management, Models, Services, Settings};
use tensorgate_engine::{RunPool, RunPoolOptions};
use tensorgate_tensorflow::Tracer;
use tensorgate_types::{Error, ErrorCode};

use crate::admin::{self, Token};
use crate::metrics::{
    BatchObserver, Metrics, watch_belt, watch_processors, watch_run_pool, watch_sandbox,
    watch_sessions, watch_shelf, watch_workers,
};
use crate::options::{ProcessorConfig, ServeOptions};
use crate::profiler::Profiler;
use crate::request_log::RequestLogs;
use crate::warmup::{WarmUp, WarmingFactory};
use crate::wiring::{
    Batching, Desk, EdgeHandler, Manageable, MeasuredModel, ModelFactory, Outcomes, Press,
    Reloader, Reports, Served, ServedModel, Shelf, load_gateway, logging, sandbox,
};

/// The rooms, connected.
pub(super) struct House {
    manager: Manager<MeasuredModel>,
    engine: EdgeEngine,
    gateway: Gateway,
    factory: ModelFactory,
    desk: Desk,
    press: Press,
    outcomes: Arc<Outcomes>,
    /// Where the profiler is enabled.
    tracer: Option<Tracer>,
    request_logs: RequestLogs,
    reloader: Arc<Reloader<MeasuredModel>>,
    /// What the config file said at the start, where there is one.
    config_text: Option<String>,
    /// What components may open.
    shelf: Arc<dyn Models>,
    /// The models that flags or the config file name.
    models: Vec<String>,
    /// How long the parts took, for the line that says that the server is ready.
    took: String,
}

impl House {
    /// Opens the library and compiles the component; models are being loaded when this returns.
    pub(super) async fn build(
        options: &ServeOptions,
        (served, batching, processors): (Served, Option<Batching>, ProcessorConfig),
        metrics: &Arc<Metrics>,
        started: Instant,
    ) -> Result<Self, Error> {
        let request_logs = request_logs(options, &served.models, metrics)?;
        let threads = Threads::of(options, batching.as_ref());
        let pool = run_pool(options, threads.run)?;
        let press = press(&pool, batching.as_ref(), threads.batch, metrics)?;
        let counted = Arc::clone(metrics);
        let (asked, waiting) = (threads.sum(), threads.may_wait());
        let desk = Desk::new(options, processors)?;
        let factory = ModelFactory::new(options, batching, desk.clone(), counted, asked, waiting)?;
        let tracer = tracer(options, &factory);
        if let Some(workers) = factory.workers() {
            watch_workers(&metrics.registry, workers);
        }
        let copied = factory.copied();
        let outcomes = Arc::new(Outcomes::new(Arc::clone(metrics)));
        let warm_up = options.enable_model_warmup.then(|| {
            let (press, outcomes) = (press.clone(), Arc::clone(&outcomes));
            WarmUp::new(options, press, outcomes, Arc::clone(metrics))
        });
        let warming = WarmingFactory::new(factory.clone(), warm_up.clone());
        let manager = Manager::spawn(&manager_options(options), warming)
            .map_err(|error| Error::internal("cannot start loading").with_source(error))?;
        let engine = sandbox(options)?;
        watch_rooms(metrics, &manager, &pool, &engine);
        watch_processors(&metrics.registry, &desk);
        watch_belt(&metrics.registry, &press);
        watch_sessions(&metrics.registry, copied);
        start_blocking_threads().await;
        // While the system's loader opens the library it lets nobody start a thread or enter the
        // sandbox. So the component comes after it, beside the loads of models, and only the
        // directories are looked at meanwhile.
        let library = open_library(factory.clone());
        let Served { models, text } = served;
        let names = names(options, &models);
        let entries = models.iter().map(|model| model.entry.clone()).collect();
        let shelf = shelf(options, &manager, &press);
        let manageable = Arc::new(Manageable::new(Arc::clone(metrics)));
        desk.open(Arc::clone(&shelf));
        let mut services = Services::new(Arc::clone(&shelf), Arc::new(Reports));
        services.request_log = Arc::new(request_logs.clone());
        services.management = Arc::clone(&manageable) as Arc<dyn Management>;
        services.settings = settings(options);
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
        let how = CatalogOptions {
            polling: options.polling,
            allow_labels_for_unavailable: options.labels_for_unavailable,
        };
        let catalog = Catalog::open(manager.clone(), how, entries);
        let (parts, catalog) = tokio::join!(parts, catalog);
        let (catalog, (gateway, library_took, gateway_took)) = (catalog?, parts?);
        let limit = options.reload_timeout;
        let reloader = Arc::new(Reloader::new(catalog, request_logs.clone(), limit, models));
        manageable.open(Arc::clone(&reloader));
        Ok(Self {
            manager,
            engine,
            gateway,
            factory,
            desk,
            press,
            outcomes,
            tracer,
            request_logs,
            reloader,
            config_text: text,
            shelf,
            models: names,
            took: format!(
                "libtensorflow {} ms, then gateway {} ms",
                library_took.as_millis(),
                gateway_took.as_millis()
            ),
        })
    }

    /// What components in this process may call, without the gateway.
    pub(super) fn models(&self) -> Arc<dyn Models> {
        Arc::clone(&self.shelf)
    }

    /// What the admin port does.
    pub(super) fn admin(&self, token: Token) -> axum::Router {
        admin::routes(self.desk.clone(), token)
    }

    /// What the door hands requests to.
    pub(super) fn handler(&self) -> EdgeHandler {
        EdgeHandler {
            gateway: self.gateway.clone(),
            manager: self.manager.clone(),
            outcomes: Arc::clone(&self.outcomes),
            profiler: self.tracer.clone().map(Profiler::new),
            factory: self.factory.clone(),
        }
    }

    /// Looks at the config file again and again, where flags say so. Never ends.
    pub(super) async fn poll_config(&self, options: &ServeOptions) {
        let file = options.model_config_file.clone();
        let interval = options.model_config_file_poll;
        if let (Some(file), Some(interval), Some(text)) = (file, interval, &self.config_text) {
            self.reloader.poll(file, interval, text.clone()).await;
        }
        std::future::pending().await
    }

    /// Waits until the first attempt to load every model has ended, well or not: a model that is
    /// broken, or not there, holds none of the others up. Where no model is there at all, waits
    /// for the first one, as the original does.
    ///
    /// A model that cannot be loaded ends the original. Here that is a line in the log, which has
    /// the original's words, unless `--exit_on_failed_start` asks for the end: then the last
    /// attempts are waited for.
    pub(super) async fn wait_for_an_answer(&self, options: &ServeOptions) -> Result<(), Error> {
        let mut manager = self.manager.clone();
        loop {
            let readiness = if options.exit_on_failed_start {
                manager.wait_until_final(&self.models).await
            } else {
                manager.wait_until_settled(&self.models).await
            };
            if let Some(message) = readiness.failure_message("servable(s)") {
                let error = Error::new(ErrorCode::Unknown, message);
                if options.exit_on_failed_start {
                    return Err(error);
                }
                tracing::error!("Failed to start server. Error: {error}");
                tracing::warn!("The server goes on; --exit_on_failed_start would end it");
                return Ok(());
            }
            if self.models.is_empty() || answers(&readiness) {
                return Ok(());
            }
            if !manager.changed().await {
                return Err(Error::unavailable("the server is shutting down"));
            }
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

    /// No more requests will come: those that are there need not wait for others.
    pub(super) fn hurry(&self) {
        self.press.hurry();
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

/// Opens TensorFlow's library, where it is needed in this process.
async fn open_library(factory: ModelFactory) -> Result<(), Error> {
    let library = tokio::task::spawn_blocking(move || factory.open()).await;
    let library =
        library.map_err(|error| Error::internal("libtensorflow").with_source(error))??;
    if let Some(library) = library {
        let path = library.path().display();
        tracing::info!("Using TensorFlow {} from {path}", library.version());
    }
    Ok(())
}

fn settings(options: &ServeOptions) -> Settings {
    Settings {
        tensor_content: options.tensor_content,
        check_method_names: options.check_method_names,
    }
}

fn tracer(options: &ServeOptions, factory: &ModelFactory) -> Option<Tracer> {
    if let Some(workers) = factory.workers() {
        let count = workers.count();
        tracing::info!("Models run in {count} workers; the profiler sees no runs there");
        return None;
    }
    options.enable_profiler.then(|| {
        tracing::info!("Profiler service is enabled");
        factory.tracer()
    })
}

/// Where runs are made, and the belt before it where there is one.
fn press(
    pool: &Arc<RunPool>,
    batching: Option<&Batching>,
    threads: usize,
    metrics: &Arc<Metrics>,
) -> Result<Press, Error> {
    let belt = match batching {
        Some(batching) => Some(batching.belt(threads, BatchObserver(Arc::clone(metrics)))?),
        None => None,
    };
    Ok(Press::new(Arc::clone(pool), belt))
}

fn run_pool(options: &ServeOptions, threads: usize) -> Result<Arc<RunPool>, Error> {
    let queue = options.run_queue;
    RunPool::new(RunPoolOptions { threads, queue })
        .map(Arc::new)
        .map_err(|error| Error::internal("cannot start run threads").with_source(error))
}

/// The names of the models; what else flags name is warned of.
fn names(options: &ServeOptions, models: &[ServedModel]) -> Vec<String> {
    let names: Vec<String> = models.iter().map(|model| model.name().to_owned()).collect();
    for name in options.model_workers.names() {
        if !names.iter().any(|model| model == name) {
            tracing::warn!("--model_workers names the model {name}, which is not served");
        }
    }
    for name in options.strict_shapes.unknown(&names) {
        tracing::warn!("--strict_shapes names the model {name}, which is not served");
    }
    names
}

/// What components may open.
fn shelf(
    options: &ServeOptions,
    manager: &Manager<MeasuredModel>,
    press: &Press,
) -> Arc<dyn Models> {
    Arc::new(Shelf::new(
        manager.clone(),
        press.clone(),
        options.strict_shapes.clone(),
        options.model_limits.clone(),
    ))
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
    logs.replace(logs.prepare(logging(models))?);
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
    #[cfg(feature = "count-allocations")]
    crate::metrics::watch_allocations(&metrics.registry);
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

/// The threads that ask something of models, and so of workers.
struct Threads {
    run: usize,
    batch: usize,
    /// Those that load and unload; each supervisor asks too.
    manage: usize,
}

impl Threads {
    fn of(options: &ServeOptions, batching: Option<&Batching>) -> Self {
        let workers = options.workers.0.len();
        let manager = manager_options(options);
        Self {
            run: match options.run_threads {
                // Enough for all workers to be busy while some threads wait for one of them.
                0 => RunPoolOptions::default().threads.max(2 * workers),
                threads => threads,
            },
            batch: batching.map_or(0, |batching| batching.threads(workers)),
            manage: manager.num_load_threads + manager.num_unload_threads + 2,
        }
    }

    fn sum(&self) -> usize {
        self.run + self.batch + self.manage
    }

    /// Runs that may wait for a worker to come back while another one is up: half of the threads
    /// that run models, of the smaller pool where there are two. The others go on with what is on
    /// the rest.
    fn may_wait(&self) -> usize {
        match self.batch {
            0 => self.run / 2,
            batch => self.run.min(batch) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_left_for_models_on_other_workers() {
        for (run, batch, expected) in [(4, 0, 2), (1, 0, 0), (4, 2, 1), (4, 16, 2), (8, 1, 0)] {
            let threads = Threads {
                run,
                batch,
                manage: 100,
            };
            assert_eq!(threads.may_wait(), expected, "{run} and {batch}");
        }
    }
}
