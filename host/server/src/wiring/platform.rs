//! The two files that say from where TensorFlow gets its sessions and its threads:
//! `--platform_config_file` and `--thread_pool_factory_config_file`.
//!
//! As in the original, the platform config file replaces what the flags say of sessions, batching,
//! tags, warm-up and TensorFlow Lite, wholly: what it does not set is off. Out come options with
//! its values in the places of the flags', so that nothing behind them knows where a value is from.
//!
//! **Invariant:** a field that has no effect here is named in the log when a file sets it.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use tensorgate_proto::config::{
    self as proto, PlatformConfig, PlatformConfigMap, SavedModelBundleSourceAdapterConfig,
    SessionBundleConfig, ThreadPoolFactoryConfig,
};

use crate::files;
use crate::options::{PlatformOptions, ServeOptions};

use super::ServedError;
use super::batching;

/// The one platform that models may have here.
const PLATFORM: &str = "tensorflow";

/// What configures it.
const ADAPTER: &str = "tensorflow.serving.SavedModelBundleSourceAdapterConfig";

/// The options with what the platform config file says, where there is one.
///
/// # Errors
/// When the file is none, or says something that cannot be had here.
pub(crate) fn with_platform(options: &ServeOptions) -> Result<ServeOptions, ServedError> {
    let Some(file) = &options.platform_config_file else {
        return Ok(options.clone());
    };
    let map: PlatformConfigMap = parse("tensorflow.serving.PlatformConfigMap", file)?;
    let name = file.display();
    let invalid = |what: String| ServedError::Invalid(format!("'{name}': {what}"));
    let bundle = session_bundle(map.platform_configs).map_err(invalid)?;
    tracing::info!(
        "The platform config file '{name}' replaces the flags on sessions, batching, tags, \
         warm-up and TensorFlow Lite"
    );
    for field in without_effect(&bundle) {
        tracing::warn!("--platform_config_file: {field} has no effect");
    }
    apply(options, bundle).map_err(invalid)
}

/// Checks the file on thread pools, where there is one.
///
/// # Errors
/// When the file is none.
pub(crate) fn check_thread_pools(options: &ServeOptions) -> Result<(), ServedError> {
    let Some(file) = &options.thread_pool_factory_config_file else {
        return Ok(());
    };
    let config: ThreadPoolFactoryConfig =
        parse("tensorflow.serving.ThreadPoolFactoryConfig", file)?;
    let factory = config.thread_pool_factory_config.unwrap_or_default();
    tracing::warn!(
        "--thread_pool_factory_config_file has no effect: TensorFlow's C API takes no threads of \
         others; the file names the factory '{}'",
        factory.type_url
    );
    Ok(())
}

fn parse<M: Message + Default>(message: &str, file: &Path) -> Result<M, ServedError> {
    let name = file.display();
    let unreadable = |problem: std::io::Error| {
        ServedError::Invalid(format!("Invalid protobuf file: '{name}': {problem}"))
    };
    let text = files::text(file).map_err(unreadable)?;
    proto::parse(message, &text).map_err(|error| ServedError::Malformed {
        line: format!("Error parsing text-format {message}: {error}"),
        error: format!("Invalid protobuf file: '{name}'"),
    })
}

/// What the map says of the one platform that there is.
fn session_bundle(
    mut platforms: BTreeMap<String, PlatformConfig>,
) -> Result<SessionBundleConfig, String> {
    let config = platforms.remove(PLATFORM);
    if let Some(other) = platforms.keys().next() {
        return Err(format!(
            "the platform {other} is not supported; the only one is {PLATFORM}"
        ));
    }
    let adapter = config
        .ok_or_else(|| {
            format!("there is no platform {PLATFORM}, so that no model could be served")
        })?
        .source_adapter_config
        .ok_or_else(|| format!("the platform {PLATFORM} has no source_adapter_config"))?;
    let kind = adapter.type_url.rsplit('/').next().unwrap_or_default();
    if kind != ADAPTER {
        return Err(format!(
            "the source_adapter_config of the platform {PLATFORM} is a '{kind}'; expected a \
             {ADAPTER}"
        ));
    }
    let adapter = SavedModelBundleSourceAdapterConfig::decode(adapter.value.as_slice())
        .map_err(|error| format!("the source_adapter_config is no {ADAPTER}: {error}"))?;
    Ok(adapter.legacy_config.unwrap_or_default())
}

