//! The token of the admin port.

use std::path::Path;

use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use tensorgate_types::{Error, Result};

use crate::files;

/// Fewer could be guessed.
const LEAST: usize = 16;

/// Kept as its SHA-256, so that a comparison takes as long whatever was sent, and no dump of the
/// memory has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// From a file with the token in its first line.
    ///
    /// # Errors
    /// When it cannot be read, or is too short, or cannot be sent in a header.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let invalid = |problem: String| {
            Error::invalid_argument(format!("--admin_token_file={name}: {problem}"))
        };
        let text = files::text(file).map_err(|error| invalid(error.to_string()))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(format!(
                "its first line is no token; expected at least {LEAST} visible characters"
            )));
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Whether the headers of a request have it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        sent.is_some_and(|(_, token)| {
            let digest: [u8; 32] = Sha256::digest(token.trim()).into();
            digest == self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        let token = Token::read(file.path()).unwrap();
        let sent = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token.is_in(&headers)
        };
        assert!(sent("Bearer 0123456789abcdef"));
        assert!(sent("bearer  0123456789abcdef"));
        for other in [
            "0123456789abcdef",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer",
        ] {
            assert!(!sent(other), "{other}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        std::fs::write(file.path(), "short\n").unwrap();
        let error = Token::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("at least 16 visible characters"), "{error}");
    }
}
