//! The records of `management.wit`: new configurations, settings, and entries of the request log.

use wasmtime::component::{ComponentType, Lift, Lower};

use super::transfer::ChunkIn;

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum VersionPolicyIn {
    #[component(name = "latest")]
    Latest(u32),
    #[component(name = "all")]
    All,
    #[component(name = "specific")]
    Specific(Vec<i64>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct LoggingConfigIn {
    pub(crate) collector: String,
    #[component(name = "filename-prefix")]
    pub(crate) filename_prefix: String,
    #[component(name = "sampling-rate")]
    pub(crate) sampling_rate: f64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ModelConfigIn {
    pub(crate) name: String,
    #[component(name = "base-path")]
    pub(crate) base_path: String,
    #[component(name = "model-type")]
    pub(crate) model_type: i32,
    #[component(name = "model-platform")]
    pub(crate) model_platform: String,
    #[component(name = "version-policy")]
    pub(crate) version_policy: Option<VersionPolicyIn>,
    #[component(name = "version-labels")]
    pub(crate) version_labels: Vec<(String, i64)>,
    pub(crate) logging: Option<LoggingConfigIn>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct SettingsOut {
    #[component(name = "tensor-content")]
    pub(crate) tensor_content: bool,
    #[component(name = "check-method-names")]
    pub(crate) check_method_names: bool,
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "wasmtime makes them from their numbers")]
pub(crate) enum LogKindIn {
    #[component(name = "classify")]
    Classify,
    #[component(name = "regress")]
    Regress,
    #[component(name = "predict")]
    Predict,
    #[component(name = "multi-inference")]
    MultiInference,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct LogEntryIn {
    pub(crate) kind: LogKindIn,
    pub(crate) model: String,
    pub(crate) version: i64,
    #[component(name = "signature-name")]
    pub(crate) signature_name: String,
    pub(crate) request: Vec<ChunkIn>,
    pub(crate) response: Vec<ChunkIn>,
}