/// The fields that are set and mean nothing here.
fn without_effect(bundle: &SessionBundleConfig) -> Vec<&'static str> {
    let warm_up = bundle.model_warmup_options.clone().unwrap_or_default();
    let fields = [
        ("session_target", !bundle.session_target.is_empty()),
        (
            "session_run_load_threadpool_index",
            bundle.session_run_load_threadpool_index.is_some(),
        ),
        (
            "experimental_transient_ram_bytes_during_load",
            bundle.experimental_transient_ram_bytes_during_load != 0,
        ),
        (
            "in_graph_batching_parameters",
            bundle.in_graph_batching_parameters.is_some(),
        ),
        (
            "experimental_fixed_input_tensors",
            !bundle.experimental_fixed_input_tensors.is_empty(),
        ),
        (
            "model_warmup_options.num_model_warmup_threads",
            warm_up.num_model_warmup_threads.is_some(),
        ),
        (
            "model_warmup_options.model_name",
            !warm_up.model_name.is_empty(),
        ),
        (
            "model_warmup_options.model_version",
            warm_up.model_version != 0,
        ),
        (
            "model_warmup_options.enable_all_batch_sizes_warmup",
            warm_up.enable_all_batch_sizes_warmup,
        ),
        ("enable_session_metadata", bundle.enable_session_metadata),
        (
            "resource_estimation_uses_validation_result",
            bundle.resource_estimation_uses_validation_result,
        ),
        (
            "num_tflite_interpreters",
            bundle.num_tflite_interpreters != 0,
        ),
        (
            "wrap_session_with_no_threading_params",
            bundle.wrap_session_with_no_threading_params,
        ),
        (
            "enable_saved_model_config",
            bundle.enable_saved_model_config,
        ),
    ];
    let set = fields.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name).collect()
}

