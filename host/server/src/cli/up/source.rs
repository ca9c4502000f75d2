//! Which app is meant, and the app made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tensorgate_spin::load::{self, Files, file_url};
use tensorgate_spin::lock::{ContentRef, LockedApp, LockedComponent, LockedSource, LockedTrigger};
use tensorgate_spin::manifest::{self, Manifest};
use tensorgate_spin::run::RunError;

use super::flags::Options;
use super::models::Tables;
use super::say::Voice;
use super::{build, trigger};

/// The name that a manifest has.
const MANIFEST: &str = "spin.toml";

/// Types of triggers that are served.
pub(super) const TRIGGERS: [&str; 2] = ["http", "tensorgate"];

/// Where an app comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Manifest(PathBuf),
    /// A component alone, for all paths.
    Component(PathBuf),
}

impl Source {
    /// The app that was asked for, or the one of this directory or of one above it.
    pub(super) fn find(
        from: Option<&Path>,
        stray: Option<&String>,
        voice: &Voice,
    ) -> Result<Self, RunError> {
        let Some(from) = from else {
            return Self::near(stray, voice);
        };
        if from.is_dir() {
            let manifest = from.join(MANIFEST);
            if !manifest.is_file() {
                return Err(RunError::new(format!(
                    "Directory '{}' does not contain a file named 'spin.toml'",
                    from.display()
                )));
            }
            return Ok(Self::Manifest(manifest));
        }
        if !from.is_file() {
            return Err(RunError::new(format!(
                "Path '{}' does not exist; expected a manifest (spin.toml), a directory with one \
                 in it, or a component (a .wasm file)",
                from.display()
            )));
        }
        match from.extension().and_then(|extension| extension.to_str()) {
            Some("wasm" | "wat") => Ok(Self::Component(from.to_owned())),
            _ => Ok(Self::Manifest(from.to_owned())),
        }
    }

    fn near(stray: Option<&String>, voice: &Voice) -> Result<Self, RunError> {
        let here = PathBuf::from(MANIFEST);
        if here.is_file() {
            return Ok(Self::Manifest(here));
        }
        if let Some(stray) = stray {
            return Err(RunError::new(format!(
                "Default file 'spin.toml' not found. Did you mean `tensorgate up -f {stray}`?"
            )));
        }
        let directory = std::env::current_dir().unwrap_or_default();
        let above = directory.ancestors().skip(1);
        let mut above = above.map(|directory| directory.join(MANIFEST));
        let found = above.find(|manifest| manifest.is_file()).ok_or_else(|| {
            RunError::new(
                "Default file 'spin.toml' not found. Run `tensorgate up --from <APPLICATION>`, or \
                 `tensorgate up --help` for usage.",
            )
        })?;
        voice.say(&format!("Using the app of \"{}\"\n", found.display()));
        Ok(Self::Manifest(found))
    }

    /// The manifest, or the component.
    pub(super) fn path(&self) -> &Path {
        let (Self::Manifest(path) | Self::Component(path)) = self;
        path
    }

