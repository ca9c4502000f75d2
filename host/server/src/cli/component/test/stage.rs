//! What a test serves: the model's version with the processor in it, and the other models.
//!
//! **Invariant:** the model's own directory is only read. What is served is a directory of links
//! that goes when the test ends.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::project::{Grants, Limits, Manifest, Project};

/// Where a version's processor is.
const EXTRA: &str = "assets.extra";
const PROCESSOR: &str = "processor.wasm";

/// What the server is told to serve.
#[derive(Debug)]
pub(super) struct Stage {
    directory: TempDir,
    /// Where the component lies in it.
    pub(super) processor: PathBuf,
    /// The model that requests are sent to.
    pub(super) model: String,
}

impl Stage {
    /// Puts the project's component beside the version in `model`.
    ///
    /// # Errors
    /// When there is no such model, or no room.
    pub(super) fn set(project: &Project, model: &Path, name: Option<&str>) -> Result<Self, String> {
        let (version_directory, version) = version_of(model)?;
        let model = match name {
            Some(name) => name.to_owned(),
            None => name_of(&version_directory, version).ok_or_else(|| {
                format!("{}: what is it called? expected --model", model.display())
            })?,
        };
        let no_room = |error: io::Error| format!("cannot make a directory for the test: {error}");
        let directory = tempfile::Builder::new()
            .prefix("tensorgate-test-")
            .tempdir()
            .map_err(no_room)?;
        let place = directory.path();
        let mut config = "model_config_list {\n".to_owned();
        let staged = place.join("models/0").join(version.to_string());
        fs::create_dir_all(&staged).map_err(no_room)?;
        link_all(&version_directory, &staged, EXTRA)
            .and_then(|()| {
                let extra = staged.join(EXTRA);
                fs::create_dir(&extra)?;
                let own = version_directory.join(EXTRA);
                if own.is_dir() {
                    link_all(&own, &extra, PROCESSOR)?;
                }
                symlink(project.component(), extra.join(PROCESSOR))
            })
            .map_err(no_room)?;
        let processor = staged.join(EXTRA).join(PROCESSOR);
        entry(&mut config, &model, &place.join("models/0"));
        for (number, (name, path)) in (1..).zip(project.other_models()) {
            let (version_directory, version) = version_of(&path)?;
            let base = place.join(format!("models/{number}"));
            fs::create_dir_all(&base)
                .and_then(|()| symlink(&version_directory, base.join(version.to_string())))
                .map_err(no_room)?;
            entry(&mut config, name, &base);
        }
        config.push_str("}\n");
        let processors = processors(&model, &project.manifest, project.directory());
        fs::write(place.join("models.pbtxt"), config)
            .and_then(|()| fs::write(place.join("processors.pbtxt"), processors))
            .map_err(no_room)?;
        Ok(Self {
            directory,
            processor,
            model,
        })
    }

    /// The flags that make a server serve this.
    pub(super) fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        vec![
            format!("--model_config_file={}", file("models.pbtxt")),
            format!("--processor_config_file={}", file("processors.pbtxt")),
        ]
    }
}

