//! What `tensorgate serve` can be told, typed and with defaults. Filled from flags, read by the
//! wiring; it knows neither how a flag is written nor what is done with it.

mod model_batching;
mod processors;
mod workers;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tensorgate_core::Polling;
use tensorgate_proto::config::BatchingParameters;
use tensorgate_proto::tensorflow::ConfigProto;

/// Under which name the binary was started. The two differ where scripts written for the
/// original depend on what it does, and where that would not be good for anybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// `tensorgate serve`: ports open at once, a mistake in the flags is an error.
    Tensorgate,
    /// `tensorflow_model_server`: ports open when the first loads have ended, unknown flags are
    /// passed over.
    ModelServer,
}

/// A port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Port {
    #[default]
    /// None: `0`, as the original has it.
    Off,
    /// Any that is free: `auto`. The log line says which.
    Auto,
    /// This one.
    Fixed(u16),
}

impl Port {
    /// From a number or `auto`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            _ => text.parse().ok().map(|port| match port {
                0 => Self::Off,
                port => Self::Fixed(port),
            }),
        }
    }

    /// The number to bind to, where 0 asks the kernel for any; `None` when not to listen.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Auto => Some(0),
            Self::Fixed(port) => Some(port),
        }
    }
}

/// For which models shapes are checked against the signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StrictShapes {
    all: bool,
    names: Vec<String>,
}

impl StrictShapes {
    /// From names with commas between them, or `*`.
    pub(crate) fn parse(text: &str) -> Self {
        let names: Vec<String> = list(text);
        Self {
            all: names.iter().any(|name| name == "*"),
            names,
        }
    }

    /// Those of the names that none of the models has.
    pub(crate) fn unknown<'a>(&'a self, models: &'a [String]) -> impl Iterator<Item = &'a str> {
        let names = self.names.iter().map(String::as_str);
        names.filter(move |name| *name != "*" && !models.iter().any(|model| model == name))
    }

    /// Whether this model's are.
    #[must_use]
    pub fn contains(&self, model: &str) -> bool {
        self.all || self.names.iter().any(|name| name == model)
    }
}

pub(crate) use model_batching::ModelBatching;
pub(crate) use processors::{ComponentOptions, ProcessorConfig};
pub(crate) use workers::{
    ModelSessions, ModelWorkers, OneModelSession, WorkerDevice, WorkerOptions, Workers,
};

/// Settings of models, as flags have them: `name:key=value:key=value`, several with commas
/// between them. Each name, and each key of a name, comes once; `set` takes a key and its value.
fn by_model<T: Default>(
    text: &str,
    set: impl Fn(&mut T, &str, &str) -> Option<()>,
) -> Option<BTreeMap<String, T>> {
    let mut models = BTreeMap::new();
    for part in list(text) {
        let (name, settings) = part.split_once(':')?;
        let mut model = T::default();
        let mut keys = Vec::new();
        for setting in settings.split(':') {
            let (key, value) = setting.split_once('=')?;
            let key = key.trim();
            if keys.contains(&key) {
                return None;
            }
            keys.push(key);
            set(&mut model, key, value.trim())?;
        }
        let name = name.trim().to_owned();
        if name.is_empty() || models.insert(name, model).is_some() {
            return None;
        }
    }
    Some(models)
}

/// What such settings say of a model; `*` is any that is not named.
fn of_model<T: Default + Copy>(models: &BTreeMap<String, T>, model: &str) -> T {
    let found = models.get(model).or_else(|| models.get("*"));
    found.copied().unwrap_or_default()
}

/// What one model may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelLimit {
    /// How many requests may be in the model at a time.
    pub concurrency: Option<usize>,
    /// How long the body of a request over REST, or the message of a gRPC call, may be.
    pub body_bytes: Option<usize>,
}

/// What models may take, each by its name; `*` is any that is not named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelLimits(BTreeMap<String, ModelLimit>);