    /// The directory that paths are seen from, and beside whose manifest state is kept.
    pub(super) fn directory(&self) -> PathBuf {
        let path = self.path();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        absolute.parent().map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Builds the app, where it is one that is built.
    pub(super) fn build(&self, options: &Options, voice: &Voice) -> Result<(), RunError> {
        let Self::Manifest(path) = self else {
            return Ok(());
        };
        let written = read(path)?;
        let manifest = written
            .clone()
            .normalized(options.profile.as_deref())
            .map_err(|error| failed(path, error))?;
        let order = build::order(&written, &manifest, &options.components);
        build::build(&manifest, &self.directory(), &order, voice)
    }

    /// What the manifest says of models.
    pub(super) fn tables(&self, app: &LockedApp) -> Result<Tables, RunError> {
        trigger::tables(app, Some(&self.directory()))
    }

    /// The app with everything resolved. Files are copied to `copies`, where they are copied.
    pub(super) fn load(
        &self,
        options: &Options,
        copies: &Path,
        voice: &Voice,
    ) -> Result<LockedApp, RunError> {
        let mut app = match self {
            Self::Component(path) => bare(path)?,
            Self::Manifest(path) => {
                let files = if options.direct_mounts {
                    Files::Direct
                } else {
                    Files::Copied(copies.to_owned())
                };
                let loaded = load::load(path, options.profile.as_deref(), &files)
                    .map_err(|error| failed(path, error))?;
                for warning in &loaded.warnings {
                    voice.warning(&warning.to_string());
                }
                loaded.app
            }
        };
        check_triggers(&app)?;
        if !options.components.is_empty() {
            retain(&mut app, &options.components)?;
        }
        for component in &mut app.components {
            component.env.extend(options.env.iter().cloned());
        }
        Ok(app)
    }
}

/// A manifest as it is written.
pub(super) fn read(path: &Path) -> Result<Manifest, RunError> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, error))?;
    let parsed = manifest::parse(&text);
    let (manifest, _warnings) = parsed.map_err(|problems| failed(path, problems))?;
    Ok(manifest)
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> RunError {
    let path = path.display();
    RunError::because(format!("Failed to load manifest from \"{path}\""), error)
}

/// An app of one component, which answers everything.
fn bare(path: &Path) -> Result<LockedApp, RunError> {
    let id = "http-trigger1-component";
    let source = file_url(path).map_err(|error| {
        RunError::because(
            format!("Failed to load component from \"{}\"", path.display()),
            error,
        )
    })?;
    let name = path.file_stem().map(|name| name.to_string_lossy());
    let mut metadata = tensorgate_spin::lock::Values::new();
    metadata.insert("name".to_owned(), name.unwrap_or_default().into());
    Ok(LockedApp {
        metadata,
        triggers: vec![LockedTrigger {
            id: "http-trigger1".to_owned(),
            trigger_type: "http".to_owned(),
            trigger_config: serde_json::json!({ "component": id, "route": "/..." }),
        }],
        components: vec![LockedComponent {
            id: id.to_owned(),
            metadata: tensorgate_spin::lock::Values::new(),
            source: LockedSource {
                content_type: "application/wasm".to_owned(),
                content: ContentRef {
                    source: Some(source),
                    ..ContentRef::default()
                },
            },
            env: BTreeMap::new(),
            files: Vec::new(),
            config: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            trigger_dependencies: BTreeMap::new(),
            host_requirements: tensorgate_spin::lock::Values::new(),
        }],
        ..LockedApp::default()
    })
}

/// Whether all triggers are of types that are served here.
fn check_triggers(app: &LockedApp) -> Result<(), RunError> {
    if app.triggers.is_empty() {
        return Err(RunError::new("No triggers in app"));
    }
    let mut types = app.triggers.iter().map(|trigger| &trigger.trigger_type);
    match types.find(|kind| !TRIGGERS.contains(&kind.as_str())) {
        None => Ok(()),
        Some(other) => Err(RunError::new(format!(
            "the app has a trigger of the type {other:?}, which `tensorgate up` does not serve; \
             accepted are \"http\" and \"tensorgate\", with components of \
             wasi:http/incoming-handler@0.2"
        ))),
    }
}

/// Leaves only what these components need.
fn retain(app: &mut LockedApp, ids: &[String]) -> Result<(), RunError> {
    let known: BTreeSet<&str> = app.components.iter().map(|c| c.id.as_str()).collect();
    if let Some(unknown) = ids.iter().find(|id| !known.contains(id.as_str())) {
        let known: Vec<&str> = known.into_iter().collect();
        return Err(RunError::because(
            "failed to resolve application with only components selected with --component-id",
            RunError::new(format!(
                "Specified component {unknown:?} not found in application; expected one of {}",
                known.join(", ")
            )),
        ));
    }
    let kept = |id: &str| ids.iter().any(|kept| kept == id);
    app.triggers
        .retain(|trigger| trigger.component().is_some_and(kept));
    app.components.retain(|component| kept(&component.id));
    if app.triggers.is_empty() {
        return Err(RunError::new(format!(
            "no trigger starts one of the components {}",
            ids.join(", ")
        )));
    }
    Ok(())
}
