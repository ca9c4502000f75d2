//! Which models are served: the one that two flags name, or those of a ModelServerConfig.
//!
//! Checks and messages are the original's, since people's tooling reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tensorgate_core::{CatalogEntry, MonitoredServable, ServableVersionPolicy};
use tensorgate_proto::config::{
    self as proto, LoggingConfig, ModelConfig,
    file_system_storage_path_source_config::servable_version_policy::PolicyChoice,
    model_server_config,
};
use tensorgate_types::Error;

use crate::files;
use crate::options::ServeOptions;

/// One model to be served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServedModel {
    pub(crate) entry: CatalogEntry,
    /// Which requests to it are written down.
    pub(crate) logging: Option<LoggingConfig>,
}

impl ServedModel {
    pub(crate) fn name(&self) -> &str {
        &self.entry.watched.name
    }
}

/// The models whose requests are written down, and how.
pub(crate) fn logging(models: &[ServedModel]) -> impl Iterator<Item = (&str, &LoggingConfig)> {
    models
        .iter()
        .filter_map(|model| Some((model.name(), model.logging.as_ref()?)))
}

/// What flags and files ask for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Served {
    pub(crate) models: Vec<ServedModel>,
    /// What the config file says, where there is one.
    pub(crate) text: Option<String>,
}

/// What was wrong with what the server was told to serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServedError {
    /// The config file is not what its format asks for: the parser's line, for standard error,
    /// and the original's words.
    Malformed { line: String, error: String },
    /// Anything else.
    Invalid(String),
}

/// The models that `options` ask for.
pub(crate) fn served_models(options: &ServeOptions) -> Result<Served, ServedError> {
    let Some(file) = &options.model_config_file else {
        let models = vec![from_flags(options)?];
        return Ok(Served { models, text: None });
    };
    let text = read(file).map_err(ServedError::Invalid)?;
    let models = from_text(file, &text)?.unwrap_or_default();
    Ok(Served {
        models,
        text: Some(text),
    })
}

/// What a config file says.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    files::text(file).map_err(|error| {
        let name = file.display();
        format!("cannot read the model config file '{name}': {error}")
    })
}

fn invalid<T>(message: String) -> Result<T, ServedError> {
    Err(ServedError::Invalid(message))
}

fn from_flags(options: &ServeOptions) -> Result<ServedModel, ServedError> {
    if options.model_base_path.is_empty() {
        return invalid(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
                .to_owned(),
        );
    }
    tracing::info!(
        "Building single TensorFlow model file config:  model_name: {} model_base_path: {}",
        options.model_name,
        options.model_base_path
    );
    Ok(ServedModel {
        entry: CatalogEntry {
            watched: MonitoredServable {
                name: options.model_name.clone(),
                base_path: base_path(&options.model_name, &options.model_base_path)?,
                version_policy: ServableVersionPolicy::default(),
            },
            labels: BTreeMap::new(),
        },
        logging: None,
    })
}

/// The models that the text of a config file lists; none for an empty configuration, which
/// changes nothing.
pub(crate) fn from_text(file: &Path, text: &str) -> Result<Option<Vec<ServedModel>>, ServedError> {
    let name = file.display();
    let config =
        proto::parse_model_server_config(text).map_err(|error| ServedError::Malformed {
            line: format!(
                "Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
            ),
            error: format!("Invalid protobuf file: '{name}'"),
        })?;
    match config.config {
        Some(model_server_config::Config::ModelConfigList(list)) => {
            from_configs(list.config, &BTreeSet::new()).map(Some)
        }
        Some(model_server_config::Config::CustomModelConfig(_)) => {
            invalid("ModelServer does not yet support custom model config.".to_owned())
        }
        None => {
            tracing::info!("Taking no action for empty config.");
            Ok(None)
        }
    }
}

/// A list of models, checked. `known` are those that are served already.
pub(crate) fn from_configs(
    configs: Vec<ModelConfig>,
    known: &BTreeSet<String>,
) -> Result<Vec<ServedModel>, ServedError> {
    let mut names = BTreeSet::new();
    for ModelConfig { name, .. } in &configs {
        if name.is_empty() {
            return invalid("a model in the config list has no name".to_owned());
        }
        if !names.insert(name) {
            return invalid(format!(
                "Illegal to list model {name} multiple times in config list"
            ));
        }
    }
    drop(names);
    let served = |config| from_config(config, known);
    configs.into_iter().map(served).collect()
}