impl ModelLimits {
    /// From `name:concurrency=8:body_bytes=1000`, several with commas between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let set = |limit: &mut ModelLimit, key: &str, value: &str| {
            let most = Some(value.parse().ok().filter(|most| *most > 0)?);
            match key {
                "concurrency" => limit.concurrency = most,
                "body_bytes" => limit.body_bytes = most,
                _ => return None,
            }
            Some(())
        };
        by_model(text, set).map(Self)
    }

    /// The limits of this model.
    #[must_use]
    pub fn of(&self, model: &str) -> ModelLimit {
        of_model(&self.0, model)
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Everything that flags say. The documentation of each is in its row of the table of flags.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "each field is documented by the flag of its name"
)]
pub struct ServeOptions {
    // What TensorFlow Serving has too.
    pub port: Port,
    pub grpc_socket_path: Option<PathBuf>,
    pub rest_api_port: Port,
    pub rest_api_num_threads: usize,
    pub rest_api_timeout: Option<Duration>,
    pub rest_api_enable_cors_support: bool,
    pub enable_batching: bool,
    pub batching_parameters_file: Option<PathBuf>,
    pub enable_per_model_batching_parameters: bool,
    pub adaptive_batching: bool,
    pub model_batching: ModelBatching,
    pub model_name: String,
    pub model_base_path: String,
    pub model_config_file: Option<PathBuf>,
    pub model_config_file_poll: Option<Duration>,
    pub labels_for_unavailable: bool,
    pub num_load_threads: usize,
    pub num_unload_threads: usize,
    pub max_num_load_retries: u32,
    pub load_retry_interval: Duration,
    pub polling: Polling,
    pub saved_model_tags: Vec<String>,
    pub session_parallelism: i64,
    pub session_config_file: Option<PathBuf>,
    pub platform_config_file: Option<PathBuf>,
    pub thread_pool_factory_config_file: Option<PathBuf>,
    pub per_process_gpu_memory_fraction: f32,
    pub xla_cpu_compilation_enabled: bool,
    pub xla_gpu_compilation_enabled: bool,
    pub mixed_precision: String,
    pub enable_profiler: bool,
    pub intra_op_parallelism: i64,
    pub inter_op_parallelism: i64,
    pub prefer_tflite_model: bool,
    pub num_tflite_pools: usize,
    pub num_tflite_interpreters_per_pool: usize,
    pub enable_model_warmup: bool,
    pub warmup_iterations: usize,
    pub monitoring_config_file: Option<PathBuf>,
    pub use_alts_credentials: bool,
    pub ssl_config_file: Option<PathBuf>,
    pub grpc_channel_arguments: String,
    pub grpc_max_threads: usize,
    pub enable_grpc_healthcheck_service: bool,
    pub version: bool,
    pub help: bool,
    // What only Tensorgate has.
    pub bind_address: Option<IpAddr>,
    pub libtensorflow: Option<PathBuf>,
    pub custom_op_libraries: Vec<PathBuf>,
    pub liblitert: Option<PathBuf>,
    pub gateway_component: Option<PathBuf>,
    pub cache_dir: Option<PathBuf>,
    pub components: ComponentOptions,
    pub sandbox_slots: usize,
    pub sandbox_max_waiting: usize,
    pub sandbox_memory_bytes: usize,
    pub sandbox_cpu_budget: Duration,
    pub max_body_bytes: usize,
    pub grpc_max_message_bytes: usize,
    pub max_buffered_bytes: usize,
    pub min_upload_bytes_per_second: u64,
    pub run_threads: usize,
    pub run_queue: usize,
    pub strict_shapes: StrictShapes,
    pub drain_delay: Duration,
    pub drain: Duration,
    pub reload_timeout: Duration,
    pub tensor_content: bool,
    pub check_method_names: bool,
    pub exit_on_failed_start: bool,
    pub model_limits: ModelLimits,
    pub workers: Workers,
    pub model_workers: ModelWorkers,
    pub model_sessions: ModelSessions,
    pub log_filter: Option<String>,
    // What the platform config file says and no flag can.
    pub platform: Option<PlatformOptions>,
}

