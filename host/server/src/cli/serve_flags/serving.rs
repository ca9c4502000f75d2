//! The flags of TensorFlow Serving. One that does nothing yet is a row of `later`.

use std::time::Duration;

use tensorgate_core::Polling;

use crate::options::{Port, ServeOptions, list};

use super::super::flag::{Flag, Value};
use super::{Row, acts, count, path, threads};

const fn later(
    name: &'static str,
    default: &'static str,
    value: Value<ServeOptions>,
    help: &'static str,
) -> Row {
    Flag {
        name,
        default,
        value,
        acts: false,
        help,
    }
}

// Values of flags that do nothing are checked all the same: a typing error should not wait
// until the day on which the flag begins to act.
const BOOL: Value<ServeOptions> = Value::Bool(|_, _| ());

/// The flags of TensorFlow Serving, in the order of its usage text.
pub(crate) const SERVING: &[Row] = &[
    acts(
        "port",
        "8500",
        Value::Other("port", |o, v| Port::parse(v).map(|port| o.port = port)),
        "TCP port for gRPC; 0 for none, `auto` for any free one.",
    ),
    acts(
        "grpc_socket_path",
        "",
        Value::Text(|o, v| o.grpc_socket_path = path(v)),
        "UNIX socket for gRPC.",
    ),
    acts(
        "rest_api_port",
        "0",
        Value::Other("port", |o, v| {
            Port::parse(v).map(|port| o.rest_api_port = port)
        }),
        "TCP port for HTTP; 0 for none, `auto` for any free one. `tensorgate serve` has 8501.",
    ),
    acts(
        "rest_api_num_threads",
        "0",
        Value::Int32(|o, v| o.rest_api_num_threads = count(v)),
        "How many HTTP requests are handled at a time; 0 leaves it to `sandbox_slots`. gRPC calls are not counted.",
    ),
    acts(
        "rest_api_timeout_in_ms",
        "30000",
        Value::Int32(|o, v| {
            let millis = u64::try_from(v).ok().filter(|millis| *millis > 0);
            o.rest_api_timeout = millis.map(Duration::from_millis);
        }),
        "How long an HTTP request may take, from the moment that it is read; 0 or less for no limit.",
    ),
    acts(
        "rest_api_enable_cors_support",
        "false",
        Value::Bool(|o, v| o.rest_api_enable_cors_support = v),
        "Lets pages of other origins call the HTTP API.",
    ),
    acts(
        "enable_batching",
        "false",
        Value::Bool(|o, v| o.enable_batching = v),
        "Runs requests in batches: those that wait together ride in one run.",
    ),
    acts(
        "allow_version_labels_for_unavailable_models",
        "false",
        Value::Bool(|o, v| o.labels_for_unavailable = v),
        "Lets labels point at versions that are not available yet.",
    ),
    acts(
        "batching_parameters_file",
        "",
        Value::Text(|o, v| o.batching_parameters_file = path(v)),
        "How batches are made: BatchingParameters in protobuf text format.",
    ),
    acts(
        "enable_per_model_batching_parameters",
        "false",
        Value::Bool(|o, v| o.enable_per_model_batching_parameters = v),
        "Reads batching_params.pbtxt of each version; one that has none is not batched. Threads \
         are still those of `batching_parameters_file`.",
    ),
    acts(
        "model_config_file",
        "",
        Value::Text(|o, v| o.model_config_file = path(v)),
        "A ModelServerConfig in protobuf text format: several models, versions, labels. \
         It wins over `model_name` and `model_base_path`.",
    ),
    acts(
        "model_config_file_poll_wait_seconds",
        "0",
        Value::Int32(|o, v| {
            let seconds = u64::try_from(v).ok().filter(|seconds| *seconds > 0);
            o.model_config_file_poll = seconds.map(Duration::from_secs);
        }),
        "How often the model config file is read again, and followed when it has changed; 0 or \
         less for never.",
    ),
    acts(
        "model_name",
        "default",
        Value::Text(|o, v| v.clone_into(&mut o.model_name)),
        "The name under which the one model is served.",
    ),
    acts(
        "model_base_path",
        "",
        Value::Text(|o, v| v.clone_into(&mut o.model_base_path)),
        "The absolute path of the directory that holds the one model's version directories.",
    ),
    acts(
        "num_load_threads",
        "0",
        Value::Other("number up to 4096", |o, v| {
            threads(v).map(|threads| o.num_load_threads = threads)
        }),
        "How many versions are loaded at a time; 0 for two.",
    ),
    acts(
        "num_unload_threads",
        "0",
        Value::Other("number up to 4096", |o, v| {
            threads(v).map(|threads| o.num_unload_threads = threads)
        }),
        "How many versions are unloaded at a time; 0 for one.",
    ),
    acts(
        "max_num_load_retries",
        "5",
        Value::Int32(|o, v| o.max_num_load_retries = u32::try_from(v).unwrap_or(0)),
        "How often a load that failed is tried again.",
    ),
    acts(
        "load_retry_interval_micros",
        "60000000",
        Value::Int64(|o, v| {
            o.load_retry_interval = Duration::from_micros(u64::try_from(v).unwrap_or(0));
        }),
        "How long to wait before a load is tried again.",
    ),
    acts(
        "file_system_poll_wait_seconds",
        "1",
        Value::Int32(|o, v| o.polling = Polling::from_wait_seconds(i64::from(v))),
        "How often base paths are looked at for new versions; 0 for once, less for never.",
    ),
    later(
        "flush_filesystem_caches",
        "true",
        BOOL,
        "Empties the caches of remote file systems after a load.",
    ),
    acts(
        "tensorflow_session_parallelism",
        "0",
        Value::Int64(|o, v| o.session_parallelism = v),
        "Both of the next two; 0 leaves each at its own default.",
    ),
    acts(
        "tensorflow_session_config_file",
        "",
        Value::Text(|o, v| o.session_config_file = path(v)),
        "A tensorflow.ConfigProto in protobuf text format. The flags on threads and on the memory \
         of GPUs overwrite it, even with 0.",
    ),
    acts(
        "tensorflow_intra_op_parallelism",
        "0",
        Value::Int64(|o, v| o.intra_op_parallelism = v),
        "Threads for one operation; 0 lets TensorFlow choose.",
    ),
    acts(
        "tensorflow_inter_op_parallelism",
        "0",
        Value::Int64(|o, v| o.inter_op_parallelism = v),
        "Threads for operations side by side; 0 or 1 computes each run on one thread, and runs side by side.",
    ),
    acts(
        "use_alts_credentials",
        "false",
        Value::Bool(|o, v| o.use_alts_credentials = v),
        "ALTS for gRPC; refused, since it exists inside Google Cloud alone.",
    ),
    acts(
        "ssl_config_file",
        "",
        Value::Text(|o, v| o.ssl_config_file = path(v)),
        "TLS for gRPC: an SSLConfig in protobuf text format.",
    ),
    acts(
        "platform_config_file",
        "",
        Value::Text(|o, v| o.platform_config_file = path(v)),
        "A PlatformConfigMap in protobuf text format: how sessions are made, batching, tags, warm-up \
         and TensorFlow Lite. The flags on these are passed over then.",
    ),
    acts(
        "per_process_gpu_memory_fraction",
        "0.0",
        Value::Float(|o, v| o.per_process_gpu_memory_fraction = v),
        "How much of a GPU's memory is taken, from 0 to 1; 0 lets TensorFlow choose, which is \
         nearly all. With more than 1 it takes the host's memory too, and a warning says so.",
    ),
    acts(
        "saved_model_tags",
        "serve",
        Value::Text(|o, v| o.saved_model_tags = list(v)),
        "The tags of the MetaGraph that is loaded, with commas between them.",
    ),
    acts(
        "grpc_channel_arguments",
        "",
        Value::Text(|o, v| v.clone_into(&mut o.grpc_channel_arguments)),
        "Settings of the gRPC port: name=value,name=value. Names without a meaning here are warned \
         of.",
    ),
    acts(
        "grpc_max_threads",
        "0",
        Value::Int32(|o, v| o.grpc_max_threads = count(v)),
        "How many gRPC calls are handled at a time; 0 leaves it to `sandbox_slots`.",
    ),
    acts(
        "enable_model_warmup",
        "true",
        Value::Bool(|o, v| o.enable_model_warmup = v),
        "Replays a model's warm-up requests before it is available.",
    ),
    acts(
        "num_request_iterations_for_warmup",
        "0",
        Value::Int32(|o, v| o.warmup_iterations = count(v)),
        "How often each warm-up request is replayed; 0 for once.",
    ),
    acts(
        "version",
        "false",
        Value::Bool(|o, v| o.version = v),
        "Prints the versions and ends.",
    ),
    acts(
        "monitoring_config_file",
        "",
        Value::Text(|o, v| o.monitoring_config_file = path(v)),
        "A MonitoringConfig in protobuf text format: whether and where the HTTP port has a page \
         for Prometheus. Without it `tensorgate serve` has one.",
    ),
    later(
        "remove_unused_fields_from_bundle_metagraph",
        "true",
        BOOL,
        "Keeps of a model's description only what is needed.",
    ),
    acts(
        "prefer_tflite_model",
        "false",
        Value::Bool(|o, v| o.prefer_tflite_model = v),
        "Serves a version's model.tflite where there is one, by LiteRT, else its SavedModel.",
    ),
    acts(
        "num_tflite_pools",
        "0",
        Value::Int32(|o, v| o.num_tflite_pools = count(v)),
        "Interpreters for each TensorFlow Lite model: how many of its requests are computed at a \
         time; 0 for one per CPU.",
    ),
    acts(
        "num_tflite_interpreters_per_pool",
        "1",
        Value::Int32(|o, v| o.num_tflite_interpreters_per_pool = count(v).max(1)),
        "Multiplies `num_tflite_pools`.",
    ),
    acts(
        "enable_signature_method_name_check",
        "false",
        Value::Bool(|o, v| o.check_method_names = v),
        "Refuses to call a signature by another method than its own.",
    ),
    acts(
        "xla_cpu_compilation_enabled",
        "false",
        Value::Bool(|o, v| o.xla_cpu_compilation_enabled = v),
        "Lets XLA compile graphs on the CPU where the session config file asks for it.",
    ),
    acts(
        "xla_gpu_compilation_enabled",
        "false",
        Value::Bool(|o, v| o.xla_gpu_compilation_enabled = v),
        "Lets XLA compile graphs on GPUs where the session config file asks for it.",
    ),
    acts(
        "enable_profiler",
        "true",
        Value::Bool(|o, v| o.enable_profiler = v),
        "TensorFlow's profiler service on the gRPC port, which writes traces to where its clients \
         say: below a directory `plugins/profile` of this machine.",
    ),
    acts(
        "thread_pool_factory_config_file",
        "",
        Value::Text(|o, v| o.thread_pool_factory_config_file = path(v)),
        "A ThreadPoolFactoryConfig in protobuf text format, which is checked and has no effect: \
         TensorFlow's C API takes no threads of others.",
    ),
    acts(
        "mixed_precision",
        "",
        Value::Text(|o, v| o.mixed_precision = v.to_owned()),
        "`bfloat16` computes in it where oneDNN can; any other value is a warning.",
    ),
    later("skip_initialize_tpu", "false", BOOL, "Leaves TPUs alone."),
    acts(
        "enable_grpc_healthcheck_service",
        "false",
        Value::Bool(|o, v| o.enable_grpc_healthcheck_service = v),
        "The standard gRPC health service.",
    ),
    acts(
        "enable_serialization_as_tensor_content",
        "false",
        Value::Bool(|o, v| o.tensor_content = v),
        "Sends tensors as bytes in gRPC answers.",
    ),
];
