//! Why an app cannot be run: a chain of what was being done, as Spin prints it.

use std::error::Error as StdError;
use std::fmt;

/// What a source of an error can be.
type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// Why an app cannot be run.
#[derive(Debug)]
pub struct RunError {
    message: String,
    source: Option<Cause>,
}

impl RunError {
    /// An error of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// What was being done when something else went wrong.
    pub fn because(message: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for RunError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref();
        source.map(|source| source as &(dyn StdError + 'static))
    }
}
