//! What the model is, and how clients are to see it: the words of `describe`.

use tensorgate_types::{DType, Error, Result};

/// What a signature says of an input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the signature.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The dimensions, -1 where one is not known; none when not even the rank is known.
    pub shape: Option<Vec<i64>>,
    /// Whether an input may be left out.
    pub optional: bool,
}

impl TensorInfo {
    /// A tensor of this name, type and shape, in which -1 stands for any size.
    #[must_use]
    pub fn new(name: impl Into<String>, dtype: DType, shape: &[i64]) -> Self {
        Self {
            name: name.into(),
            dtype,
            shape: Some(shape.to_vec()),
            optional: false,
        }
    }
}

/// One way to call a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// `tensorflow/serving/predict` and so on.
    pub method_name: String,
    /// The inputs, in the order of their names.
    pub inputs: Vec<TensorInfo>,
    /// The outputs, in the order of their names.
    pub outputs: Vec<TensorInfo>,
}

impl Signature {
    /// What the signature says of the input `name`.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with the names of the inputs that there are.
    pub fn input(&self, name: &str) -> Result<&TensorInfo> {
        find("input", name, &self.inputs)
    }

    /// What the signature says of the output `name`.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with the names of the outputs that there are.
    pub fn output(&self, name: &str) -> Result<&TensorInfo> {
        find("output", name, &self.outputs)
    }

    /// Checks that tensors of this type and shape can be given as the input `name`.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with what was expected and what was found.
    pub fn expect_input(&self, name: &str, dtype: DType, shape: &[i64]) -> Result<()> {
        expect("input", self.input(name)?, dtype, shape)
    }

    /// Checks that the output `name` may have this type and shape.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with what was expected and what was found.
    pub fn expect_output(&self, name: &str, dtype: DType, shape: &[i64]) -> Result<()> {
        expect("output", self.output(name)?, dtype, shape)
    }
}

fn find<'a>(what: &str, name: &str, infos: &'a [TensorInfo]) -> Result<&'a TensorInfo> {
    infos.iter().find(|info| info.name == name).ok_or_else(|| {
        let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        Error::failed_precondition(format!(
            "the model has no {what} `{name}`, only `{}`",
            names.join("`, `")
        ))
    })
}

fn expect(what: &str, found: &TensorInfo, dtype: DType, shape: &[i64]) -> Result<()> {
    let shape_fits = found.shape.as_deref().is_none_or(|found| {
        let any_or_same =
            |(found, wanted): (&i64, &i64)| *found < 0 || *wanted < 0 || found == wanted;
        found.len() == shape.len() && found.iter().zip(shape).all(any_or_same)
    });
    if found.dtype == dtype && shape_fits {
        return Ok(());
    }
    let shape_found = match &found.shape {
        Some(shape) => format!("{shape:?}"),
        None => "unknown".to_owned(),
    };
    Err(Error::failed_precondition(format!(
        "the model's {what} `{}` is {} of shape {shape_found}, this processor expects {dtype} of \
         shape {shape:?}",
        found.name, found.dtype
    )))
}

/// The version of a model that the processor is to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// The version.
    pub version: i64,
    /// Its signatures by name, in the order of the names.
    pub signatures: Vec<(String, Signature)>,
    /// What later hosts may say beside that.
    pub properties: Vec<(String, String)>,
}

impl Subject {
    /// The signature of this name.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with the names that there are: from `describe`, that keeps the
    /// version from being served with a processor that was written for another model.
    pub fn signature(&self, name: &str) -> Result<&Signature> {
        let found = self.signatures.iter().find(|(found, _)| found == name);
        found.map(|(_, signature)| signature).ok_or_else(|| {
            let names: Vec<&str> = self.signatures.iter().map(|(name, _)| &**name).collect();
            Error::failed_precondition(format!(
                "model `{}` has no signature `{name}`, only `{}`",
                self.model,
                names.join("`, `")
            ))
        })
    }
}

/// How clients see a signature of the model once the processor stands before it.
///
/// ```
/// use tensorgate_sdk::{DType, Description};
///
/// let described = Description::of("serving_default")
///     .takes("image/jpeg")
///     .takes("image/png")
///     .input("image_bytes", DType::STRING, &[-1])
///     .output("classes", DType::STRING, &[-1, 5])
///     .output("scores", DType::FLOAT, &[-1, 5]);
/// assert_eq!(described.content_types, ["image/jpeg", "image/png"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The name of the signature, as clients say it.
    pub signature_name: String,
    /// Content types of bodies that are taken as they come; `image/*` means all of a kind.
    pub content_types: Vec<String>,
    /// The tensors that clients send; none: those of the model's signature of that name.
    pub inputs: Option<Vec<TensorInfo>>,
    /// The tensors that clients get; none: those of the model's signature.
    pub outputs: Option<Vec<TensorInfo>>,
}

