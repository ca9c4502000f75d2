//! What an operator may ask of the server through the gateway, and what it is set to.
//!
//! The gateway decodes these from clients' messages; the host decides what they do.

/// A model to be served, as a `ModelConfig` describes it. Nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelConfig {
    /// The model's name.
    pub name: String,
    /// The directory whose children are versions.
    pub base_path: String,
    /// `model_type`, deprecated: 0 when unset.
    pub model_type: i32,
    /// `tensorflow`; empty when unset.
    pub model_platform: String,
    /// Which versions are served; none for the default, the highest one.
    pub version_policy: Option<ModelVersionPolicy>,
    /// Labels and the versions that they point at.
    pub version_labels: Vec<(String, i64)>,
    /// Which requests are written down, if any.
    pub logging: Option<LoggingConfig>,
}

/// Which versions of a model are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelVersionPolicy {
    /// The highest so many; 0 means 1.
    Latest(u32),
    /// All of them.
    All,
    /// These.
    Specific(Vec<i64>),
}

/// Which requests to a model are written down, and where.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoggingConfig {
    /// `log_collector_config.type`.
    pub collector: String,
    /// `log_collector_config.filename_prefix`.
    pub filename_prefix: String,
    /// `sampling_config.sampling_rate`: 0 for none, 1 for all.
    pub sampling_rate: f64,
}

/// Settings of the server that change how requests are read and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Answers to gRPC calls carry tensors as `tensor_content`
    /// (`--enable_serialization_as_tensor_content`).
    pub tensor_content: bool,
    /// A signature answers only the method that it names
    /// (`--enable_signature_method_name_check`).
    pub check_method_names: bool,
}

/// The log of `tensorflow.serving.PredictionLog` that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// `classify_log`.
    Classify,
    /// `regress_log`.
    Regress,
    /// `predict_log`.
    Predict,
    /// `multi_inference_log`.
    MultiInference,
}
