//! Which models are served: the one that two flags name, or those of a ModelServerConfig.
//!
//! Checks and messages are the original's, since people's tooling reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tensorgate_core::{MonitoredServable, ServableVersionPolicy};
use tensorgate_proto::config::{
    self as proto, LoggingConfig, ModelConfig,
    file_system_storage_path_source_config::servable_version_policy::PolicyChoice,
    model_server_config,
};
use tensorgate_types::Error;

use crate::options::ServeOptions;

/// One model to be served.
#[derive(Debug, PartialEq)]
pub(crate) struct ServedModel {
    pub(crate) watched: MonitoredServable,
    pub(crate) labels: BTreeMap<String, i64>,
    /// Which requests to it are written down.
    pub(crate) logging: Option<LoggingConfig>,
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
pub(crate) fn served_models(options: &ServeOptions) -> Result<Vec<ServedModel>, ServedError> {
    let models = match &options.model_config_file {
        Some(file) => from_file(file)?,
        None => vec![from_flags(options)?],
    };
    let mut names = BTreeSet::new();
    for ServedModel { watched, .. } in &models {
        let name = &watched.name;
        if !names.insert(name) {
            return invalid(format!(
                "Illegal to list model {name} multiple times in config list"
            ));
        }
    }
    Ok(models)
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
        watched: MonitoredServable {
            name: options.model_name.clone(),
            base_path: base_path(&options.model_name, &options.model_base_path)?,
            version_policy: ServableVersionPolicy::default(),
        },
        labels: BTreeMap::new(),
        logging: None,
    })
}

fn from_file(file: &Path) -> Result<Vec<ServedModel>, ServedError> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        ServedError::Invalid(format!(
            "cannot read the model config file '{name}': {error}"
        ))
    })?;
    let config =
        proto::parse_model_server_config(&text).map_err(|error| ServedError::Malformed {
            line: format!(
                "Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
            ),
            error: format!("Invalid protobuf file: '{name}'"),
        })?;
    match config.config {
        Some(model_server_config::Config::ModelConfigList(list)) => {
            list.config.into_iter().map(from_config).collect()
        }
        Some(model_server_config::Config::CustomModelConfig(_)) => {
            invalid("ModelServer does not yet support custom model config.".to_owned())
        }
        None => {
            tracing::info!("Taking no action for empty config.");
            Ok(Vec::new())
        }
    }
}

fn from_config(config: ModelConfig) -> Result<ServedModel, ServedError> {
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
        (false, other) => {
            return invalid(format!(
                "Model {name} requests unsupported platform {other}"
            ));
        }
    }
    Ok(ServedModel {
        watched: MonitoredServable {
            base_path: base_path(&name, &config.base_path)?,
            version_policy: version_policy(config.model_version_policy.unwrap_or_default()),
            name,
        },
        labels: config.version_labels,
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
            assert_eq!(found[0].watched.version_policy, expected, "{policy}");
            assert_eq!(found[0].labels, BTreeMap::from([("stable".to_owned(), 1)]));
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
        assert_eq!(found[0].watched.name, "default");
        assert!(with("gs://bucket/m").is_err());
        assert!(with("models/m").is_err());
    }
}
