//! The named tensors of a request or of a run, and errors that name them.

use tensorgate_types::{Error, ErrorCode, Result};

use crate::strings::Strings;
use crate::tensor::{Element, Tensor, View};

/// Named tensors: what a client has sent, or what a model has given.
///
/// What is missing or has another type than is asked for is an error that names the tensor, what
/// was expected and what was found. Where a client sent the tensors, the client reads it
/// (`INVALID_ARGUMENT`); what a model has given is the server's own affair (`INTERNAL`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensors {
    kind: Kind,
    tensors: Vec<(String, Tensor)>,
}

/// What a model has given: the outputs of a run.
pub type Outputs = Tensors;

/// Whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Input,
    Output,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

impl Tensors {
    /// No inputs yet. As the start of inputs for a model, and for tests of `preprocess`.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Kind::Input, Vec::new())
    }

    /// What a model gives, for tests of `postprocess`.
    #[must_use]
    pub fn outputs(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self::of(Kind::Output, tensors.into_iter().collect())
    }

    fn of(kind: Kind, tensors: Vec<(String, Tensor)>) -> Self {
        Self { kind, tensors }
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.tensors.push((name.into(), tensor));
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Names and tensors, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of this name, where there is one: for inputs that may be left out.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.iter()
            .find(|(found, _)| *found == name)
            .map(|(_, tensor)| tensor)
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// When there is none: the error lists the names that there are.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.find(name).ok_or_else(|| self.missing(name))
    }

    /// Takes out the tensor of this name, to use its memory further.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        match self.tensors.iter().position(|(found, _)| found == name) {
            Some(index) => Ok(self.tensors.remove(index).1),
            None => Err(self.missing(name)),
        }
    }

    /// The elements of the tensor of this name, as numbers.
    ///
    /// # Errors
    /// When there is none of this name and type.
    pub fn view<T: Element>(&self, name: &str) -> Result<View<'_, T>> {
        let tensor = self.get(name)?;
        tensor.view().map_err(|error| self.about(name, &error))
    }

    /// As [`view`](Self::view), for a tensor of this shape, in which -1 stands for any size.
    ///
    /// # Errors
    /// When there is none of this name, type and shape.
    pub fn view_of<T: Element>(&self, name: &str, shape: &[i64]) -> Result<View<'_, T>> {
        let view = self.view(name)?;
        self.expect_shape(name, shape)?;
        Ok(view)
    }

    /// The elements of the tensor of this name, as strings.
    ///
    /// # Errors
    /// When there is none of this name and type.
    pub fn strings(&self, name: &str) -> Result<&Strings> {
        let tensor = self.get(name)?;
        tensor
            .as_strings()
            .map_err(|error| self.about(name, &error))
    }

    /// As [`strings`](Self::strings), for a tensor of this shape, in which -1 stands for any size.
    ///
    /// # Errors
    /// When there is none of this name, type and shape.
    pub fn strings_of(&self, name: &str, shape: &[i64]) -> Result<&Strings> {
        let strings = self.strings(name)?;
        self.expect_shape(name, shape)?;
        Ok(strings)
    }

    fn expect_shape(&self, name: &str, shape: &[i64]) -> Result<()> {
        let tensor = self.get(name)?;
        match tensor.expect_shape(shape) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.about(name, &error)),
        }
    }

    /// An error that names the tensor, with the code that tells whose fault it is.
    fn about(&self, name: &str, error: &Error) -> Error {
        let code = match self.kind {
            Kind::Input => error.code(),
            Kind::Output => ErrorCode::Internal,
        };
        Error::new(
            code,
            format!("{} `{name}`: {}", self.kind.word(), error.message()),
        )
    }

    fn missing(&self, name: &str) -> Error {
        let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        let there = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("found `{}`", names.join("`, `"))
        };
        self.about(
            name,
            &Error::invalid_argument(format!("it is missing, {there}")),
        )
    }
}

impl Default for Tensors {
    fn default() -> Self {
        Self::new()
    }
}

/// As inputs: for a model, or what a client sends.
impl<N: Into<String>> FromIterator<(N, Tensor)> for Tensors {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(tensors: I) -> Self {
        let tensors = tensors
            .into_iter()
            .map(|(name, tensor)| (name.into(), tensor))
            .collect();
        Self::of(Kind::Input, tensors)
    }
}

impl<N: Into<String>, const COUNT: usize> From<[(N, Tensor); COUNT]> for Tensors {
    fn from(tensors: [(N, Tensor); COUNT]) -> Self {
        tensors.into_iter().collect()
    }
}

impl IntoIterator for Tensors {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Tensors {
        Tensors::from([
            ("ids", Tensor::new(&[1, 2], &[3i64, 4]).unwrap()),
            ("text", Tensor::strings(&[1], ["a"]).unwrap()),
        ])
    }

    #[test]
    fn gives_typed_views_by_name() {
        let inputs = inputs();
        assert_eq!(
            inputs.view_of::<i64>("ids", &[-1, 2]).unwrap().values(),
            [3, 4]
        );
        let text = inputs.strings_of("text", &[-1]).unwrap();
        assert_eq!(text.texts().unwrap(), ["a"]);
        assert!(inputs.find("other").is_none());
    }

    #[test]
    fn errors_name_the_input_what_was_expected_and_what_was_found() {
        let inputs = inputs();
        for (error, message) in [
            (
                inputs.view::<f32>("ids").unwrap_err(),
                "input `ids`: expected float, found int64 of shape [1, 2]",
            ),
            (
                inputs.view_of::<i64>("ids", &[-1, 3]).unwrap_err(),
                "input `ids`: expected shape [-1, 3], found int64 of shape [1, 2]",
            ),
            (
                inputs.strings("ids").unwrap_err(),
                "input `ids`: expected string, found int64 of shape [1, 2]",
            ),
            (
                inputs.strings_of("text", &[]).unwrap_err(),
                "input `text`: expected shape [], found string of shape [1]",
            ),
            (
                inputs.view::<f32>("images").unwrap_err(),
                "input `images`: it is missing, found `ids`, `text`",
            ),
            (
                Tensors::new().get("images").unwrap_err(),
                "input `images`: it is missing, there are none",
            ),
        ] {
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
            assert_eq!(error.message(), message);
        }
    }

    #[test]
    fn what_a_model_gives_is_not_the_clients_fault() {
        let outputs = Tensors::outputs([("y".to_owned(), Tensor::scalar(1.0f32))]);
        let error = outputs.view::<f64>("y").unwrap_err();
        assert_eq!(
            error.to_string(),
            "INTERNAL: output `y`: expected double, found float of shape []"
        );
        assert_eq!(outputs.get("z").unwrap_err().code(), ErrorCode::Internal);
    }

    #[test]
    fn a_tensor_is_taken_out_whole() {
        let mut inputs = inputs();
        assert_eq!(inputs.take("ids").unwrap().shape(), [1, 2]);
        assert!(inputs.take("ids").is_err());
        assert_eq!(inputs.len(), 1);
    }
}
