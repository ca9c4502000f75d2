//! From a manifest to a locked app: paths made absolute, files put in place, dependencies found.
//!
//! What is written is what `spin up` writes for the same manifest. Nothing is fetched: sources on
//! the network are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Value, json};
use thiserror::Error;
use url::Url;

use crate::files::Copier;
use crate::hosts;
use crate::lock::{
    ContentPath, ContentRef, LockedApp, LockedComponent, LockedDependency, LockedSource,
    LockedTrigger, MustUnderstand, REQUIRED, SERVICE_CHAINING, Values, Variable,
};
use crate::manifest::dependency::{Dependency, From, Inherit};
use crate::manifest::{
    self, Component, ComponentId, ComponentRef, DependencyKey, Invalid, Manifest, Mount, Ordered,
    Problem, Source, Trigger,
};

/// Where components see their files.
#[derive(Clone, Debug)]
pub enum Files {
    /// Copies below this directory, one directory for each component.
    Copied(PathBuf),
    /// Directories where they are: large ones, and those that change. No patterns.
    Direct,
}

/// Why a manifest makes no app.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is none.
    #[error("failed to read the manifest {}: {error}", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// Why it is not.
        error: io::Error,
    },
    /// Something is wrong with it.
    #[error("{} is no manifest that can be run:\n{problems}", path.display())]
    Invalid {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problems: Invalid,
    },
    /// It does not fit together.
    #[error(transparent)]
    Normalize(#[from] manifest::NormalizeError),
    /// A component cannot be loaded.
    #[error("failed to load component `{component}`: {reason}")]
    Component {
        /// Which.
        component: String,
        /// Why.
        reason: String,
    },
    /// A path is none that a URL can say.
    #[error("couldn't resolve {}", .0.display())]
    Path(PathBuf),
}

/// A manifest, loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The app.
    pub app: LockedApp,
    /// What is doubtful about the manifest.
    pub warnings: Vec<Problem>,
}

/// Loads a manifest.
///
/// # Errors
///
/// It is not there or not good, or something that it names is not.
pub fn load(path: &Path, profile: Option<&str>, files: &Files) -> Result<Loaded, LoadError> {
    let path = std::path::absolute(path).map_err(|error| LoadError::Read {
        path: path.to_owned(),
        error,
    })?;
    let text = fs::read_to_string(&path).map_err(|error| LoadError::Read {
        path: path.clone(),
        error,
    })?;
    let (manifest, warnings) = manifest::parse(&text).map_err(|problems| LoadError::Invalid {
        path: path.clone(),
        problems,
    })?;
    let manifest = manifest.normalized(profile)?;
    let root = path.parent().unwrap_or(Path::new("/"));
    let mut app = lock(manifest, root, files)?;
    app.metadata
        .insert("origin".to_owned(), file_url(&path)?.into());
    Ok(Loaded { app, warnings })
}

