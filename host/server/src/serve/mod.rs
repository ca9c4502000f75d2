//! The life of a server: starts everything at once, opens the door, and ends in order.
//!
//! ```text
//! flags --> ports (tensorgate serve) --> 503 until the component is there
//!      \--> libtensorflow --> loads of models --\
//!      \--> gateway component ------------------> ready --> signal --> leave --> drain
//! ```
//!
//! **Ordering:** under the name of the original, ports come after the first loads.
//! **Cancellation:** a signal during the start ends it as it does later.

mod house;
mod in_process;
mod ports;
mod signals;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorgate_types::Error;

use crate::admin::Token;
use crate::door::{self, Door, DoorOptions};
use crate::logging;
use crate::metrics::{Metrics, MetricsPage, metrics_path, watch_budget};
use crate::options::{Manner, Port, ProcessorConfig, ServeOptions};
use crate::wiring::{
    Away, Batching, Served, ServedError, check_thread_pools, library_version, processor_config,
    served_models, with_platform,
};

use house::House;
pub(crate) use in_process::InProcess;
use ports::Ports;
pub(crate) use signals::Signals;

/// How long models may take to go when all requests have ended.
const UNLOAD: Duration = Duration::from_secs(5);

/// Serves until a signal comes. `ignored` are flags that were given and do nothing.
///
/// # Errors
/// Why there is no server.
pub(crate) fn run(options: &ServeOptions, manner: Manner, ignored: &[&str]) -> Result<(), Error> {
    let started = Instant::now();
    // Held to the end: what is said after it goes to standard error as usual.
    let _log = logging::start(options.log_filter.as_deref()).map_err(Error::invalid_argument)?;
    for flag in ignored {
        tracing::warn!("--{flag} has no effect yet");
    }
    let (options, told) = prepare(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tg-io")
        .build()
        .map_err(|error| Error::internal("cannot start the runtime").with_source(error))?;
    let result = runtime.block_on(serve(&options, manner, told, started));
    // Blocking threads may be in the middle of a scan or a load; nobody waits for them.
    runtime.shutdown_background();
    result
}

/// What flags and the files that they name say of the house.
type Told = (Served, Option<Batching>, ProcessorConfig);

/// Reads the files that flags name.
fn prepare(options: &ServeOptions) -> Result<(ServeOptions, Told), Error> {
    Away::check(options)?;
    let told = with_platform(options).and_then(|options| {
        check_thread_pools(&options)?;
        let batching = Batching::new(&options)?;
        let served = served_models(&options)?;
        let processors = processor_config(&options)?;
        Ok((options, (served, batching, processors)))
    });
    told.map_err(|error| {
        if let ServedError::Malformed { line, .. } = &error {
            tracing::error!("{line}");
        }
        Error::from(error)
    })
}

/// The version of TensorFlow's library that would be used, or why there is none.
pub(crate) fn tensorflow_version(options: &ServeOptions) -> String {
    library_version(options).unwrap_or_else(|error| error)
}

/// The token of the admin port, where that is asked for.
///
/// # Errors
/// When there is none, or nothing that could be done with it.
fn admin_token(options: &ServeOptions) -> Result<Option<Token>, Error> {
    if options.components.admin_port == Port::Off {
        return Ok(None);
    }
    let file = options
        .components
        .admin_token_file
        .as_deref()
        .ok_or_else(|| {
            Error::invalid_argument(
                "--admin_port needs --admin_token_file: a file with the token that it wants",
            )
        })?;
    Token::read(file).map(Some)
}

async fn serve(
    options: &ServeOptions,
    manner: Manner,
    told: Told,
    started: Instant,
) -> Result<(), Error> {
    let mut signals = Signals::listen()?;
    let metrics = Metrics::new();
    let page = metrics_path(options.monitoring_config_file.as_deref(), manner)?
        .map(|path| MetricsPage::new(path, Arc::clone(&metrics)));
    let door = Door::new(DoorOptions {
        timeout: options.rest_api_timeout,
        max_body_bytes: options.max_body_bytes,
        model_limits: options.model_limits.clone(),
        max_buffered_bytes: options.max_buffered_bytes,
        cors: options.rest_api_enable_cors_support,
        pace: door::Pace {
            idle: door::IDLE,
            least: options.min_upload_bytes_per_second,
        },
        metrics: page,
    });
    watch_budget(&metrics.registry, door.budget().clone());
    let admin = admin_token(options)?;
    let mut ports = Ports::new(options, manner)?;
    if manner == Manner::Tensorgate {
        ports.open(options, manner, &door)?;
    }
    let build = async {
        let house = House::build(options, told, &metrics, started).await?;
        door.open(house.handler());
        if manner == Manner::ModelServer {
            house.wait_for_an_answer(options).await?;
            ports.open(options, manner, &door)?;
        }
        ports.open_admin(options, admin.map(|token| house.admin(token)))?;
        Ok::<_, Error>(house)
    };
    let house = tokio::select! {
        house = build => house?,
        () = signals.wait() => return Ok(()),
    };
    let going = async {
        house.settle(started).await;
        if options.exit_on_failed_start && manner == Manner::Tensorgate {
            house.wait_for_an_answer(options).await?;
        }
        house.poll_config(options).await;
        Ok::<_, Error>(())
    };
    tokio::select! {
        end = going => end?,
        () = signals.wait() => {}
    }
    tokio::select! {
        () = ports.leave(options.drain_delay, &door) => {}
        () = signals.wait() => {}
    }
    tracing::info!("Shutting down: running requests have {:?}", options.drain);
    house.hurry();
    tokio::select! {
        () = ports.shut_down(options.drain, &door) => {}
        () = signals.wait() => tracing::warn!("Shutting down at once"),
    }
    house.close(UNLOAD).await;
    Ok(())
}
