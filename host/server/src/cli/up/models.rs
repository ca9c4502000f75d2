//! The models that an app wants in its own process: from the tables of its manifest, and from
//! flags of `tensorgate serve` beside those of `up`.
//!
//! ```toml
//! [application.tool.tensorgate]
//! models = { half_plus_two = "models/half_plus_two" }
//! enable_batching = true
//! ```

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tensorgate_spin::run::RunError;

use crate::options::{Manner, Port, ServeOptions};

use super::super::flag::{self, Flag};
use super::super::serve_flags::{OWN, SERVING};

/// The table in `[application.tool]` and `[application.trigger]`.
pub(crate) const TABLE: &str = "tensorgate";

/// The key that is no flag: models by name, with their base paths.
const MODELS: &str = "models";

/// Flags that say which models there are.
const SAY_MODELS: [&str; 2] = ["model_base_path", "model_config_file"];

/// Flags whose values are paths, which manifests have seen from their own directory.
const PATHS: &[&str] = &[
    "grpc_socket_path",
    "batching_parameters_file",
    "model_config_file",
    "model_base_path",
    "tensorflow_session_config_file",
    "ssl_config_file",
    "platform_config_file",
    "monitoring_config_file",
    "thread_pool_factory_config_file",
    "libtensorflow",
    "liblitert",
    "gateway_component",
    "cache_dir",
    "processor_config_file",
    "component_store",
    "admin_token_file",
];

/// What models are to be served with.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) options: ServeOptions,
    /// The list of models, where the manifest has one. There as long as this is.
    _list: Option<tempfile::NamedTempFile>,
}

/// Settings as a table has them, and the directory that its paths are seen from.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Tables {
    pub(crate) tables: Vec<toml::Table>,
    pub(crate) directory: PathBuf,
}

impl Tables {
    /// The models that tables and flags ask for; none where they name no models. Later tables go
    /// before earlier ones, and flags before tables.
    pub(crate) fn wanted(&self, args: &[String]) -> Result<Option<Wanted>, RunError> {
        let flags: Vec<&Flag<ServeOptions>> = SERVING.iter().chain(OWN).collect();
        let mut options = ServeOptions {
            // An app has a door of its own; who wants those of the server too names their ports.
            port: Port::Off,
            rest_api_port: Port::Off,
            ..ServeOptions::for_manner(Manner::Tensorgate)
        };
        let mut says_models = false;
        let mut list = None;
        for table in &self.tables {
            for (name, value) in table {
                if name == MODELS {
                    list = Some(self.list(value)?);
                } else {
                    says_models |= SAY_MODELS.contains(&name.as_str());
                    self.set(&flags, &mut options, name, value)?;
                }
            }
        }
        let found = flag::parse(&flags, args, &mut options)
            .map_err(|error| RunError::new(error.to_string()))?;
        if let Some(unknown) = found.unknown.first() {
            return Err(RunError::new(unknown_flag(unknown)));
        }
        says_models |= SAY_MODELS.iter().any(|name| found.given.contains(name));
        match (list, says_models) {
            (Some(_), true) => Err(RunError::new(format!(
                "[application.tool.{TABLE}] has models, and model_config_file or model_base_path \
                 are set too; expected one of them"
            ))),
            (Some(list), false) => {
                options.model_config_file = Some(list.path().to_owned());
                Ok(Some(Wanted {
                    options,
                    _list: Some(list),
                }))
            }
            (None, true) => Ok(Some(Wanted {
                options,
                _list: None,
            })),
            (None, false) if self.tables.iter().all(toml::Table::is_empty) && args.is_empty() => {
                Ok(None)
            }
            (None, false) => Err(RunError::new(format!(
                "settings for models are there, and no models; expected models = {{ name = \
                 \"path\" }} in [application.tool.{TABLE}], or model_config_file or \
                 model_base_path"
            ))),
        }
    }

    fn set(
        &self,
        flags: &[&Flag<ServeOptions>],
        options: &mut ServeOptions,
        name: &str,
        value: &toml::Value,
    ) -> Result<(), RunError> {
        let wrong = |what: String| RunError::new(format!("[application.tool.{TABLE}]: {what}"));
        let flag = flags.iter().find(|flag| flag.name == name);
        let flag = flag.ok_or_else(|| {
            let near = flag::did_you_mean(flags, name);
            let hint = near.map(|near| format!("; did you mean {near}?"));
            wrong(format!(
                "{name} is no setting: expected models or the name of a flag of `tensorgate \
                 serve`{}",
                hint.unwrap_or_default()
            ))
        })?;
        let text = match value {
            toml::Value::String(text) if PATHS.contains(&name) && !text.is_empty() => {
                self.directory.join(text).display().to_string()
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                return Err(wrong(format!(
                    "{name} is {}; expected a {}",
                    value.type_str(),
                    flag.type_name()
                )));
            }
        };
        let set = flag.set(options, &text);
        set.map_err(|error| wrong(error.to_string()))
    }