/// The locked app of a manifest that is in its one form, whose paths are seen from `root`.
///
/// # Errors
///
/// Something that it names is not there.
pub fn lock(manifest: Manifest, root: &Path, files: &Files) -> Result<LockedApp, LoadError> {
    let metadata = metadata(&manifest);
    let Manifest {
        variables,
        triggers,
        components,
        ..
    } = manifest;
    let components = components
        .into_iter()
        .map(|(id, component)| {
            let name = id.0.clone();
            lock_component(id, component, root, files).map_err(|reason| LoadError::Component {
                component: name,
                reason,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let demanding = components
        .iter()
        .any(|component| !component.host_requirements.is_empty());
    Ok(LockedApp {
        must_understand: if demanding {
            vec![MustUnderstand::ComponentHostRequirements]
        } else {
            Vec::new()
        },
        metadata,
        variables: variables
            .into_iter()
            .map(|(name, variable)| {
                let locked = Variable {
                    description: variable.description,
                    default: variable.default,
                    secret: variable.secret,
                };
                (name.0, locked)
            })
            .collect(),
        triggers: triggers
            .into_iter()
            .flat_map(|(kind, triggers)| {
                triggers
                    .into_iter()
                    .map(move |trigger| lock_trigger(&kind, trigger))
            })
            .collect(),
        components,
        ..LockedApp::default()
    })
}

fn metadata(manifest: &Manifest) -> Values {
    let application = &manifest.application;
    let mut metadata = Values::new();
    put_text(&mut metadata, "name", &application.name);
    put_text(&mut metadata, "version", &application.version);
    put_text(&mut metadata, "description", &application.description);
    put_texts(&mut metadata, "authors", &application.authors);
    metadata.insert("triggers".to_owned(), json!(application.trigger));
    // Where there is but one type, older hosts want its settings here.
    if let [kind] = manifest.triggers.keys().collect::<Vec<_>>().as_slice() {
        let mut single = json!(application.trigger.get(kind.as_str()));
        if !single.is_object() {
            single = json!({});
        }
        single["type"] = json!(kind);
        metadata.insert("trigger".to_owned(), single);
    }
    metadata
}

fn put_text(values: &mut Values, key: &str, text: &str) {
    if !text.is_empty() {
        values.insert(key.to_owned(), text.into());
    }
}

fn put_texts<T: serde::Serialize>(values: &mut Values, key: &str, texts: &[T]) {
    if !texts.is_empty() {
        values.insert(key.to_owned(), json!(texts));
    }
}

fn lock_trigger(kind: &str, trigger: Trigger) -> LockedTrigger {
    let id = |reference: &ComponentRef| match reference {
        ComponentRef::Id(id) => Value::from(id.0.clone()),
        // Its one form has names only.
        ComponentRef::Inline(_) => Value::Null,
    };
    let mut config = json!(trigger.config);
    if let Some(component) = &trigger.component {
        config["component"] = id(component);
    }
    if !trigger.components.is_empty() {
        let further = trigger.components.iter();
        let further: Values = further
            .map(|(key, all)| (key.clone(), all.iter().map(id).collect()))
            .collect();
        config["components"] = further.into();
    }
    LockedTrigger {
        id: trigger.id,
        trigger_type: kind.to_owned(),
        trigger_config: config,
    }
}

fn lock_component(
    id: ComponentId,
    component: Component,
    root: &Path,
    files: &Files,
) -> Result<LockedComponent, String> {
    let mut allowed = component.allowed_outbound_hosts.clone();
    allowed.extend(hosts::from_http_hosts(&component.allowed_http_hosts)?);
    let chains = allowed.iter().any(|entry| hosts::is_internal(entry));
    let mut metadata = Values::new();
    put_text(&mut metadata, "description", &component.description);
    put_texts(&mut metadata, "allowed_outbound_hosts", &allowed);
    put_texts(
        &mut metadata,
        "key_value_stores",
        &component.key_value_stores,
    );
    put_texts(&mut metadata, "databases", &component.sqlite_databases);
    put_texts(&mut metadata, "ai_models", &component.ai_models);
    if let Some(build) = &component.build {
        metadata.insert("build".to_owned(), json!(build));
    }
    let mut host_requirements = Values::new();
    if chains {
        host_requirements.insert(SERVICE_CHAINING.to_owned(), REQUIRED.into());
    }
    Ok(LockedComponent {
        metadata,
        source: lock_source(&component.source, root)?,
        files: lock_files(&id, &component, root, files)?,
        env: component.environment.into_iter().collect(),
        config: component
            .variables
            .into_iter()
            .map(|(name, template)| (name.0, template))
            .collect(),
        dependencies: lock_dependencies(&component.dependencies, root)?,
        trigger_dependencies: BTreeMap::new(),
        host_requirements,
        id: id.0,
    })
}

fn lock_source(source: &Source, root: &Path) -> Result<LockedSource, String> {
    match source {
        Source::File(path) => wasm(&root.join(path)),
        Source::Url { url, .. } => Err(unsupported(&format!("the URL {url:?}"))),
        Source::Registry {
            package, version, ..
        } => Err(unsupported(&format!("the package \"{package}@{version}\""))),
    }
}

fn unsupported(what: &str) -> String {
    format!(
        "its source is {what}, which would have to be fetched: that is not supported here, \
         expected a file (`source = \"component.wasm\"`)"
    )
}

fn wasm(path: &Path) -> Result<LockedSource, String> {
    Ok(LockedSource {
        content_type: "application/wasm".to_owned(),
        content: file(path).map_err(|error| error.to_string())?,
    })
}

fn lock_dependencies(
    dependencies: &Ordered<DependencyKey, Dependency>,
    root: &Path,
) -> Result<BTreeMap<String, LockedDependency>, String> {
    let mut locked = BTreeMap::new();
    for (DependencyKey(name), dependency) in dependencies {
        let source = match &dependency.from {
            From::File(path) => wasm(&root.join(path)),
            From::Url { url, .. } => Err(unsupported(&format!("the URL {url:?}"))),
            From::Registry {
                package, version, ..
            } => {
                let package = package.as_deref().or(name.package()).unwrap_or_default();
                Err(unsupported(&format!(
                    "the package \"{package}\", {version}"
                )))
            }
            From::Component(id) => Err(format!("component {id} was not resolved")),
        };
        let source = source.map_err(|reason| format!("dependency `{name}`: {reason}"))?;
        let inherit = dependency.inherit.as_ref().map(Inherit::locked);
        locked.insert(
            name.to_string(),
            LockedDependency {
                source,
                export: dependency.export.clone(),
                inherit: inherit.unwrap_or_default(),
            },
        );
    }
    Ok(locked)
}

fn lock_files(
    id: &ComponentId,
    component: &Component,
    root: &Path,
    files: &Files,
) -> Result<Vec<ContentPath>, String> {
    if component.files.is_empty() {
        return Ok(Vec::new());
    }
    match files {
        Files::Copied(directory) => {
            let into = directory.join(&id.0);
            let copier = Copier::new(root, &into, &component.exclude_files)?;
            component
                .files
                .iter()
                .try_for_each(|mount| copier.copy(mount))?;
            Ok(vec![ContentPath {
                content: file(&into).map_err(|error| error.to_string())?,
                path: "/".into(),
            }])
        }
        Files::Direct if !component.exclude_files.is_empty() => {
            Err("cannot load a component with `exclude_files` using --direct-mounts".to_owned())
        }
        Files::Direct => component
            .files
            .iter()
            .map(|mount| direct(mount, root))
            .collect(),
    }
}

fn direct(mount: &Mount, root: &Path) -> Result<ContentPath, String> {
    let (source, destination) = match mount {
        Mount::Pattern(path) => (path, path),
        Mount::Placement {
            source,
            destination,
        } => (source, destination),
    };
    let path = root.join(source);
    if !path.is_dir() {
        return Err(format!(
            "only directory mounts are supported with `--direct-mounts`; {source:?} is not a \
             directory"
        ));
    }
    Ok(ContentPath {
        content: file(&path).map_err(|error| error.to_string())?,
        path: destination.into(),
    })
}

fn file(path: &Path) -> Result<ContentRef, LoadError> {
    Ok(ContentRef {
        source: Some(file_url(path)?),
        ..ContentRef::default()
    })
}

/// The `file:` URL of a path.
///
/// # Errors
///
/// The working directory is gone, or the path is none that a URL can say.
pub fn file_url(path: &Path) -> Result<String, LoadError> {
    let wrong = || LoadError::Path(path.to_owned());
    let absolute = std::path::absolute(path).map_err(|_| wrong())?;
    Url::from_file_path(absolute)
        .map(Into::into)
        .map_err(|()| wrong())
}

/// The path of a `file:` URL.
///
/// # Errors
///
/// It is another URL, or none.
pub fn file_path(url: &str) -> Result<PathBuf, String> {
    let parsed = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    if parsed.scheme() != "file" {
        return Err(format!("{url:?} is not the URL of a file"));
    }
    parsed
        .to_file_path()
        .map_err(|()| format!("{url:?} is not the URL of a file"))
}
