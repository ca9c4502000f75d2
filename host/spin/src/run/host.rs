//! What apps run in: the sandbox, the way to other servers, the models, the key-value file. Made
//! once for a process; apps come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tensorgate_edge::{Models, NativeLimits, NativeModels, OpenModel};
use tensorgate_types::{Error, ModelSpec, ModelVersionStatus, Result as Told};
use wasmtime::component::Linker;

use super::app::{App, triggers};
use super::component::{Around, Component, linker};
use super::engine::{Room, because};
use super::key_value::{DEFAULT, KeyValueFile};
use super::outgoing::Sender;
use super::state::{Mount, Settings, State};
use super::stdio::Logs;
use super::{Console, Limits, LogOptions, RunError};
use crate::compose;
use crate::hosts::AllowedHosts;
use crate::load::file_path;
use crate::lock::{ContentRef, LockedApp, LockedComponent};
use crate::manifest::http::{Executor, HttpTrigger};
use crate::variables::{Providers, Variables};

/// What the host is made of.
#[derive(Default)]
pub struct HostOptions {
    /// What instances may use.
    pub limits: Limits,
    /// Where compiled components are kept; none to compile them at each start.
    pub cache: Option<PathBuf>,
    /// The models that components may call; none where there are none.
    pub models: Option<Arc<dyn Models>>,
    /// The file of the key-value store; none to keep it in memory, until the host ends.
    pub key_value: Option<PathBuf>,
    /// Where it is said what goes wrong, and what components print.
    pub console: Console,
}

impl std::fmt::Debug for HostOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostOptions")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .field("key_value", &self.key_value)
            .finish_non_exhaustive()
    }
}

/// What one app is run with.
#[derive(Debug)]
pub struct AppOptions<'a> {
    /// The triggers of these types are served: `http`.
    pub trigger_types: &'a [&'a str],
    /// Who gives variables their values.
    pub variables: &'a Providers,
    /// Where output goes.
    pub logs: LogOptions,
    /// Entries of the default store that are set before anything runs.
    pub key_values: &'a [(String, String)],
    /// Whether components may write their files.
    pub writable: bool,
    /// What relative paths of the lock are seen from.
    pub directory: &'a Path,
}

/// What apps run in.
pub struct Host {
    around: Arc<Around>,
    linker: Linker<State>,
    native: bool,
    key_value: Option<PathBuf>,
    /// Opened when the first app needs it.
    open: Mutex<Option<Arc<KeyValueFile>>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("native", &self.native)
            .field("key_value", &self.key_value)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// Sets everything up that apps share.
    ///
    /// # Errors
    /// When the limits make no sense, or ask for more than the machine has.
    pub fn new(options: HostOptions) -> Result<Self, RunError> {
        let room = Room::new(options.limits, options.cache.as_deref())?;
        let native = options.models.is_some();
        let models = options.models.unwrap_or_else(|| Arc::new(NoModels));
        let linker =
            linker(&room, native).map_err(|error| because("cannot link the host", error))?;
        Ok(Self {
            around: Arc::new(Around {
                room: Arc::new(room),
                models: NativeModels::new(models, NativeLimits::default()),
                sender: Sender::new()?,
                console: options.console,
            }),
            linker,
            native,
            key_value: options.key_value,
            open: Mutex::default(),
        })
    }

    /// Compiles an app's components, or finds them in the cache, and connects them. Takes tenths
    /// of a second for each that has to be compiled: called where that is no harm.
    ///
    /// # Errors
    /// When something is wrong with the app, its variables or its components.
    pub fn load(&self, app: &LockedApp, options: &AppOptions<'_>) -> Result<App, RunError> {
        let triggered = triggered(app, options.trigger_types)?;
        let variables = Variables::resolve(app, options.variables)
            .map_err(|error| RunError::because("failed to resolve the app's variables", error))?;
        let variables = Arc::new(variables);
        let key_value = self.key_value_of(&triggered, options)?;
        let ids = triggered.iter().map(|component| component.id.as_str());
        let logs = Logs::open(&options.logs, self.around.console.clone(), ids)?;
        let mut components = BTreeMap::new();
        for component in triggered {
            let outputs = logs
                .of(&component.id)
                .ok_or_else(|| RunError::new("a component has no log"))?;
            let settings = Settings {
                id: component.id.clone(),
                environment: component.env.clone(),
                mounts: mounts(component, options.directory)?,
                writable: options.writable,
                hosts: allowed_hosts(component, &variables)?,
                variables: Arc::clone(&variables),
                key_value_stores: component
                    .strings("key_value_stores")
                    .map(ToOwned::to_owned)
                    .collect(),
                key_value: key_value.clone(),
                outputs,
            };
            let loaded = self.component(component, settings).map_err(|error| {
                RunError::because(
                    format!("failed to load component {:?}", component.id),
                    error,
                )
            })?;
            components.insert(component.id.clone(), Arc::new(loaded));
        }
        let around = Arc::clone(&self.around);
        App::new(app, options.trigger_types, components, around, logs)
    }