/// The file's values in the places of the flags'.
fn apply(options: &ServeOptions, bundle: SessionBundleConfig) -> Result<ServeOptions, String> {
    if let Some(parameters) = &bundle.batching_parameters {
        batching::check(parameters)?;
    }
    let count = |value: i32| usize::try_from(value).unwrap_or(0);
    let warm_up = bundle.model_warmup_options.unwrap_or_default();
    Ok(ServeOptions {
        enable_batching: bundle.batching_parameters.is_some(),
        batching_parameters_file: None,
        enable_per_model_batching_parameters: bundle.enable_per_model_batching_params,
        session_config_file: None,
        saved_model_tags: match bundle.saved_model_tags {
            tags if tags.is_empty() => vec!["serve".to_owned()],
            tags => tags,
        },
        enable_model_warmup: bundle.enable_model_warmup,
        warmup_iterations: count(warm_up.num_request_iterations.unwrap_or(0)),
        prefer_tflite_model: bundle.prefer_tflite_model,
        num_tflite_pools: count(bundle.num_tflite_pools),
        num_tflite_interpreters_per_pool: count(bundle.num_tflite_interpreters_per_pool).max(1),
        mixed_precision: bundle.mixed_precision,
        platform: Some(PlatformOptions {
            session_config: bundle.session_config.unwrap_or_default(),
            batching_parameters: bundle.batching_parameters,
        }),
        ..options.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn told(text: &str) -> Result<ServeOptions, ServedError> {
        let file = file(text);
        with_platform(&ServeOptions {
            platform_config_file: Some(file.path().to_owned()),
            // All of these are the file's affair now.
            saved_model_tags: vec!["other".to_owned()],
            inter_op_parallelism: 7,
            batching_parameters_file: Some("/not/read".into()),
            session_config_file: Some("/not/read".into()),
            num_tflite_pools: 9,
            ..ServeOptions::default()
        })
    }

    fn bundle(fields: &str) -> String {
        format!(
            "platform_configs {{ key: 'tensorflow' value {{ source_adapter_config {{
               [type.googleapis.com/{ADAPTER}] {{ legacy_config {{ {fields} }} }}
             }} }} }}"
        )
    }

    #[test]
    fn the_file_takes_the_place_of_the_flags() {
        let options = told(&bundle(
            "session_config { inter_op_parallelism_threads: 3 gpu_options { allow_growth: true } }
             batching_parameters { max_batch_size { value: 8 } }
             saved_model_tags: 'serve' saved_model_tags: 'gpu'
             enable_model_warmup: true
             model_warmup_options { num_request_iterations { value: 4 } }
             prefer_tflite_model: true num_tflite_pools: 2 num_tflite_interpreters_per_pool: 3
             mixed_precision: 'bfloat16'",
        ))
        .unwrap();
        let platform = options.platform.as_ref().unwrap();
        assert_eq!(platform.session_config.inter_op_parallelism_threads, 3);
        let batching = platform.batching_parameters.as_ref().unwrap();
        assert_eq!(batching.max_batch_size, Some(8));
        assert!(options.enable_batching);
        assert_eq!(options.batching_parameters_file, None);
        assert_eq!(options.saved_model_tags, ["serve", "gpu"]);
        assert!(options.enable_model_warmup);
        assert_eq!(options.warmup_iterations, 4);
        assert!(options.prefer_tflite_model);
        assert_eq!(options.num_tflite_pools, 2);
        assert_eq!(options.num_tflite_interpreters_per_pool, 3);
        assert_eq!(options.mixed_precision, "bfloat16");
        let session = super::super::session::session_config(&options).unwrap();
        let session =
            tensorgate_proto::tensorflow::ConfigProto::decode(session.as_slice()).unwrap();
        assert_eq!(session.inter_op_parallelism_threads, 3);
        assert!(session.gpu_options.unwrap().allow_growth);
    }

    #[test]
    fn what_the_file_does_not_set_is_off_whatever_the_flags_say() {
        let options = told(&bundle("")).unwrap();
        assert_eq!(options.saved_model_tags, ["serve"]);
        assert!(!options.enable_model_warmup);
        assert!(!options.enable_batching);
        assert_eq!(options.num_tflite_pools, 0);
        assert_eq!(super::super::session::parallelism(&options), (0, 0));
        let none = ServeOptions::default();
        assert_eq!(with_platform(&none).unwrap(), none);
    }

    #[test]
    fn fields_without_an_effect_are_named() {
        let set = |fields: &str| {
            let text = bundle(fields);
            let message = "tensorflow.serving.PlatformConfigMap";
            let map: PlatformConfigMap = proto::parse(message, &text).unwrap();
            without_effect(&session_bundle(map.platform_configs).unwrap())
        };
        assert!(set("enable_model_warmup: true num_tflite_pools: 1").is_empty());
        assert_eq!(
            set(
                "session_target: 'grpc://x' session_run_load_threadpool_index { value: 0 }
                 experimental_transient_ram_bytes_during_load: 1
                 in_graph_batching_parameters {} experimental_fixed_input_tensors { name: 'x' }
                 model_warmup_options { num_model_warmup_threads { value: 2 } model_name: 'm'
                   model_version: 1 enable_all_batch_sizes_warmup: true }
                 enable_session_metadata: true resource_estimation_uses_validation_result: true
                 num_tflite_interpreters: 1 wrap_session_with_no_threading_params: true
                 enable_per_model_batching_params: true enable_saved_model_config: true
                 remove_unused_fields_from_bundle_metagraph: true"
            ),
            [
                "session_target",
                "session_run_load_threadpool_index",
                "experimental_transient_ram_bytes_during_load",
                "in_graph_batching_parameters",
                "experimental_fixed_input_tensors",
                "model_warmup_options.num_model_warmup_threads",
                "model_warmup_options.model_name",
                "model_warmup_options.model_version",
                "model_warmup_options.enable_all_batch_sizes_warmup",
                "enable_session_metadata",
                "resource_estimation_uses_validation_result",
                "num_tflite_interpreters",
                "wrap_session_with_no_threading_params",
                "enable_saved_model_config",
            ]
        );
    }

    #[test]
    fn what_cannot_be_had_ends_the_start_by_name() {
        for (text, words) in [
            ("", "there is no platform tensorflow"),
            (
                "platform_configs { key: 'torch' value {} }",
                "the platform torch is not supported; the only one is tensorflow",
            ),
            (
                "platform_configs { key: 'tensorflow' value {} }",
                "the platform tensorflow has no source_adapter_config",
            ),
            (
                "platform_configs { key: 'tensorflow' value { source_adapter_config {
                   type_url: 'type.googleapis.com/a.B' } } }",
                "is a 'a.B'; expected a tensorflow.serving.SavedModelBundleSourceAdapterConfig",
            ),
            (
                bundle("batching_parameters { num_batch_threads { value: 0 } }").as_str(),
                "num_batch_threads must be positive; was 0",
            ),
        ] {
            let Err(ServedError::Invalid(error)) = told(text) else {
                panic!("{text} is taken");
            };
            assert!(error.contains(words), "{error}");
        }
        for text in ["nonsense: 1", &bundle("nonsense: 1")] {
            let Err(ServedError::Malformed { line, error }) = told(text) else {
                panic!("{text} parses");
            };
            let start = "Error parsing text-format tensorflow.serving.PlatformConfigMap: ";
            assert!(line.starts_with(start), "{line}");
            assert!(error.starts_with("Invalid protobuf file: '/"), "{error}");
        }
        let missing = with_platform(&ServeOptions {
            platform_config_file: Some("/not/there".into()),
            ..ServeOptions::default()
        });
        let Err(ServedError::Invalid(error)) = missing else {
            panic!("it is there");
        };
        assert!(error.contains("'/not/there': No such file"), "{error}");
    }

    #[test]
    fn the_file_on_thread_pools_is_checked() {
        let told = |text: &str| {
            let file = file(text);
            check_thread_pools(&ServeOptions {
                thread_pool_factory_config_file: Some(file.path().to_owned()),
                ..ServeOptions::default()
            })
        };
        let factory = "thread_pool_factory_config { type_url: 'a/b.Factory' value: '' }";
        assert_eq!(told(factory), Ok(()));
        assert_eq!(told(""), Ok(()));
        let Err(ServedError::Malformed { line, .. }) = told("thread_pool: 1") else {
            panic!("it parses");
        };
        let start = "Error parsing text-format tensorflow.serving.ThreadPoolFactoryConfig: ";
        assert!(line.starts_with(start), "{line}");
    }
}
