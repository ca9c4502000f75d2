//! TensorFlow Serving's surface as lists of names: what docs/compatibility.md must have a row for.
//!
//! The names are facts of TensorFlow Serving 2.20's sources, its protocol files among them. What
//! has no name of its own (a behaviour, a text) is in the page alone.

/// Every flag of the original's command line.
const FLAGS: [&str; 48] = [
    "port",
    "grpc_socket_path",
    "rest_api_port",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "rest_api_enable_cors_support",
    "enable_batching",
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_per_model_batching_parameters",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "model_name",
    "model_base_path",
    "num_load_threads",
    "num_unload_threads",
    "max_num_load_retries",
    "load_retry_interval_micros",
    "file_system_poll_wait_seconds",
    "flush_filesystem_caches",
    "tensorflow_session_parallelism",
    "tensorflow_session_config_file",
    "tensorflow_intra_op_parallelism",
    "tensorflow_inter_op_parallelism",
    "use_alts_credentials",
    "ssl_config_file",
    "platform_config_file",
    "per_process_gpu_memory_fraction",
    "saved_model_tags",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "enable_model_warmup",
    "num_request_iterations_for_warmup",
    "version",
    "monitoring_config_file",
    "remove_unused_fields_from_bundle_metagraph",
    "prefer_tflite_model",
    "num_tflite_pools",
    "num_tflite_interpreters_per_pool",
    "enable_signature_method_name_check",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
    "enable_profiler",
    "thread_pool_factory_config_file",
    "mixed_precision",
    "skip_initialize_tpu",
    "enable_grpc_healthcheck_service",
    "enable_serialization_as_tensor_content",
];

/// Every call of every service, those of the services that gRPC servers commonly have included.
const CALLS: &[&str] = &[
    "tensorflow.serving.PredictionService/Predict",
    "tensorflow.serving.PredictionService/Classify",
    "tensorflow.serving.PredictionService/Regress",
    "tensorflow.serving.PredictionService/MultiInference",
    "tensorflow.serving.PredictionService/GetModelMetadata",
    "tensorflow.serving.ModelService/GetModelStatus",
    "tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "tensorflow.serving.SessionService/SessionRun",
    "tensorflow.ProfilerService/Profile",
    "tensorflow.ProfilerService/Terminate",
    "tensorflow.ProfilerService/Monitor",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Every route of the HTTP port.
const ROUTES: &[&str] = &[
    "POST /v1/models/MODEL:predict",
    "POST /v1/models/MODEL:classify",
    "POST /v1/models/MODEL:regress",
    "GET /v1/models/MODEL",
    "GET /v1/models/MODEL/metadata",
    "/versions/N",
    "/labels/L",
    "GET /monitoring/prometheus/metrics",
    "OPTIONS /v1/...",
];

/// Every metric under its name in TensorFlow.
const METRICS: &[&str] = &[
    "/tensorflow/serving/request_count",
    "/tensorflow/serving/request_latency",
    "/tensorflow/serving/runtime_latency",
    "/tensorflow/serving/request_example_counts",
    "/tensorflow/serving/request_example_count_total",
    "/tensorflow/serving/model_warmup_latency",
    "/tensorflow/serving/model_warmup_records_read",
    "/tensorflow/serving/request_log_count",
    "/tensorflow/serving/mlmd_map",
    "/tensorflow/serving/batching_session/queuing_latency",
    "/tensorflow/serving/batching_session/wrapped_run_count",
    "/tensorflow/serving/batching_session/padding_size",
    "/tensorflow/serving/batching_session/input_batch_size",
    "/tensorflow/serving/batching_session/processed_batch_size",
    "/tensorflow/cc/saved_model/load_attempt_count",
    "/tensorflow/cc/saved_model/load_latency",
    "/tensorflow/cc/saved_model/load_latency_by_stage",
    "/tensorflow/core/graph_runs",
    "/tensorflow/core/graph_run_time_usecs",
    "/tensorflow/core/graph_run_time_usecs_histogram",
    "/tensorflow/core/graph_run_input_tensor_bytes",
    "/tensorflow/core/graph_run_output_tensor_bytes",
    "/tensorflow/core/saved_model/read/count",
];

/// Every field of every configuration message.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "ModelServerConfig",
        &["model_config_list", "custom_model_config"],
    ),
    (
        "ModelConfig",
        &[
            "name",
            "base_path",
            "model_type",
            "model_platform",
            "logging_config",
            "model_version_policy",
            "version_labels",
        ],
    ),
    ("ServableVersionPolicy", &["latest", "all", "specific"]),
    (
        "LoggingConfig",
        &[
            "log_collector_config",
            "sampling_config",
            "custom_logging_config",
        ],
    ),
    ("LogCollectorConfig", &["type", "filename_prefix"]),
    (
        "SamplingConfig",
        &["sampling_rate", "attributes", "per_task_sampling_configs"],
    ),
    ("MonitoringConfig", &["prometheus_config"]),
    ("PrometheusConfig", &["enable", "path"]),
    (
        "SSLConfig",
        &["server_key", "server_cert", "custom_ca", "client_verify"],
    ),
    ("PlatformConfigMap", &["platform_configs"]),
    (
        "SessionBundleConfig",
        &[
            "session_target",
            "session_config",
            "batching_parameters",
            "session_run_load_threadpool_index",
            "experimental_transient_ram_bytes_during_load",
            "saved_model_tags",
            "in_graph_batching_parameters",
            "experimental_fixed_input_tensors",
            "enable_model_warmup",
            "model_warmup_options",
            "enable_session_metadata",
            "remove_unused_fields_from_bundle_metagraph",
            "prefer_tflite_model",
            "resource_estimation_uses_validation_result",
            "num_tflite_interpreters",
            "num_tflite_interpreters_per_pool",
            "num_tflite_pools",
            "wrap_session_with_no_threading_params",
            "enable_per_model_batching_params",
            "enable_saved_model_config",
            "mixed_precision",
        ],
    ),
    (
        "BatchingParameters",
        &[
            "max_batch_size",
            "batch_timeout_micros",
            "max_enqueued_batches",
            "num_batch_threads",
            "thread_pool_name",
            "allowed_batch_sizes",
            "pad_variable_length_inputs",
            "enable_large_batch_splitting",
            "max_execution_batch_size",
        ],
    ),
];

/// Every state that a version is reported in.
const STATES: &[&str] = &["START", "LOADING", "AVAILABLE", "UNLOADING", "END"];

/// Every name that must have a row.
pub(super) fn all() -> Vec<String> {
    let flags = FLAGS.iter().map(|flag| format!("--{flag}"));
    let fields = FIELDS
        .iter()
        .flat_map(|(message, fields)| fields.iter().map(move |field| format!("{message}.{field}")));
    let others = [CALLS, ROUTES, METRICS, STATES];
    let others = others.into_iter().flatten().map(|name| (*name).to_owned());
    flags.chain(fields).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::repo::Repo;

    #[test]
    fn names_nothing_twice() {
        let names = all();
        let once: BTreeSet<&String> = names.iter().collect();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn has_every_flag_that_the_page_on_configuration_has() {
        let page = Repo::find().unwrap().root().join("docs/configuration.md");
        let text = fs::read_to_string(page).unwrap();
        let rows: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        for flag in FLAGS {
            assert!(rows.contains(flag), "docs/configuration.md has no {flag}");
        }
    }
}
