//! `processor.toml`: what a processor's project builds, and what it is tested with.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files;

/// The file, beside the sources.
const FILE: &str = "processor.toml";

/// A project: its directory, and what its file says.
#[derive(Debug)]
pub(super) struct Project {
    directory: PathBuf,
    pub(super) manifest: Manifest,
}

/// What `processor.toml` says. Paths in it are seen from its directory.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) name: String,
    /// What the build makes.
    component: PathBuf,
    pub(super) build: Build,
    #[serde(default)]
    pub(super) test: Test,
    /// What it may use and see in tests, in the words of `--processor_config_file`.
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) grants: Grants,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// Run by the shell, in the project's directory.
    pub(super) command: String,
    /// Patterns of files: when one changes, it is time to build again.
    #[serde(default)]
    pub(super) watch: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Test {
    /// The version directory, or base path, of the model that the processor stands before.
    model: Option<PathBuf>,
    /// The directory of recorded requests.
    requests: PathBuf,
    /// Other models that the processor calls, by name: `grants.models` has to name them too.
    models: BTreeMap<String, PathBuf>,
}

impl Test {
    /// The directory of recorded requests, seen from the project's.
    pub(super) fn requests(&self) -> &Path {
        &self.requests
    }
}

impl Default for Test {
    fn default() -> Self {
        Self {
            model: None,
            requests: PathBuf::from("tests"),
            models: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) time_ms: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) answer_bytes: Option<u64>,
    pub(super) concurrency: Option<u64>,
    pub(super) waiting: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Grants {
    pub(super) models: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: Vec<Directory>,
    pub(super) address: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) host: PathBuf,
    #[serde(default)]
    pub(super) guest: String,
    #[serde(default)]
    pub(super) writable: bool,
}

impl Project {
    /// The project in a directory.
    ///
    /// # Errors
    /// When there is none, or with the place in its file and what was expected there.
    pub(super) fn open(directory: &Path) -> Result<Self, String> {
        let file = directory.join(FILE);
        let shown = file.display();
        let text = files::text(&file).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!(
                "{shown} is not there: expected a processor's project, such as `tensorgate new \
                 processor` makes"
            ),
            _ => format!("cannot read {shown}: {error}"),
        })?;
        let manifest = Manifest::parse(&text).map_err(|problem| format!("{shown}: {problem}"))?;
        // What is run elsewhere has to find it.
        let directory = std::path::absolute(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Self {
            directory,
            manifest,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the build makes.
    pub(super) fn component(&self) -> PathBuf {
        self.directory.join(&self.manifest.component)
    }

    /// Where the recorded requests are.
    pub(super) fn requests(&self) -> PathBuf {
        self.directory.join(&self.manifest.test.requests)
    }

    /// The model that it is tested with, where its file names one.
    pub(super) fn model(&self) -> Option<PathBuf> {
        let model = self.manifest.test.model.as_ref();
        model.map(|model| self.directory.join(model))
    }

    /// Other models that it calls, by name.
    pub(super) fn other_models(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let all = self.manifest.test.models.iter();
        all.map(|(name, path)| (name.as_str(), self.directory.join(path)))
    }

    /// A path as one who stands where the command was given would write it.
    pub(super) fn shown(path: &Path) -> String {
        let here = std::env::current_dir().ok();
        let short = here.and_then(|here| path.strip_prefix(here).ok());
        short.unwrap_or(path).display().to_string()
    }
}

impl Manifest {
    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (what, is_empty) in [
            ("name", manifest.name.is_empty()),
            ("component", manifest.component.as_os_str().is_empty()),
            ("build.command", manifest.build.command.trim().is_empty()),
        ] {
            if is_empty {
                return Err(format!("{what} is empty"));
            }
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'rows'\ncomponent = 'rows.wasm'\n[build]\ncommand = 'make'\n";

    #[test]
    fn little_has_to_be_said() {
        let manifest = Manifest::parse(LEAST).unwrap();
        assert_eq!(manifest.name, "rows");
        assert_eq!(manifest.component, Path::new("rows.wasm"));
        assert_eq!(manifest.build.watch, [""; 0]);
        assert_eq!(manifest.test, Test::default());
        assert_eq!(manifest.test.requests, Path::new("tests"));
    }

    #[test]
    fn limits_and_grants_have_the_words_of_the_server() {
        let text = format!(
            "{LEAST}watch = ['src/**']\n\
             [test]\nmodel = 'm/1'\nmodels.other = 'o'\n\
             [limits]\ntime_ms = 50\nwaiting = 0\n\
             [grants]\nmodels = ['other']\nenvironment.A = 'b'\naddress = ['10.0.0.7:80']\n\
             [[grants.directory]]\nhost = 'data'\nwritable = true"
        );
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.limits.time_ms, Some(50));
        assert_eq!(manifest.limits.waiting, Some(0));
        assert_eq!(manifest.grants.models, ["other"]);
        assert_eq!(manifest.grants.environment["A"], "b");
        assert!(manifest.grants.directory[0].writable);
        assert_eq!(manifest.test.requests, Path::new("tests"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "missing field `name`"),
            ("name = 1", "invalid type: integer `1`, expected a string"),
            (&format!("{LEAST}wach = []"), "unknown field `wach`"),
            (
                &format!("{LEAST}[limits]\ntime = 1"),
                "unknown field `time`",
            ),
            (&LEAST.replace("'rows'", "''"), "name is empty"),
            (&LEAST.replace("'make'", "' '"), "build.command is empty"),
            ("name", "TOML parse error at line 1"),
        ] {
            let problem = Manifest::parse(text).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        let nothing = tempfile::tempdir().unwrap();
        let problem = Project::open(nothing.path()).unwrap_err();
        assert!(
            problem.contains("expected a processor's project"),
            "{problem}"
        );
    }
}
