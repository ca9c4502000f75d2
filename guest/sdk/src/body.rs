//! Bodies: bytes with a content type.

#[cfg(feature = "json")]
use tensorgate_types::{Error, Result};

/// A body of a request or of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// `image/jpeg`, `text/csv; charset=utf-8`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A body.
    #[must_use]
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: content_type.into(),
            bytes: bytes.into(),
        }
    }

    /// The content type without parameters, in lower case: `text/csv`.
    #[must_use]
    pub fn essence(&self) -> String {
        let end = self.content_type.find(';');
        let essence = &self.content_type[..end.unwrap_or(self.content_type.len())];
        essence.trim().to_ascii_lowercase()
    }

    /// A body of JSON.
    ///
    /// # Errors
    /// `INTERNAL` when `value` cannot be JSON, as a map whose keys are not strings cannot.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::internal(format!("the answer cannot be JSON: {error}")))?;
        Ok(Self::new("application/json", bytes))
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the place and the reason when it is not what `T` wants.
    #[cfg(feature = "json")]
    pub fn parse_json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| Error::invalid_argument(format!("JSON body: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_compared_without_parameters() {
        for (content_type, essence) in [
            ("text/csv", "text/csv"),
            ("Text/CSV ; charset=utf-8", "text/csv"),
            ("", ""),
        ] {
            assert_eq!(Body::new(content_type, "").essence(), essence);
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_goes_both_ways() {
        let body = Body::json(&[1, 2]).unwrap();
        assert_eq!(
            (body.content_type.as_str(), &*body.bytes),
            ("application/json", &b"[1,2]"[..])
        );
        assert_eq!(body.parse_json::<Vec<u8>>().unwrap(), [1, 2]);
        let error = body.parse_json::<Vec<String>>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: JSON body: invalid type: integer `1`, expected a string at line 1 \
             column 2"
        );
    }
}