/// Links to everything in a directory but for one entry.
fn link_all(from: &Path, to: &Path, but: &str) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != but {
            symlink(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The version directory that a path is, or the highest version of the base path that it is.
fn version_of(path: &Path) -> Result<(PathBuf, i64), String> {
    let shown = path.display();
    // A link in the staged directory must lead somewhere, wherever the server is started.
    let path = fs::canonicalize(path).map_err(|error| format!("{shown}: {error}"))?;
    if is_version(&path) {
        let number = number_of(&path).unwrap_or(1);
        return Ok((path, number));
    }
    let entries = fs::read_dir(&path).map_err(|error| format!("{shown}: {error}"))?;
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_version(path))
        .filter_map(|path| number_of(&path).map(|number| (path, number)))
        .max_by_key(|(_, number)| *number)
        .ok_or_else(|| {
            format!(
                "{shown} is no model: expected a version directory, with a saved_model.pb, or a \
                 base path of some"
            )
        })
}

fn is_version(path: &Path) -> bool {
    ["saved_model.pb", "saved_model.pbtxt", "model.tflite"]
        .iter()
        .any(|file| path.join(file).is_file())
}

fn number_of(version: &Path) -> Option<i64> {
    let number = version.file_name()?.to_str()?.parse().ok()?;
    Some(number).filter(|number| *number >= 0)
}

/// The model's name by where it is: the directory above its versions, or its own.
fn name_of(directory: &Path, version: i64) -> Option<String> {
    let is_numbered = number_of(directory) == Some(version);
    let named = if is_numbered {
        directory.parent()?
    } else {
        directory
    };
    Some(named.file_name()?.to_str()?.to_owned())
}

/// Infallible below: a String takes everything.
fn entry(config: &mut String, name: &str, base: &Path) {
    let _ = writeln!(
        config,
        "  config {{ name: {} base_path: {} model_platform: 'tensorflow' }}",
        quoted(name),
        quoted(&base.display().to_string())
    );
}

/// A text as protobuf's text format has it.
fn quoted(text: &str) -> String {
    let mut quoted = "'".to_owned();
    for byte in text.bytes() {
        match byte {
            b'\'' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..0x7f => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('\'');
    quoted
}

/// The configuration of the processor: the server reads it, and says what is wrong with it.
fn processors(model: &str, manifest: &Manifest, directory: &Path) -> String {
    let mut text = format!("processor {{\n  model: {}\n", quoted(model));
    let Limits {
        time_ms,
        memory_bytes,
        answer_bytes,
        concurrency,
        waiting,
    } = manifest.limits;
    let _ = writeln!(text, "  limits {{");
    for (name, limit) in [
        ("time_ms", time_ms),
        ("memory_bytes", memory_bytes),
        ("answer_bytes", answer_bytes),
        ("concurrency", concurrency),
        ("waiting", waiting),
    ] {
        if let Some(limit) = limit {
            let _ = writeln!(text, "    {name}: {limit}");
        }
    }
    let _ = writeln!(text, "  }}\n  grants {{");
    let Grants {
        models,
        environment,
        directory: directories,
        address,
    } = &manifest.grants;
    for model in models {
        let _ = writeln!(text, "    models: {}", quoted(model));
    }
    for (key, value) in environment {
        let (key, value) = (quoted(key), quoted(value));
        let _ = writeln!(text, "    environment {{ key: {key} value: {value} }}");
    }
    for granted in directories {
        let host = directory.join(&granted.host).display().to_string();
        // Inside it has the name that the project gives it, not that of this machine's place.
        let guest = match granted.guest.as_str() {
            "" => granted.host.display().to_string(),
            guest => guest.to_owned(),
        };
        let _ = writeln!(
            text,
            "    directory {{ host: {} guest: {} writable: {} }}",
            quoted(&host),
            quoted(&guest),
            granted.writable
        );
    }
    for address in address {
        let _ = writeln!(text, "    address: {}", quoted(address));
    }
    text.push_str("  }\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ProcessorConfig;

    fn project(place: &Path, more: &str) -> Project {
        let text = format!("name = 'p'\ncomponent = 'p.wasm'\n[build]\ncommand = 'make'\n{more}");
        fs::write(place.join("processor.toml"), text).unwrap();
        fs::write(place.join("p.wasm"), "new").unwrap();
        Project::open(place).unwrap()
    }

    fn version(place: &Path) {
        fs::create_dir_all(place.join("assets.extra")).unwrap();
        fs::write(place.join("saved_model.pb"), "").unwrap();
        fs::write(place.join("assets.extra/processor.wasm"), "old").unwrap();
        fs::write(place.join("assets.extra/other"), "other").unwrap();
    }

    #[test]
    fn the_version_is_served_with_the_component_that_was_built() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        version(&place.join("it's/3"));
        version(&place.join("it's/20"));
        version(&place.join("other/1"));
        let project = project(place, "[test]\nmodels.o = 'other'");
        let stage = Stage::set(&project, &place.join("it's"), None).unwrap();
        assert_eq!(stage.model, "it's");
        let read = |path: &str| fs::read_to_string(stage.directory.path().join(path)).unwrap();
        assert_eq!(read("models/0/20/assets.extra/processor.wasm"), "new");
        assert_eq!(read("models/0/20/assets.extra/other"), "other");
        assert_eq!(read("models/0/20/saved_model.pb"), "");
        assert_eq!(read("models/1/1/assets.extra/other"), "other");
        assert!(read("models.pbtxt").contains("name: 'it\\'s'"));
        let old = place.join("it's/20/assets.extra/processor.wasm");
        assert_eq!(fs::read_to_string(old).unwrap(), "old");
    }

    #[test]
    fn a_model_is_found_by_its_version_or_its_base_path() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        version(&place.join("m/7"));
        version(&place.join("loose"));
        let project = project(place, "");
        let named = |path: &str, name| {
            let stage = Stage::set(&project, &place.join(path), name);
            stage.map(|stage| stage.model)
        };
        assert_eq!(named("m", None).unwrap(), "m");
        assert_eq!(named("m/7", None).unwrap(), "m");
        assert_eq!(named("m/7", Some("n")).unwrap(), "n");
        assert_eq!(named("loose", None).unwrap(), "loose");
        for path in [".", "nowhere", "p.wasm"] {
            assert!(named(path, None).is_err(), "{path}");
        }
    }

    #[test]
    fn the_server_understands_limits_and_grants() {
        let place = tempfile::tempdir().unwrap();
        let project = project(
            place.path(),
            "[limits]\ntime_ms = 50\n[grants]\nmodels = ['ä']\nenvironment.A = \"b\\n'\"\n\
             address = ['10.0.0.7:80']\n[[grants.directory]]\nhost = 'data'\nguest = '/data'",
        );
        let text = processors("m", &project.manifest, place.path());
        let config = ProcessorConfig::parse(&text).unwrap().of("m");
        assert_eq!(config.rights.time.as_millis(), 50);
        assert_eq!(config.rights.models, ["ä"]);
        let grants = config.rights.grants;
        assert_eq!(grants.environment, [("A".to_owned(), "b\n'".to_owned())]);
        assert_eq!(grants.directories[0].host, place.path().join("data"));
        assert_eq!(grants.directories[0].guest, "/data");
    }
}
