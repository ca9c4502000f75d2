//! What a model takes and gives.

use std::collections::BTreeMap;

use crate::DType;

/// The signature that is meant when a request names none.
pub const DEFAULT_SIGNATURE: &str = "serving_default";

/// The name under which exporters store the initialisation op; listed, never callable by REST.
pub const INIT_OP_SIGNATURE: &str = "__saved_model_init_op";

/// The method name of a predict signature.
pub const PREDICT_METHOD: &str = "tensorflow/serving/predict";

/// A model's signatures by name. Ordered, so that every listing is the same every time.
pub type Signatures = BTreeMap<String, Signature>;

/// One way to call a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// `tensorflow/serving/predict`, `.../classify`, `.../regress`, or anything an exporter chose.
    pub method_name: String,
    /// Inputs by name (TensorFlow Serving calls the name an alias).
    pub inputs: BTreeMap<String, TensorInfo>,
    /// Outputs by name.
    pub outputs: BTreeMap<String, TensorInfo>,
}

/// What is known of an input or output before a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The tensor in the graph, `x:0`. Empty for sparse and composite tensors.
    pub tensor_name: String,
    /// The element type. Exporters get this wrong at times (an input of `tf.Example`s declared as
    /// float), and TensorFlow Serving does not mind; see [`crate::validate_inputs`].
    pub dtype: DType,
    /// The dimensions, -1 where one is not known; `None` where not even the rank is.
    pub shape: Option<Vec<i64>>,
    /// Whether a request may leave the input out, because the model has a default for it.
    pub optional: bool,
}