/// What the platform config file says of sessions, in place of the flags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlatformOptions {
    /// How they are made; the flags overwrite nothing in it.
    pub session_config: ConfigProto,
    /// How requests are batched, where they are.
    pub batching_parameters: Option<BatchingParameters>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            port: Port::Fixed(8500),
            grpc_socket_path: None,
            rest_api_port: Port::Off,
            rest_api_num_threads: 0,
            rest_api_timeout: Some(Duration::from_secs(30)),
            rest_api_enable_cors_support: false,
            enable_batching: false,
            batching_parameters_file: None,
            enable_per_model_batching_parameters: false,
            adaptive_batching: false,
            model_batching: ModelBatching::default(),
            model_name: "default".to_owned(),
            model_base_path: String::new(),
            model_config_file: None,
            model_config_file_poll: None,
            labels_for_unavailable: false,
            num_load_threads: 0,
            num_unload_threads: 0,
            max_num_load_retries: 5,
            load_retry_interval: Duration::from_secs(60),
            polling: Polling::default(),
            saved_model_tags: vec!["serve".to_owned()],
            session_parallelism: 0,
            session_config_file: None,
            platform_config_file: None,
            thread_pool_factory_config_file: None,
            per_process_gpu_memory_fraction: 0.0,
            xla_cpu_compilation_enabled: false,
            xla_gpu_compilation_enabled: false,
            mixed_precision: String::new(),
            enable_profiler: true,
            intra_op_parallelism: 0,
            inter_op_parallelism: 0,
            prefer_tflite_model: false,
            num_tflite_pools: 0,
            num_tflite_interpreters_per_pool: 1,
            enable_model_warmup: true,
            warmup_iterations: 0,
            monitoring_config_file: None,
            use_alts_credentials: false,
            ssl_config_file: None,
            grpc_channel_arguments: String::new(),
            grpc_max_threads: 0,
            enable_grpc_healthcheck_service: false,
            version: false,
            help: false,
            bind_address: None,
            libtensorflow: None,
            custom_op_libraries: Vec::new(),
            liblitert: None,
            gateway_component: None,
            cache_dir: None,
            components: ComponentOptions::default(),
            sandbox_slots: 128,
            sandbox_max_waiting: 1024,
            sandbox_memory_bytes: 512 << 20,
            sandbox_cpu_budget: Duration::from_secs(10),
            max_body_bytes: 100 << 20,
            grpc_max_message_bytes: 1 << 30,
            max_buffered_bytes: 1 << 30,
            min_upload_bytes_per_second: 16 << 10,
            run_threads: 0,
            run_queue: 1024,
            strict_shapes: StrictShapes::default(),
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(10),
            reload_timeout: Duration::from_secs(600),
            exit_on_failed_start: false,
            tensor_content: false,
            check_method_names: false,
            model_limits: ModelLimits::default(),
            workers: Workers::default(),
            model_workers: ModelWorkers::default(),
            model_sessions: ModelSessions::default(),
            log_filter: None,
            platform: None,
        }
    }
}

impl ServeOptions {
    /// The defaults under a name.
    #[must_use]
    pub fn for_manner(manner: Manner) -> Self {
        match manner {
            Manner::ModelServer => Self::default(),
            // Nobody starts a server that answers no HTTP on purpose.
            Manner::Tensorgate => Self {
                rest_api_port: Port::Fixed(8501),
                ..Self::default()
            },
        }
    }
}

/// The parts of a comma-separated list, without empty ones.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_off_any_or_a_number() {
        assert_eq!(Port::parse("0"), Some(Port::Off));
        assert_eq!(Port::parse("auto"), Some(Port::Auto));
        assert_eq!(Port::parse("8501"), Some(Port::Fixed(8501)));
        assert_eq!(Port::parse("65536"), None);
        assert_eq!(Port::parse("-1"), None);
    }

    #[test]
    fn limits_are_read_by_model() {
        let limits = ModelLimits::parse("a:concurrency=8:body_bytes=9, *:concurrency=1");
        let limits = limits.unwrap();
        assert_eq!(limits.of("a").concurrency, Some(8));
        assert_eq!(limits.of("a").body_bytes, Some(9));
        assert_eq!(limits.of("b").concurrency, Some(1));
        assert_eq!(limits.of("b").body_bytes, None);
        for bad in [
            "a",
            "a:",
            "a:speed=1",
            "a:concurrency=0",
            ":concurrency=1",
            "a:concurrency=x",
            "a:body_bytes=0",
            "a:body_bytes=1:body_bytes=2",
        ] {
            assert_eq!(ModelLimits::parse(bad), None, "{bad}");
        }
        let twice = "a:concurrency=1,a:concurrency=2";
        assert_eq!(ModelLimits::parse(twice), None);
    }

    #[test]
    fn strict_shapes_are_for_some_for_all_or_for_none() {
        assert!(StrictShapes::parse("a, b").contains("b"));
        assert!(!StrictShapes::parse("a,b").contains("c"));
        assert!(StrictShapes::parse("*").contains("c"));
        assert!(!StrictShapes::parse("").contains("c"));
        let served = ["a".to_owned()];
        let strict = StrictShapes::parse("a,b,*");
        assert_eq!(strict.unknown(&served).collect::<Vec<_>>(), ["b"]);
    }
}
