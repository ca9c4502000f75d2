//! What is asked about models and not of them: metadata, status, and another set of models.
//!
//! These messages are small, and are decoded by the generated code.

use prost::Message as _;
use tensorgate_proto::tensorflow::serving as proto;
use tensorgate_proto::tensorflow::serving::file_system_storage_path_source_config::servable_version_policy::PolicyChoice;
use tensorgate_types::{
    Error, LoggingConfig, ModelConfig, ModelSpec, ModelVersionPolicy, Result, VersionChoice,
};

use super::source::Source;
use super::write::{put_bytes, put_spec, put_text};
use super::{missing_spec, open};
use crate::described::signature_defs;
use crate::inference::{Inference, Model, Range};
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

/// The largest of these messages that is decoded: a list of a hundred thousand models.
const MAX_LENGTH: u64 = 32 << 20;

fn decode<T: prost::Message + Default>(message: &impl Message, name: &str) -> Result<T> {
    if message.length() > MAX_LENGTH {
        return Err(Error::resource_exhausted(format!(
            "a {name} may have {MAX_LENGTH} bytes, this one has {}",
            message.length()
        )));
    }
    let bytes = Source::new(message).copy(Range {
        offset: 0,
        length: message.length(),
    })?;
    T::decode(&*bytes).map_err(|error| Error::internal(format!("cannot parse {name}: {error}")))
}

fn model_spec(spec: proto::ModelSpec) -> ModelSpec {
    use proto::model_spec::VersionChoice as Choice;
    ModelSpec {
        name: spec.name,
        version: match spec.version_choice {
            None => VersionChoice::Latest,
            Some(Choice::Version(version)) => VersionChoice::Specific(version),
            Some(Choice::VersionLabel(label)) => VersionChoice::Label(label),
        },
    }
}

/// `GetModelMetadata`.
pub(super) fn metadata(
    message: &impl Message,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    const NAME: &str = "tensorflow.serving.GetModelMetadataRequest";
    const FIELD: &str = "signature_def";
    let request: proto::GetModelMetadataRequest = decode(message, NAME)?;
    let spec = model_spec(request.model_spec.ok_or_else(missing_spec)?);
    outcome.model.clone_from(&spec.name);
    if request.metadata_field.is_empty() {
        return Err(Error::invalid_argument(
            "GetModelMetadataRequest must specify at least one metadata_field",
        ));
    }
    if let Some(other) = request.metadata_field.iter().find(|field| *field != FIELD) {
        return Err(Error::invalid_argument(format!(
            "Metadata field {other} is not supported"
        )));
    }
    let model = open(inference, &spec, outcome)?;
    let version = model.version();

    // As the exporter wrote them, where no processor covers them: nothing that this build does not
    // know is lost.
    let mut map = Vec::new();
    for (name, def) in signature_defs(&model) {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, name.as_bytes());
        put_bytes(&mut entry, 2, &def);
        put_bytes(&mut map, 1, &entry);
    }
    let mut any = Vec::new();
    let type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap";
    put_text(&mut any, 1, type_url);
    if !map.is_empty() {
        put_bytes(&mut any, 2, &map);
    }
    let mut entry = Vec::new();
    put_text(&mut entry, 1, FIELD);
    put_bytes(&mut entry, 2, &any);
    let mut answer = Vec::new();
    put_spec(&mut answer, 1, &spec.name, version, "");
    put_bytes(&mut answer, 2, &entry);
    Ok(vec![Chunk::Bytes(answer)])
}

/// `GetModelStatus`.
pub(super) fn status(
    message: &impl Message,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    const NAME: &str = "tensorflow.serving.GetModelStatusRequest";
    let request: proto::GetModelStatusRequest = decode(message, NAME)?;
    let spec = model_spec(request.model_spec.ok_or_else(missing_spec)?);
    outcome.model.clone_from(&spec.name);
    let version = match spec.version {
        VersionChoice::Specific(version) => Some(version),
        // The original ignores labels here, even ones that it does not know.
        VersionChoice::Latest | VersionChoice::Label(_) => None,
    };
    let mut versions = inference.status(&spec.name, version)?;
    if versions.is_empty() {
        return Err(Error::not_found(match version {
            None => format!("Could not find any versions of model {}", spec.name),
            Some(version) => format!("Could not find version {version} of model {}", spec.name),
        }));
    }
    versions.sort_by_key(|status| std::cmp::Reverse(status.version));
    let model_version_status = versions
        .into_iter()
        .map(|version| {
            let (code, error_message) = match version.status {
                Ok(()) => (0, String::new()),
                Err((code, message)) => (code.number(), message),
            };
            proto::ModelVersionStatus {
                version: version.version,
                state: version.state.number().cast_signed(),
                status: Some(proto::StatusProto {
                    error_code: code.cast_signed(),
                    error_message,
                }),
            }
        })
        .collect();
    let answer = proto::GetModelStatusResponse {
        model_version_status,
    };
    Ok(vec![Chunk::Bytes(answer.encode_to_vec())])
}

/// `HandleReloadConfigRequest`.
pub(super) fn reload(message: &impl Message, services: &impl Services) -> Result<Vec<Chunk>> {
    use proto::metric::ValueIncrease;
    use proto::model_server_config::Config;
    let request: proto::ReloadConfigRequest =
        decode(message, "tensorflow.serving.ReloadConfigRequest")?;
    let Some(Config::ModelConfigList(list)) = request.config.and_then(|config| config.config)
    else {
        return Err(Error::invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only \
             ModelConfigList is currently supported",
        ));
    };
    let models = list.config.into_iter().map(model_config).collect();
    let grown = services.reload(Some(models), &request.metric_names)?;
    let answer = proto::ReloadConfigResponse {
        status: Some(proto::StatusProto::default()),
        metric: grown
            .into_iter()
            .map(|(name, increase)| proto::Metric {
                name,
                value_increase: Some(ValueIncrease::Int64ValueIncrease(increase)),
            })
            .collect(),
    };
    Ok(vec![Chunk::Bytes(answer.encode_to_vec())])
}

fn model_config(config: proto::ModelConfig) -> ModelConfig {
    let policy = config
        .model_version_policy
        .and_then(|policy| policy.policy_choice);
    ModelConfig {
        name: config.name,
        base_path: config.base_path,
        model_type: config.model_type,
        model_platform: config.model_platform,
        version_policy: policy.map(|policy| match policy {
            PolicyChoice::Latest(latest) => ModelVersionPolicy::Latest(latest.num_versions),
            PolicyChoice::All(_) => ModelVersionPolicy::All,
            PolicyChoice::Specific(these) => ModelVersionPolicy::Specific(these.versions),
        }),
        version_labels: config.version_labels.into_iter().collect(),
        logging: config.logging_config.map(|logging| {
            let collector = logging.log_collector_config.unwrap_or_default();
            LoggingConfig {
                collector: collector.r#type,
                filename_prefix: collector.filename_prefix,
                sampling_rate: logging
                    .sampling_config
                    .map_or(0.0, |sampling| sampling.sampling_rate),
            }
        }),
    }
}