    /// A file that lists the models of a table, as the server reads it.
    fn list(&self, models: &toml::Value) -> Result<tempfile::NamedTempFile, RunError> {
        let wrong = |what: &str| {
            RunError::new(format!(
                "[application.tool.{TABLE}]: {what}; expected models = {{ name = \"path\" }}"
            ))
        };
        let models = models
            .as_table()
            .ok_or_else(|| wrong("models is no table"))?;
        if models.is_empty() {
            return Err(wrong("models is empty"));
        }
        let mut text = String::from("model_config_list {\n");
        for (name, path) in models {
            let path = path
                .as_str()
                .ok_or_else(|| wrong(&format!("the path of the model {name} is no text")))?;
            let path = self.directory.join(path);
            let _ = writeln!(
                text,
                "  config {{ name: {} base_path: {} model_platform: \"tensorflow\" }}",
                quoted(name),
                quoted(&path.to_string_lossy())
            );
        }
        text.push_str("}\n");
        let written = tempfile::NamedTempFile::new().and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            Ok(file)
        });
        written.map_err(|error| RunError::because("cannot write the list of models", error))
    }
}

/// A text of protobuf's text format.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            other => {
                let _ = write!(quoted, "\\{other:03o}");
            }
        }
    }
    quoted.push('"');
    quoted
}

/// What is said of an argument that neither `up` nor the server knows.
fn unknown_flag(argument: &str) -> String {
    format!("unexpected argument '{argument}' found; `tensorgate up --help` has them all")
}

/// The table of a manifest for this program, in the place that Spin leaves free for tools.
pub(super) fn tool_table(manifest: &Path) -> Result<Option<toml::Table>, RunError> {
    let manifest = super::source::read(manifest)?;
    Ok(manifest.application.tool.get(TABLE).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> Tables {
        Tables {
            tables: vec![text.parse().unwrap()],
            directory: PathBuf::from("/app"),
        }
    }

    fn args(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    #[test]
    fn paths_are_seen_from_the_manifest_and_flags_go_before_it() {
        let tables = tables(
            "model_base_path = 'm'\nmodel_name = 'a'\nenable_batching = true\nrun_threads = 3\n\
             rest_api_port = 'auto'",
        );
        let wanted = tables.wanted(&args(&["--model_name=b"])).unwrap().unwrap();
        let options = wanted.options;
        assert_eq!(options.model_base_path, "/app/m");
        assert_eq!(options.model_name, "b");
        assert!(options.enable_batching);
        assert_eq!(options.run_threads, 3);
        assert_eq!(
            (options.port, options.rest_api_port),
            (Port::Off, Port::Auto)
        );
    }

    #[test]
    fn a_table_of_models_is_a_config_file() {
        let wanted = tables("[models]\none = 'm/1'\ntwo = '/abs \"x\"'").wanted(&[]);
        let wanted = wanted.unwrap().unwrap();
        let file = wanted.options.model_config_file.unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.contains("name: \"one\" base_path: \"/app/m/1\""),
            "{text}"
        );
        assert!(text.contains(r#"base_path: "/abs \"x\"""#), "{text}");
    }

    #[test]
    fn without_models_nothing_is_wanted() {
        assert!(Tables::default().wanted(&[]).unwrap().is_none());
        assert!(tables("").wanted(&[]).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, flags, words) in [
            (
                "model_base_pth = 'm'",
                &[][..],
                "did you mean model_base_path?",
            ),
            ("models = 'm'", &[], "models is no table"),
            ("[models]", &[], "models is empty"),
            ("[models]\na = 1", &[], "the model a is no text"),
            (
                "enable_batching = 'perhaps'",
                &[],
                "Couldn't interpret value perhaps",
            ),
            ("enable_batching = []", &[], "is array; expected a bool"),
            ("enable_batching = true", &[], "and no models"),
            (
                "[models]\na = 'm'",
                &["--model_base_path=/x"],
                "expected one of them",
            ),
            ("", &["--nonsense"], "unexpected argument '--nonsense'"),
        ] {
            let problem = tables(text).wanted(&args(flags)).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn every_path_is_a_flag() {
        for path in PATHS {
            let known = SERVING.iter().chain(OWN).any(|flag| flag.name == *path);
            assert!(known, "{path}");
        }
    }
}
