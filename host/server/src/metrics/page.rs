//! Where the page for Prometheus is, and how it is answered.

use std::path::Path;
use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, Uri, header};
use tensorgate_proto::config::parse_monitoring_config;
use tensorgate_types::Error;

use super::{Metrics, text};
use crate::files;
use crate::options::Manner;

/// Where it is when nothing else is said.
const DEFAULT_PATH: &str = "/monitoring/prometheus/metrics";

/// Where the page is to be; `None` when there is to be none.
///
/// Without a file the original has no page, and under its name neither have we: a port that
/// showed more than before would be a surprise. Under our own name there is one.
///
/// # Errors
/// When the file cannot be read, is no MonitoringConfig, or asks for a path that no request can
/// have.
pub(crate) fn metrics_path(file: Option<&Path>, manner: Manner) -> Result<Option<String>, Error> {
    let Some(file) = file else {
        return Ok((manner == Manner::Tensorgate).then(|| DEFAULT_PATH.to_owned()));
    };
    let name = file.display();
    let text = files::text(file).map_err(|error| {
        Error::not_found(format!(
            "cannot read the monitoring config file '{name}': {error}"
        ))
    })?;
    let config = parse_monitoring_config(&text).map_err(|error| {
        tracing::error!("Error parsing text-format tensorflow.serving.MonitoringConfig: {error}");
        Error::invalid_argument(format!("Invalid protobuf file: '{name}'"))
    })?;
    let prometheus = config.prometheus_config.unwrap_or_default();
    match prometheus.path {
        _ if !prometheus.enable => Ok(None),
        path if path.is_empty() => Ok(Some(DEFAULT_PATH.to_owned())),
        path if path.starts_with('/') && !path.contains(['?', '#', ' ']) => Ok(Some(path)),
        path => Err(Error::invalid_argument(format!(
            "prometheus_config.path is '{path}' in '{name}', and it must be an absolute path \
             without a query, such as {DEFAULT_PATH}"
        ))),
    }
}

/// The page, at its path.
#[derive(Debug, Clone)]
pub(crate) struct MetricsPage {
    path: String,
    metrics: Arc<Metrics>,
}

impl MetricsPage {
    pub(crate) fn new(path: String, metrics: Arc<Metrics>) -> Self {
        Self { path, metrics }
    }

    /// The answer to any request to the page's path; `None` for other paths. The original takes
    /// every method, and no query.
    pub(crate) fn answer(&self, uri: &Uri) -> Option<Response> {
        if uri.path() != self.path {
            return None;
        }
        let (status, body) = match uri.query() {
            None => (StatusCode::OK, text::page(&self.metrics.registry)),
            Some(query) => {
                let path = &self.path;
                let body = format!("Unexpected path: {path}?{query}. Should be {path}");
                (StatusCode::BAD_REQUEST, body)
            }
        };
        let kind = HeaderValue::from_static("text/plain");
        Some((status, [(header::CONTENT_TYPE, kind)], body).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<Option<String>, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        metrics_path(Some(file.path()), Manner::ModelServer)
    }

    #[test]
    fn a_file_says_whether_and_where() {
        let default = || Some(DEFAULT_PATH.to_owned());
        assert_eq!(metrics_path(None, Manner::ModelServer).unwrap(), None);
        assert_eq!(metrics_path(None, Manner::Tensorgate).unwrap(), default());
        for (text, expected) in [
            ("", None),
            ("prometheus_config { path: '/m' }", None),
            ("prometheus_config { enable: true }", default()),
            (
                "prometheus_config: { enable: true, path: \"/m\" }",
                Some("/m".to_owned()),
            ),
        ] {
            assert_eq!(path(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused() {
        for (text, expected) in [
            ("prometheus { }", "Invalid protobuf file: '/"),
            (
                "prometheus_config { enable: true path: 'm' }",
                "path is 'm'",
            ),
            (
                "prometheus_config { enable: true path: '/m?x' }",
                "path is '/m?x'",
            ),
        ] {
            let error = path(text).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_query_is_refused_in_the_words_of_the_original() {
        let page = MetricsPage::new("/m".to_owned(), Metrics::new());
        let status = |uri: &'static str| {
            page.answer(&Uri::from_static(uri))
                .map(|answer| answer.status().as_u16())
        };
        assert_eq!(status("/m"), Some(200));
        assert_eq!(status("/m?x=1"), Some(400));
        assert_eq!(status("/m/"), None);
    }
}