    fn component(
        &self,
        component: &LockedComponent,
        settings: Settings,
    ) -> Result<Component, RunError> {
        let wasm = compose::compose(component).map_err(|error| {
            RunError::because("failed to compose it with its dependencies", error)
        })?;
        Component::load(
            &self.around.room,
            &self.linker,
            &wasm,
            self.native,
            settings,
        )
    }

    /// The file of the stores, where a component has one.
    fn key_value_of(
        &self,
        components: &[&LockedComponent],
        options: &AppOptions<'_>,
    ) -> Result<Option<Arc<KeyValueFile>>, RunError> {
        let stores = components
            .iter()
            .flat_map(|component| component.strings("key_value_stores"));
        let stores: BTreeSet<&str> = stores.collect();
        if let Some(other) = stores.iter().find(|store| **store != DEFAULT) {
            return Err(RunError::new(format!(
                "One or more components use key-value stores which are not defined: {other:?}; \
                 expected {DEFAULT:?}, which is the one that there is"
            )));
        }
        if stores.is_empty() && options.key_values.is_empty() {
            return Ok(None);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &*open {
            Some(file) => Arc::clone(file),
            None => {
                let file = match &self.key_value {
                    Some(path) => KeyValueFile::open(path)?,
                    None => KeyValueFile::in_memory()?,
                };
                let file = Arc::new(file);
                *open = Some(Arc::clone(&file));
                file
            }
        };
        let entries = options.key_values.iter();
        let entries: Vec<(String, Vec<u8>)> = entries
            .map(|(key, value)| (key.clone(), value.clone().into_bytes()))
            .collect();
        if !entries.is_empty() {
            file.set(DEFAULT, &entries).map_err(|problem| {
                RunError::because("failed to set the entries of --key-value", problem)
            })?;
        }
        Ok(Some(file))
    }

    /// The file of the default store, where an app of this host uses it.
    #[must_use]
    pub fn key_value_in_use(&self) -> Option<&Path> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().and(self.key_value.as_deref())
    }
}

/// The components that triggers of these types start, each once.
///
/// # Errors
/// When there are none, or a trigger asks for what is not there.
fn triggered<'a>(app: &'a LockedApp, types: &[&str]) -> Result<Vec<&'a LockedComponent>, RunError> {
    let mut ids = BTreeSet::new();
    let mut any = false;
    for trigger in triggers(app, types) {
        any = true;
        let settings = HttpTrigger::from_locked(trigger).map_err(RunError::new)?;
        if matches!(settings.executor, Some(Executor::Wagi { .. })) {
            return Err(RunError::new(format!(
                "trigger {:?} has the executor \"wagi\", which is not supported; expected \"http\"",
                trigger.id
            )));
        }
        if let Some(id) = settings.component {
            if app.component(&id).is_none() {
                return Err(RunError::new(format!("no such component {id:?}")));
            }
            ids.insert(id);
        }
    }
    if !any {
        return Err(RunError::new(format!(
            "the app has no trigger of the type {}",
            types.join(" or ")
        )));
    }
    let components = app.components.iter();
    Ok(components
        .filter(|component| ids.contains(&component.id))
        .collect())
}

fn allowed_hosts(
    component: &LockedComponent,
    variables: &Variables,
) -> Result<AllowedHosts, RunError> {
    let problem = |error: Box<dyn std::error::Error + Send + Sync>| {
        let id = &component.id;
        RunError::because(format!("allowed_outbound_hosts of component {id:?}"), error)
    };
    let entries = component.strings("allowed_outbound_hosts");
    let entries: Vec<String> = entries
        .map(|entry| variables.render(entry))
        .collect::<Result<_, _>>()
        .map_err(|error| problem(error.into()))?;
    AllowedHosts::parse(&entries).map_err(|error| problem(error.into()))
}

fn mounts(component: &LockedComponent, directory: &Path) -> Result<Vec<Mount>, RunError> {
    let problem =
        |what: String| RunError::new(format!("files of component {:?}: {what}", component.id));
    let mount = |mounted: &crate::lock::ContentPath| {
        let ContentRef { source, .. } = &mounted.content;
        let source = source
            .as_deref()
            .ok_or_else(|| problem("expected a directory, got something else".to_owned()))?;
        let host = if source.contains("://") {
            file_path(source).map_err(problem)?
        } else {
            directory.join(source)
        };
        if !host.is_dir() {
            let shown = host.display();
            return Err(problem(format!("{shown} is not a directory")));
        }
        let guest = mounted.path.to_string_lossy();
        Ok(Mount {
            host,
            // Guests see paths from their root.
            guest: format!("/{}", guest.trim_start_matches('/')),
        })
    };
    component.files.iter().map(mount).collect()
}

/// The house of a process that serves no models. Nobody asks it: what would is not linked.
struct NoModels;

impl Models for NoModels {
    fn open(&self, spec: &ModelSpec, _request_bytes: usize) -> Told<Arc<dyn OpenModel>> {
        Err(Error::not_found(format!(
            "no models are served here: {}",
            spec.name
        )))
    }

    fn status(&self, name: &str, _version: Option<i64>) -> Told<Vec<ModelVersionStatus>> {
        Err(Error::not_found(format!(
            "no models are served here: {name}"
        )))
    }
}