fn from_config(config: ModelConfig, known: &BTreeSet<String>) -> Result<ServedModel, ServedError> {
    let name = config.name;
    let has_type = config.model_type != i32::from(proto::ModelType::Unspecified);
    match (has_type, config.model_platform.as_str()) {
        (false, "") => {
            return invalid(format!(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor \
                 ModelServerConfig::model_platform, model name is {name}"
            ));
        }
        (true, "") if config.model_type == i32::from(proto::ModelType::Tensorflow) => {
            tracing::warn!(
                "Deprecated ModelServerConfig::model_type field used! Prefer \
                 ModelServerConfig::model_platform; model name is {name}"
            );
        }
        (true, "") => return invalid(format!("Model {name} requests unsupported model type")),
        (true, _) => {
            return invalid(format!(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and \
                 ModelServerConfig::model_platform, model name is {name}"
            ));
        }
        (false, "tensorflow") => {}
        (false, other) if known.contains(&name) => {
            return invalid(format!(
                "Illegal to change a model's platform. For model {name} platform was tensorflow \
                 and new platform requested is {other}"
            ));
        }
        (false, other) => {
            return invalid(format!(
                "Model {name} requests unsupported platform {other}"
            ));
        }
    }
    Ok(ServedModel {
        entry: CatalogEntry {
            watched: MonitoredServable {
                base_path: base_path(&name, &config.base_path)?,
                version_policy: version_policy(config.model_version_policy.unwrap_or_default()),
                name,
            },
            labels: config.version_labels,
        },
        logging: config.logging_config,
    })
}

fn version_policy(
    policy: proto::file_system_storage_path_source_config::ServableVersionPolicy,
) -> ServableVersionPolicy {
    match policy.policy_choice {
        None => ServableVersionPolicy::default(),
        Some(PolicyChoice::Latest(latest)) => ServableVersionPolicy::Latest(latest.num_versions),
        Some(PolicyChoice::All(_)) => ServableVersionPolicy::All,
        Some(PolicyChoice::Specific(specific)) => {
            ServableVersionPolicy::Specific(specific.versions)
        }
    }
}

fn base_path(name: &str, path: &str) -> Result<PathBuf, ServedError> {
    let path_or_file = path.strip_prefix("file://").unwrap_or(path);
    if Path::new(path_or_file).is_absolute() {
        return Ok(PathBuf::from(path_or_file));
    }
    if path.contains("://") {
        return invalid(format!(
            "model {name} has the base path {path}: only local paths can be served yet"
        ));
    }
    invalid(format!(
        "Expected model {name} to have an absolute path or URI; got base_path()={path}"
    ))
}

