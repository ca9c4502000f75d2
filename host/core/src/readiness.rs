//! Whether models are ready, for a start-up that waits and for a health route.

use std::collections::BTreeMap;
use std::fmt::Write;

use tensorgate_types::{Error, ServableId};

/// How far a model is.
#[derive(Debug, Clone)]
pub enum ModelReadiness {
    /// No version is available, and one may still become so: the first scan or a load is not over.
    Pending,
    /// A version answers requests; the highest of them.
    Available {
        /// That version.
        version: i64,
    },
    /// No version is available: the last attempt to load this one has failed, and there will be
    /// another one.
    Retrying {
        /// That version.
        version: i64,
        /// Why the attempt failed.
        error: Error,
    },
    /// Every version that is wanted has failed for good; the highest of them.
    Failed {
        /// That version.
        version: i64,
        /// Why it failed.
        error: Error,
    },
    /// There is nothing to serve: no base path, or no version in it, or no such model.
    NoVersions,
}

impl ModelReadiness {
    /// Whether there is nothing to wait for: the first attempt to load has ended, well or not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// Whether what is there now stays as it is, for all that is known.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Retrying { .. })
    }
}

/// How far several models are, by name.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// Each model.
    pub models: BTreeMap<String, ModelReadiness>,
}

impl Readiness {
    /// Whether there is nothing to wait for. A model that failed, or has no versions, counts as
    /// settled: it must not keep the others from being served.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.models.values().all(ModelReadiness::is_settled)
    }

    /// The models whose wanted versions have all failed, for good or so far.
    #[must_use]
    pub fn failures(&self) -> Vec<(ServableId, &Error)> {
        self.models
            .iter()
            .filter_map(|(name, readiness)| match readiness {
                ModelReadiness::Failed { version, error }
                | ModelReadiness::Retrying { version, error } => {
                    Some((ServableId::new(name, *version), error))
                }
                ModelReadiness::Pending
                | ModelReadiness::Available { .. }
                | ModelReadiness::NoVersions => None,
            })
            .collect()
    }

    /// The failures in TensorFlow Serving's words, behind the count of them:
    /// `servable(s) did not become available` at its start, `model(s) ...` after a reload.
    /// `None` when nothing failed.
    #[must_use]
    pub fn failure_message(&self, what: &str) -> Option<String> {
        let failures = self.failures();
        if failures.is_empty() {
            return None;
        }
        let mut message = format!("{} {what} did not become available: {{", failures.len());
        for (id, error) in failures {
            // Writing to a string cannot fail.
            let _ = write!(message, "{{{id} due to error: {error}}}, ");
        }
        message.push('}');
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_failures_as_tensorflow_serving_does() {
        let mut readiness = Readiness::default();
        readiness
            .models
            .insert("good".to_owned(), ModelReadiness::Available { version: 2 });
        assert!(readiness.is_settled());
        assert_eq!(readiness.failure_message("servable(s)"), None);
        readiness.models.insert(
            "m".to_owned(),
            ModelReadiness::Failed {
                version: 1,
                error: Error::not_found("no model here"),
            },
        );
        assert!(readiness.is_settled());
        assert_eq!(
            readiness.failure_message("servable(s)").as_deref(),
            Some(
                "1 servable(s) did not become available: {{{name: m version: 1} due to error: \
                 NOT_FOUND: no model here}, }"
            )
        );
        readiness
            .models
            .insert("slow".to_owned(), ModelReadiness::Pending);
        assert!(!readiness.is_settled());
    }
}
