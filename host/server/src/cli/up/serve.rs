//! An app, its models and its socket, from the start to a signal.
//!
//! **Ordering:** the socket is open and the routes are printed when every component is compiled
//! and the first load of every model has ended. **Cancellation:** a signal during the start ends
//! it; later, what runs is answered first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tensorgate_spin::lock::LockedApp;
use tensorgate_spin::run::{
    self, App, AppOptions, Current, Follow, Host, HostOptions, LogOptions, RunError,
};
use tensorgate_spin::variables::Providers;
use tokio::net::TcpListener;

use crate::logging;
use crate::serve::{InProcess, Signals};
use crate::wiring::cache_dir;

use super::super::print;
use super::flags::{Format, Options};
use super::models::Wanted;
use super::say::{self, Voice};
use super::watch::{Changed, Watch};

/// How long requests that are under way may take after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// What is logged when nobody says: what goes wrong.
const LOG: &str = "warn";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A signal asked for it.
    Asked,
    /// What has changed needs a new process.
    Anew,
}

/// What an app is run with.
pub(super) struct Setup<'a> {
    pub(super) options: &'a Options,
    pub(super) models: Option<Wanted>,
    pub(super) trigger_types: &'a [&'a str],
    /// Beside which the state is kept; none for an app that is from elsewhere.
    pub(super) app_directory: Option<PathBuf>,
    /// What relative paths of the lock are seen from.
    pub(super) directory: PathBuf,
    pub(super) voice: &'a Voice,
}

/// Runs it until a signal comes.
pub(super) fn run(
    setup: &Setup<'_>,
    app: &LockedApp,
    watch: Option<Watch<'_>>,
) -> Result<End, RunError> {
    // Held to the end: TensorFlow's lines are taken in.
    let _log = logging::start(Some(&filter(setup.models.as_ref()))).map_err(RunError::new)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tg-io")
        .build()
        .map_err(|error| RunError::because("cannot start the runtime", error))?;
    let end = runtime.block_on(async {
        let mut signals = Signals::listen()
            .map_err(|error| RunError::because("cannot wait for signals", error))?;
        let start = async {
            let models = models(setup.models.as_ref()).await?;
            let running = Running::start(setup, app, models).await?;
            Ok::<_, RunError>(running)
        };
        let running = tokio::select! {
            started = start => started?,
            () = signals.wait() => return Ok(End::Asked),
        };
        running.serve(setup, watch, signals).await
    });
    // Blocking threads may be in the middle of a load; nobody waits for them.
    runtime.shutdown_background();
    end
}

fn filter(models: Option<&Wanted>) -> String {
    let flag = models.and_then(|models| models.options.log_filter.clone());
    let variable = |name: &str| std::env::var(name).ok();
    flag.or_else(|| variable("TENSORGATE_LOG"))
        .or_else(|| variable("RUST_LOG"))
        .unwrap_or_else(|| LOG.to_owned())
}

async fn models(wanted: Option<&Wanted>) -> Result<Option<InProcess>, RunError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let opened = InProcess::open(&wanted.options).await;
    opened
        .map(Some)
        .map_err(|error| RunError::because("failed to start the models", error))
}

/// An app that can be served.
struct Running {
    host: Arc<Host>,
    app: App,
    models: Option<InProcess>,
    listener: TcpListener,
}

impl Running {
    async fn start(
        setup: &Setup<'_>,
        app: &LockedApp,
        models: Option<InProcess>,
    ) -> Result<Self, RunError> {
        let options = setup.options;
        let cache = setup.models.as_ref().map(|models| &models.options);
        let default = crate::options::ServeOptions::default();
        let cache = cache_dir(cache.unwrap_or(&default));
        let console = setup.voice.console();
        let host = Host::new(HostOptions {
            limits: options.limits(),
            cache: cache.filter(|_| !options.disable_cache),
            models: models.as_ref().map(InProcess::models),
            key_value: state_dir(setup).map(|state| state.join("key_value.redb")),
            console: console
                .map_err(|error| RunError::because("cannot use standard error", error))?,
        })?;
        let host = Arc::new(host);
        let loaded = load(setup, &host, app, options.truncate_logs)?;
        say_where(setup, &host);
        let listener = run::listen(options.address(), options.find_free_port);
        let listener = listener.await.map_err(RunError::new)?;
        if let Some(models) = &models {
            let settled = models.settle().await;
            settled.map_err(|error| RunError::because("failed to load the models", error))?;
        }
        Ok(Self {
            host,
            app: loaded,
            models,
            listener,
        })
    }

