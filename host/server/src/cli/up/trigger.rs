//! The trigger plugin: what `spin up` starts for triggers of the type `tensorgate`.
//!
//! Spin hands over a locked app and its own flags:
//!
//! ```text
//! SPIN_LOCKED_URL      file:///.../spin.lock, the app with everything resolved
//! SPIN_WORKING_DIR     where Spin has put copies of files
//! SPIN_LOCAL_APP_DIR   the directory of the manifest, for an app that has one
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tensorgate_spin::load::file_path;
use tensorgate_spin::lock::LockedApp;
use tensorgate_spin::run::RunError;

use super::super::flag::Flag;
use super::super::serve_flags::{OWN, SERVING};
use super::super::{complain, print, usage};
use super::flags::{PLUGIN, RUN, SHORT};
use super::models::{TABLE, Tables, tool_table};
use super::say::Voice;
use super::serve::{self, Setup};
use super::{Options, read, unknown};

/// The name of the program as a plugin.
pub(in super::super) const NAME: &str = "trigger-tensorgate";

/// The type of the triggers that it serves.
const TYPE: &str = "tensorgate";

/// Runs the plugin.
pub(in super::super) fn run(args: &[String]) -> ExitCode {
    let (options, further) = match read(PLUGIN, args) {
        Ok(read) => read,
        Err(problem) => return complain(&problem),
    };
    if options.help_args_only || options.help {
        print(&help());
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = unknown(&further, PLUGIN) {
        return complain(&unknown);
    }
    let voice = match Voice::take() {
        Ok(voice) => voice,
        Err(error) => return complain(&format!("cannot use standard error: {error}")),
    };
    let ended = if options.launch_metadata_only {
        metadata().map(|text| voice.say(&text))
    } else {
        start(&options, &further, &voice)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            voice.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// What `spin up --help` shows under its own flags.
fn help() -> String {
    let flags: Vec<_> = RUN.iter().filter(|flag| flag.name != "help").collect();
    format!(
        "TENSORGATE TRIGGER OPTIONS:\n{}\nFlags of `tensorgate serve`, such as \
         --model_config_file, are for the models.\n",
        usage::help(&flags)
    )
}

/// The names of the flags, which Spin asks for where an app has several types of triggers.
fn metadata() -> Result<String, RunError> {
    let own = RUN.iter().chain(PLUGIN).map(|flag| {
        let long = format!("--{}", flag.name);
        let mut named = serde_json::Map::new();
        let short = SHORT
            .iter()
            .find(|(short, full)| short.len() == 2 && *full == long);
        if let Some((short, _)) = short {
            named.insert("short".to_owned(), (*short).into());
        }
        named.insert("long".to_owned(), long.into());
        named
    });
    let serving = SERVING.iter().chain(OWN);
    let serving =
        serving.filter(|flag| !RUN.iter().any(|own: &Flag<Options>| own.name == flag.name));
    let serving = serving.map(|flag| {
        let mut named = serde_json::Map::new();
        named.insert("long".to_owned(), format!("--{}", flag.name).into());
        named
    });
    let all: Vec<_> = own.chain(serving).collect();
    let all = serde_json::json!({ "all_flags": all });
    serde_json::to_string_pretty(&all)
        .map(|text| text + "\n")
        .map_err(|error| RunError::because("cannot write the flags", error))
}

fn start(options: &Options, further: &[String], voice: &Voice) -> Result<(), RunError> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| {
            RunError::new(format!(
                "{name} is not set: this is a plugin of Spin's, which `spin up` starts for \
                 [[trigger.{TYPE}]]; `tensorgate up` needs no Spin"
            ))
        })
    };
    let url = variable("SPIN_LOCKED_URL")?;
    let directory = PathBuf::from(variable("SPIN_WORKING_DIR")?);
    let local = std::env::var_os("SPIN_LOCAL_APP_DIR").map(PathBuf::from);
    let app = read_lock(&url)?;
    let setup = Setup {
        options,
        models: tables(&app, local.as_deref())?.wanted(further)?,
        trigger_types: &[TYPE],
        app_directory: local,
        directory,
        voice,
    };
    serve::run(&setup, &app, None).map(drop)
}

fn read_lock(url: &str) -> Result<LockedApp, RunError> {
    let path = file_path(url)
        .map_err(|problem| RunError::because("SPIN_LOCKED_URL is not that of a file", problem))?;
    let shown = path.display();
    let json = std::fs::read(&path).map_err(|error| {
        RunError::because(format!("failed to read manifest at \"{shown}\""), error)
    })?;
    LockedApp::from_json(&json)
        .map_err(|error| RunError::because("failed to parse app lock file JSON", error))
}

/// The settings for models: of `[application.trigger.tensorgate]`, which is in the lock, and of
/// `[application.tool.tensorgate]` in the manifest, where that is still there.
pub(super) fn tables(app: &LockedApp, local: Option<&Path>) -> Result<Tables, RunError> {
    let manifest = app
        .metadata
        .get("origin")
        .and_then(serde_json::Value::as_str);
    let manifest = manifest.and_then(|origin| file_path(origin).ok());
    let manifest = manifest.filter(|manifest| manifest.is_file());
    let beside = manifest.as_deref().and_then(Path::parent);
    let directory = local.or(beside).map(Path::to_owned).unwrap_or_default();
    let mut tables = Vec::new();
    let of_trigger = app.metadata.get("triggers").and_then(|all| all.get(TABLE));
    if let Some(settings) = of_trigger {
        let table = toml::Table::try_from(settings).map_err(|error| {
            RunError::because(
                format!("[application.trigger.{TABLE}] cannot be used"),
                error,
            )
        })?;
        tables.push(table);
    }
    if let Some(manifest) = manifest {
        tables.extend(tool_table(&manifest)?);
    }
    Ok(Tables { tables, directory })
}
