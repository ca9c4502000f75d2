//! The flags that only Tensorgate has.

use std::path::PathBuf;
use std::time::Duration;

use crate::options::{
    ModelBatching, ModelLimits, ModelSessions, ModelWorkers, Port, StrictShapes, Workers, list,
};

use super::super::flag::Value;
use super::{Row, acts, count, path, threads};

/// A size in bytes, at least one.
fn bytes(text: &str) -> Option<usize> {
    text.parse().ok().filter(|bytes| *bytes > 0)
}

/// The flags that only Tensorgate has.
pub(crate) const OWN: &[Row] = &[
    acts(
        "bind_address",
        "",
        Value::Other("address", |o, v| {
            o.bind_address = if v.is_empty() {
                None
            } else {
                Some(v.parse().ok()?)
            };
            Some(())
        }),
        "The address to listen on; empty for all, IPv6 and IPv4.",
    ),
    acts(
        "adaptive_batching",
        "false",
        Value::Bool(|o, v| o.adaptive_batching = v),
        "Runs requests in batches, and finds rows per batch, waiting time and batches at once by \
         itself, from what it measures.",
    ),
    acts(
        "model_batching",
        "",
        Value::Other("settings", |o, v| {
            ModelBatching::parse(v).map(|models| o.model_batching = models)
        }),
        "The models' shares of the batch threads (`weight`, 1) and what the adaptive mode aims at \
         (`latency_target_in_ms`, 100), several with commas between them; `*` is any model that \
         is not named.",
    ),
    acts(
        "libtensorflow",
        "",
        Value::Text(|o, v| o.libtensorflow = path(v)),
        "The file libtensorflow_cc.so.2, or a directory that holds it; empty to look for it.",
    ),
    acts(
        "custom_op_libraries",
        "",
        Value::Text(|o, v| {
            o.custom_op_libraries = list(v).into_iter().map(PathBuf::from).collect();
        }),
        "Shared libraries with operations that TensorFlow does not have, with commas between \
         them; loaded before any model, in this order.",
    ),
    acts(
        "liblitert",
        "",
        Value::Text(|o, v| o.liblitert = path(v)),
        "The file libLiteRt.so, or a directory that holds it, for `prefer_tflite_model`; empty to \
         look for it.",
    ),
    acts(
        "gateway_component",
        "",
        Value::Text(|o, v| o.gateway_component = path(v)),
        "A component to handle requests with instead of the built-in one.",
    ),
    acts(
        "cache_dir",
        "",
        Value::Text(|o, v| o.cache_dir = path(v)),
        "Where compiled components are kept; empty for tensorgate/ in the user's cache directory.",
    ),
    acts(
        "processor_config_file",
        "",
        Value::Text(|o, v| o.components.config_file = path(v)),
        "A text file with a ProcessorConfig: which processors stand before which models, what they \
         may use and what they may see.",
    ),
    acts(
        "component_store",
        "",
        Value::Text(|o, v| o.components.store = path(v)),
        "A directory in which components that are pushed to the running server are kept, with \
         their history; one server at a time. Empty for none, which can be pushed nothing.",
    ),
    acts(
        "admin_port",
        "0",
        Value::Other("port", |o, v| {
            Port::parse(v).map(|port| o.components.admin_port = port)
        }),
        "TCP port on which components are pushed, listed and rolled back; 0 for none, `auto` for \
         any free one. It listens on 127.0.0.1 unless `bind_address` says otherwise.",
    ),
    acts(
        "admin_token_file",
        "",
        Value::Text(|o, v| o.components.admin_token_file = path(v)),
        "A file whose first line is the bearer token that the admin port wants.",
    ),
    acts(
        "processor_threads",
        "0",
        Value::Int32(|o, v| o.components.threads = count(v)),
        "How many threads processors run on, which give way to all others; 0 for as many as there \
         are CPUs.",
    ),
    acts(
        "sandbox_slots",
        "128",
        Value::Int32(|o, v| o.sandbox_slots = count(v)),
        "How many requests may be inside a component at a time, those included that wait for \
         their model. Each slot keeps up to 4 MiB of memory once it was used.",
    ),
    acts(
        "sandbox_max_waiting",
        "1024",
        Value::Int32(|o, v| o.sandbox_max_waiting = count(v)),
        "How many requests may wait for a slot; more are answered with 503.",
    ),
    acts(
        "sandbox_memory_bytes",
        "536870912",
        Value::Other("bytes", |o, v| {
            bytes(v).map(|bytes| o.sandbox_memory_bytes = bytes)
        }),
        "How much memory one component instance may have; a request that takes more is answered with \
         413 (429 where it is its answer that does), a call with RESOURCE_EXHAUSTED.",
    ),
    acts(
        "sandbox_cpu_budget_in_ms",
        "10000",
        Value::Other("milliseconds", |o, v| {
            let millis = v.parse().ok().filter(|millis| *millis > 0)?;
            o.sandbox_cpu_budget = Duration::from_millis(millis);
            Some(())
        }),
        "How long a component may compute for one request; waiting for a model does not count.",
    ),
    acts(
        "max_body_bytes",
        "104857600",
        Value::Other("bytes", |o, v| {
            bytes(v).map(|bytes| o.max_body_bytes = bytes)
        }),
        "How long the body of a request may be, unpacked; longer ones are answered with 413.",
    ),
    acts(
        "grpc_max_message_bytes",
        "1073741824",
        Value::Other("bytes", |o, v| {
            bytes(v).map(|bytes| o.grpc_max_message_bytes = bytes)
        }),
        "How long a gRPC message may be, unpacked; longer ones are answered with \
         RESOURCE_EXHAUSTED. grpc.max_receive_message_length says the same.",
    ),
    acts(
        "max_buffered_bytes",
        "1073741824",
        Value::Other("bytes", |o, v| {
            bytes(v).map(|bytes| o.max_buffered_bytes = bytes)
        }),
        "How much the bodies and messages of all requests and answers may take together; beyond \
         it requests are answered with 503, calls with UNAVAILABLE.",
    ),
    acts(
        "min_upload_bytes_per_second",
        "16384",
        Value::Other("bytes", |o, v| {
            let bytes = v.parse().ok()?;
            o.min_upload_bytes_per_second = bytes;
            Some(())
        }),
        "How fast the body of a request or the message of a call must come, apart from 50 s of \
         silence; sixteen times as fast while more than half of max_buffered_bytes is taken. \
         Slower ones are answered with 408, calls with DEADLINE_EXCEEDED. 0 asks for no speed.",
    ),
    acts(
        "run_threads",
        "0",
        Value::Other("number up to 4096", |o, v| {
            // The original has no such flag, and so nobody who says a negative number.
            let threads = threads(v).filter(|_| !v.starts_with('-'))?;
            o.run_threads = threads;
            Some(())
        }),
        "How many model runs there are at a time; 0 for two per CPU and at least four.",
    ),
    acts(
        "run_queue",
        "1024",
        Value::Int32(|o, v| o.run_queue = count(v)),
        "How many runs may wait for a thread; more are refused.",
    ),
    acts(
        "strict_shapes",
        "",
        Value::Text(|o, v| o.strict_shapes = StrictShapes::parse(v)),
        "Names of models, with commas between them, whose inputs must have the types and \
         shapes of the signature; `*` for all. TensorFlow Serving never checks either; without it \
         only the number of dimensions is checked, of inputs that are declared with three or more.",
    ),
    acts(
        "drain_delay_seconds",
        "0",
        Value::Int32(|o, v| o.drain_delay = Duration::from_secs(u64::try_from(v).unwrap_or(0))),
        "How long after SIGTERM or SIGINT requests are still taken as before, while \
         /health/ready says 503 and answers over HTTP/1 ask clients to connect anew; \
         drain_seconds begin after it.",
    ),
    acts(
        "drain_seconds",
        "10",
        Value::Int32(|o, v| o.drain = Duration::from_secs(u64::try_from(v).unwrap_or(0))),
        "How long requests may go on after SIGTERM or SIGINT.",
    ),
    acts(
        "reload_timeout_seconds",
        "600",
        Value::Int32(|o, v| {
            o.reload_timeout = Duration::from_secs(u64::try_from(v).unwrap_or(0));
        }),
        "How long a change of the models may take, by a request or by the config file; then \
         everything is served as before.",
    ),
    acts(
        "exit_on_failed_start",
        "false",
        Value::Bool(|o, v| o.exit_on_failed_start = v),
        "Ends with 255, as TensorFlow Serving does, when a model cannot be loaded at the start.",
    ),
    acts(
        "model_limits",
        "",
        Value::Other("limits", |o, v| {
            ModelLimits::parse(v).map(|limits| o.model_limits = limits)
        }),
        "What a model may take: `name:concurrency=8:body_bytes=1000000` or one of the two, several \
         models with commas between them; `*` is any model that is not named. More requests at a \
         time than that are answered with 429; longer bodies with 413, longer gRPC messages with \
         RESOURCE_EXHAUSTED.",
    ),
    acts(
        "workers",
        "",
        Value::Other("list of cpu or gpu:N", |o, v| {
            Workers::parse(v).map(|workers| o.workers = workers)
        }),
        "Processes that run models in the place of the server: `cpu`, or `gpu:0` and so on, with \
         commas between them. Each may have settings of its own: \
         `gpu:0:memory_fraction=0.5:allow_growth=true:intra_op_parallelism=2`; a `cpu` has only \
         the last. Empty to run models in the server.",
    ),
    acts(
        "model_workers",
        "",
        Value::Other("model=workers", |o, v| {
            ModelWorkers::parse(v).map(|workers| o.model_workers = workers)
        }),
        "Which workers have a model: `name:workers=0+2`, several models with commas between them; \
         `*` is any model that is not named. Without it each model is on every worker, and a \
         batch goes to the one that has least to do.",
    ),
    acts(
        "model_sessions",
        "",
        Value::Other("sessions", |o, v| {
            ModelSessions::parse(v).map(|sessions| o.model_sessions = sessions)
        }),
        "How a model's sessions differ from the others': \
         `name:inter_op_parallelism=4:xla_level=1` or one of the two, several models with commas \
         between them; `*` is any model that is not named. The threads are the model's own; the \
         level is TensorFlow's `global_jit_level`, from 0 for off to 2.",
    ),
    acts(
        "log_filter",
        "",
        Value::Text(|o, v| o.log_filter = (!v.is_empty()).then(|| v.to_owned())),
        "What is logged: a level, or levels by target; empty for TENSORGATE_LOG, then `info`.",
    ),
    acts(
        "help",
        "false",
        Value::Bool(|o, v| o.help = v),
        "Prints the flags and ends.",
    ),
];
