//! Bodies: bytes with a content type.

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

    /// The body as text: UTF-8, which is also what text without a `charset` is taken for.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the content type says another charset, or the bytes are not UTF-8.
    pub fn text(&self) -> Result<&str> {
        let parameters = self.content_type.split(';').skip(1);
        let charset = parameters.filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| value.trim().trim_matches('"'))
        });
        for charset in charset {
            let known = ["utf-8", "utf8", "us-ascii"];
            if !known
                .iter()
                .any(|known| charset.eq_ignore_ascii_case(known))
            {
                return Err(Error::invalid_argument(format!(
                    "expected text in UTF-8, found the charset {charset}"
                )));
            }
        }
        std::str::from_utf8(&self.bytes).map_err(|error| {
            Error::invalid_argument(format!(
                "expected text in UTF-8: byte {} is none",
                error.valid_up_to()
            ))
        })
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

    #[test]
    fn text_is_utf_8() {
        for content_type in ["text/csv", "text/plain; charset=\"UTF-8\"", "text/plain;x"] {
            assert_eq!(Body::new(content_type, "\u{e4}").text().unwrap(), "\u{e4}");
        }
        let other = Body::new("text/plain; Charset=latin1", "a");
        assert_eq!(
            other.text().unwrap_err().message(),
            "expected text in UTF-8, found the charset latin1"
        );
        let broken = Body::new("text/plain", b"ab\xff");
        assert_eq!(
            broken.text().unwrap_err().to_string(),
            "INVALID_ARGUMENT: expected text in UTF-8: byte 2 is none"
        );
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