    async fn serve(
        self,
        setup: &Setup<'_>,
        watch: Option<Watch<'_>>,
        mut signals: Signals,
    ) -> Result<End, RunError> {
        let Self {
            host,
            app,
            models,
            listener,
        } = self;
        print_routes(&app, &listener, setup.options.format)?;
        let current = Current::new(app);
        let mut end = End::Asked;
        let stop = async {
            let changes = async {
                match watch {
                    Some(watch) => follow(watch, setup, &host, &current).await,
                    None => std::future::pending().await,
                }
            };
            let polled = async {
                match &models {
                    Some(models) => models.poll_config().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = signals.wait() => {}
                () = changes => end = End::Anew,
                () = polled => {}
            }
        };
        run::serve(listener, current.clone(), stop, DRAIN).await;
        current.app().flush_logs().await;
        if let Some(models) = models {
            models.close().await;
        }
        Ok(end)
    }
}

/// Takes in changes until one needs a new process.
async fn follow(mut watch: Watch<'_>, setup: &Setup<'_>, host: &Arc<Host>, current: &Current) {
    loop {
        match watch.next(setup.voice).await {
            Changed::Models => return,
            Changed::App(app) => {
                let reloaded = app.and_then(|app| load(setup, host, &app, false));
                match reloaded {
                    Ok(app) => {
                        current.replace(app);
                        say::step("Reloaded", "the app");
                    }
                    Err(error) => {
                        setup.voice.error(&error);
                        setup.voice.say("The app goes on as it was.\n");
                    }
                }
            }
        }
    }
}

/// Compiles an app. Takes the thread: others go on elsewhere.
fn load(
    setup: &Setup<'_>,
    host: &Arc<Host>,
    app: &LockedApp,
    truncate: bool,
) -> Result<App, RunError> {
    let options = setup.options;
    let variables = Providers::of_process(&options.variables)
        .map_err(|error| RunError::because("failed to resolve the app's variables", error))?;
    let follow = if options.quiet {
        Follow::Nobody
    } else if options.follow.is_empty() {
        Follow::All
    } else {
        Follow::Only(options.follow.clone())
    };
    let app_options = AppOptions {
        trigger_types: setup.trigger_types,
        variables: &variables,
        logs: LogOptions {
            directory: log_dir(setup),
            truncate,
            follow,
        },
        key_values: &options.key_values,
        writable: options.writable,
        directory: &setup.directory,
    };
    tokio::task::block_in_place(|| host.load(app, &app_options))
}

/// Where state is kept: nowhere when that is asked for, or when the app is from elsewhere.
fn state_dir(setup: &Setup<'_>) -> Option<PathBuf> {
    match setup.options.state_dir.as_deref() {
        Some("") => None,
        Some(directory) => Some(PathBuf::from(directory)),
        None => Some(setup.app_directory.as_ref()?.join(".spin")),
    }
}

fn log_dir(setup: &Setup<'_>) -> Option<PathBuf> {
    match &setup.options.log_dir {
        Some(directory) if directory.as_os_str().is_empty() => None,
        Some(directory) => Some(directory.clone()),
        None => Some(state_dir(setup)?.join("logs")),
    }
}

/// A path as one who stands here would write it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok());
    short.unwrap_or(path).display().to_string()
}

fn say_where(setup: &Setup<'_>, host: &Host) {
    if let Some(directory) = log_dir(setup) {
        let directory = shown(&directory);
        let text = format!("Logging component stdio to \"{directory}/\"\n");
        setup.voice.say(&text);
    }
    if let Some(file) = host.key_value_in_use() {
        let text = format!("Storing default key-value data to \"{}\".\n", shown(file));
        setup.voice.say(&text);
    }
}

fn print_routes(app: &App, listener: &TcpListener, format: Format) -> Result<(), RunError> {
    let address = listener
        .local_addr()
        .map_err(|error| RunError::because("cannot say where this listens", error))?;
    let base = format!("http://{address}");
    match format {
        Format::Plain => {
            print("\n");
            say::step("Serving", &base);
            print("Available Routes:\n");
            for route in app.routes() {
                let wildcard = if route.wildcard { " (wildcard)" } else { "" };
                print(&format!("  {}: {base}{}{wildcard}\n", route.id, route.path));
                if let Some(description) = &route.description {
                    print(&format!("    {description}\n"));
                }
            }
        }
        Format::Json => {
            let routes = app.routes().iter().map(|route| {
                let mut entry = serde_json::json!({
                    "id": route.id,
                    "route": route.path,
                    "wildcard": route.wildcard,
                });
                if let Some(description) = &route.description {
                    entry["description"] = description.as_str().into();
                }
                entry
            });
            let routes: Vec<_> = routes.collect();
            let all = serde_json::json!({ "base_url": base, "routes": routes });
            let text = serde_json::to_string_pretty(&all)
                .map_err(|error| RunError::because("cannot write the routes", error))?;
            print(&format!("{text}\n"));
        }
    }
    Ok(())
}