impl From<ServedError> for Error {
    fn from(error: ServedError) -> Self {
        match error {
            ServedError::Malformed { error, .. } => Self::invalid_argument(error),
            ServedError::Invalid(error) => Self::invalid_argument(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(text: &str) -> Result<Vec<ServedModel>, ServedError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        served_models(&ServeOptions {
            model_config_file: Some(file.path().to_owned()),
            ..ServeOptions::default()
        })
        .map(|served| served.models)
    }

    fn config(body: &str) -> Result<Vec<ServedModel>, ServedError> {
        models(&format!("model_config_list {{ config {{ {body} }} }}"))
    }

    #[test]
    fn reads_policies_and_labels() {
        for (policy, expected) in [
            ("", ServableVersionPolicy::Latest(1)),
            (
                "latest { num_versions: 2 }",
                ServableVersionPolicy::Latest(2),
            ),
            ("all {}", ServableVersionPolicy::All),
            (
                "specific { versions: 1 versions: 3 }",
                ServableVersionPolicy::Specific(vec![1, 3]),
            ),
        ] {
            let found = config(&format!(
                "name: 'm' base_path: '/m' model_platform: 'tensorflow'
                 model_version_policy {{ {policy} }}
                 version_labels {{ key: 'stable' value: 1 }}"
            ))
            .unwrap();
            assert_eq!(found[0].entry.watched.version_policy, expected, "{policy}");
            assert_eq!(
                found[0].entry.labels,
                BTreeMap::from([("stable".to_owned(), 1)])
            );
        }
    }

    #[test]
    fn refuses_in_the_words_of_the_original() {
        let platform = "model_platform: 'tensorflow'";
        for (body, expected) in [
            (
                format!("name: 'm' base_path: 'm' {platform}"),
                "Expected model m to have an absolute path or URI; got base_path()=m",
            ),
            (
                "name: 'm' base_path: '/m'".to_owned(),
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor \
                 ModelServerConfig::model_platform, model name is m",
            ),
            (
                format!("name: 'm' base_path: '/m' model_type: TENSORFLOW {platform}"),
                "Illegal setting both ModelServerConfig::model_type (deprecated) and \
                 ModelServerConfig::model_platform, model name is m",
            ),
            (
                "name: 'm' base_path: '/m' model_platform: 'torch'".to_owned(),
                "Model m requests unsupported platform torch",
            ),
            (
                format!("base_path: '/m' {platform}"),
                "a model in the config list has no name",
            ),
        ] {
            assert_eq!(
                config(&body).unwrap_err(),
                ServedError::Invalid(expected.to_owned())
            );
        }
        let one = format!("config {{ name: 'm' base_path: '/m' {platform} }}");
        assert_eq!(
            models(&format!("model_config_list {{ {one} {one} }}")).unwrap_err(),
            ServedError::Invalid(
                "Illegal to list model m multiple times in config list".to_owned()
            )
        );
    }

    #[test]
    fn a_file_that_is_not_in_the_format_is_named() {
        let ServedError::Malformed { line, error } = config("nonsense: 1").unwrap_err() else {
            panic!("it parses");
        };
        let start = "Error parsing text-format tensorflow.serving.ModelServerConfig: ";
        assert!(line.starts_with(start), "{line}");
        assert!(error.starts_with("Invalid protobuf file: '/"), "{error}");
    }

    #[test]
    fn a_model_that_is_served_keeps_its_platform() {
        let config = ModelConfig {
            name: "m".to_owned(),
            base_path: "/m".to_owned(),
            model_platform: "torch".to_owned(),
            ..ModelConfig::default()
        };
        assert_eq!(
            from_configs(vec![config], &BTreeSet::from(["m".to_owned()])).unwrap_err(),
            ServedError::Invalid(
                "Illegal to change a model's platform. For model m platform was tensorflow and \
                 new platform requested is torch"
                    .to_owned()
            )
        );
    }

    #[test]
    fn custom_configs_are_refused_and_logging_is_kept() {
        let any = "custom_model_config { type_url: 'a/b' }";
        assert_eq!(
            models(any).unwrap_err(),
            ServedError::Invalid(
                "ModelServer does not yet support custom model config.".to_owned()
            )
        );
        let found = config(
            "name: 'm' base_path: '/m' model_platform: 'tensorflow'
             logging_config {
               log_collector_config { type: 'file' filename_prefix: '/log' }
               sampling_config { sampling_rate: 0.5 }
             }",
        );
        let logging = found.unwrap().remove(0).logging.unwrap();
        assert_eq!(logging.sampling_config.unwrap().sampling_rate, 0.5);
        assert_eq!(
            logging.log_collector_config.unwrap().filename_prefix,
            "/log"
        );
    }

    #[test]
    fn an_empty_config_serves_nothing() {
        assert_eq!(models("").unwrap(), []);
    }

    #[test]
    fn flags_name_one_model_by_an_absolute_path() {
        let with = |path: &str| {
            served_models(&ServeOptions {
                model_base_path: path.to_owned(),
                ..ServeOptions::default()
            })
            .map(|served| served.models)
        };
        assert_eq!(
            with("").unwrap_err(),
            ServedError::Invalid(
                "Both server_options.model_base_path and server_options.model_config_file are \
                 empty!"
                    .to_owned()
            )
        );
        let found = with("/models/m").unwrap();
        assert_eq!(found[0].entry.watched.name, "default");
        assert!(with("gs://bucket/m").is_err());
        assert!(with("models/m").is_err());
    }
}