impl Description {
    /// A signature of this name, with the model's own inputs and outputs until others are named.
    #[must_use]
    pub fn of(signature_name: impl Into<String>) -> Self {
        Self {
            signature_name: signature_name.into(),
            content_types: Vec::new(),
            inputs: None,
            outputs: None,
        }
    }

    /// Takes bodies of this content type too, as they come.
    #[must_use]
    pub fn takes(mut self, content_type: impl Into<String>) -> Self {
        self.content_types.push(content_type.into());
        self
    }

    /// Clients send this tensor, and none that is not named so.
    #[must_use]
    pub fn input(self, name: impl Into<String>, dtype: DType, shape: &[i64]) -> Self {
        self.with_input(TensorInfo::new(name, dtype, shape))
    }

    /// Clients may send this tensor.
    #[must_use]
    pub fn optional_input(self, name: impl Into<String>, dtype: DType, shape: &[i64]) -> Self {
        self.with_input(TensorInfo {
            optional: true,
            ..TensorInfo::new(name, dtype, shape)
        })
    }

    /// Clients send this tensor, and none that is not named so.
    #[must_use]
    pub fn with_input(mut self, info: TensorInfo) -> Self {
        self.inputs.get_or_insert_default().push(info);
        self
    }

    /// Clients send no tensors, only bodies.
    #[must_use]
    pub fn without_inputs(mut self) -> Self {
        self.inputs = Some(Vec::new());
        self
    }

    /// Clients get this tensor, and none that is not named so.
    #[must_use]
    pub fn output(self, name: impl Into<String>, dtype: DType, shape: &[i64]) -> Self {
        self.with_output(TensorInfo::new(name, dtype, shape))
    }

    /// Clients get this tensor, and none that is not named so.
    #[must_use]
    pub fn with_output(mut self, info: TensorInfo) -> Self {
        self.outputs.get_or_insert_default().push(info);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        let signature = Signature {
            method_name: "tensorflow/serving/predict".to_owned(),
            inputs: vec![TensorInfo::new("images", DType::FLOAT, &[-1, 28, 28, 1])],
            outputs: vec![TensorInfo {
                shape: None,
                ..TensorInfo::new("scores", DType::FLOAT, &[])
            }],
        };
        Subject {
            model: "digits".to_owned(),
            version: 1,
            signatures: vec![("serving_default".to_owned(), signature)],
            properties: Vec::new(),
        }
    }

    #[test]
    fn a_model_that_fits_is_found_fit() {
        let subject = subject();
        let signature = subject.signature("serving_default").unwrap();
        signature
            .expect_input("images", DType::FLOAT, &[-1, 28, 28, 1])
            .unwrap();
        signature
            .expect_input("images", DType::FLOAT, &[1, 28, 28, 1])
            .unwrap();
        // Nothing is known of the shape: the run will tell.
        signature
            .expect_output("scores", DType::FLOAT, &[-1, 10])
            .unwrap();
    }

    #[test]
    fn another_model_than_expected_is_an_error_that_says_what_differs() {
        let subject = subject();
        let signature = subject.signature("serving_default").unwrap();
        for (error, message) in [
            (
                subject.signature("predict").unwrap_err(),
                "model `digits` has no signature `predict`, only `serving_default`",
            ),
            (
                signature.input("x").unwrap_err(),
                "the model has no input `x`, only `images`",
            ),
            (
                signature
                    .expect_input("images", DType::FLOAT, &[-1, 784])
                    .unwrap_err(),
                "the model's input `images` is float of shape [-1, 28, 28, 1], this processor \
                 expects float of shape [-1, 784]",
            ),
            (
                signature
                    .expect_output("scores", DType::INT32, &[-1, 10])
                    .unwrap_err(),
                "the model's output `scores` is float of shape unknown, this processor expects \
                 int32 of shape [-1, 10]",
            ),
        ] {
            assert_eq!(
                error.code(),
                tensorgate_types::ErrorCode::FailedPrecondition
            );
            assert_eq!(error.message(), message);
        }
    }

    #[test]
    fn what_is_not_named_is_the_models_own() {
        let described = Description::of("serving_default");
        assert_eq!((described.inputs, described.outputs), (None, None));
        let described = Description::of("serving_default").without_inputs();
        assert_eq!(described.inputs, Some(Vec::new()));
        let described = Description::of("x")
            .input("a", DType::STRING, &[-1])
            .optional_input("b", DType::FLOAT, &[]);
        let optional: Vec<bool> = described
            .inputs
            .unwrap()
            .iter()
            .map(|info| info.optional)
            .collect();
        assert_eq!(optional, [false, true]);
    }
}
