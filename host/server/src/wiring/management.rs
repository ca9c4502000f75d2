//! What a request may do to the server: list the models that are served, and replace them.
//!
//! The gateway is made before there is anything to manage, so requests that come so early are
//! told to come again.

use std::sync::{Arc, OnceLock};

use tensorgate_edge::{BoxFuture, Management, ModelConfig, VersionPolicy};
use tensorgate_proto::config::{
    self as proto, LogCollectorConfig, LoggingConfig, SamplingConfig,
    file_system_storage_path_source_config::{
        ServableVersionPolicy,
        servable_version_policy::{All, Latest, PolicyChoice, Specific},
    },
};
use tensorgate_types::{Deadline, Error, Result};

use crate::metrics::Metrics;

use super::{MeasuredModel, Reloader};

/// Hands requests for other models to the reloader.
#[derive(Debug)]
pub(crate) struct Manageable {
    metrics: Arc<Metrics>,
    /// Set once, by the start-up.
    reloader: OnceLock<Arc<Reloader<MeasuredModel>>>,
}

impl Manageable {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            reloader: OnceLock::new(),
        }
    }

    /// What the first cell of each metric counts; those that are unknown count nothing.
    fn read(&self, names: &[String]) -> Vec<u64> {
        let read = |name: &String| self.metrics.value_of_first_cell(name).unwrap_or(0);
        names.iter().map(read).collect()
    }

    pub(crate) fn open(&self, reloader: Arc<Reloader<MeasuredModel>>) {
        // Called once; a second reloader has nobody to complain to.
        let _ = self.reloader.set(reloader);
    }
}

impl Management for Manageable {
    fn models(&self) -> Option<Vec<String>> {
        let served = self.reloader.get()?.served();
        let mut names: Vec<_> = served.iter().map(|model| model.name().to_owned()).collect();
        names.sort_unstable();
        Some(names)
    }

    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: Vec<String>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<(String, i64)>>> {
        Box::pin(async move {
            let reloader = self
                .reloader
                .get()
                .ok_or_else(|| Error::unavailable("the server is starting"))?;
            let models = models.map(|models| models.into_iter().map(config).collect());
            let before = self.read(&metric_names);
            reloader.reload_configs(models, deadline).await?;
            let after = self.read(&metric_names);
            let growth = before.into_iter().zip(after).map(|(before, after)| {
                i64::try_from(after.saturating_sub(before)).unwrap_or(i64::MAX)
            });
            Ok(metric_names.into_iter().zip(growth).collect())
        })
    }
}

/// What the file would say.
fn config(model: ModelConfig) -> proto::ModelConfig {
    let policy = model.version_policy.map(|policy| match policy {
        VersionPolicy::Latest(num_versions) => PolicyChoice::Latest(Latest { num_versions }),
        VersionPolicy::All => PolicyChoice::All(All {}),
        VersionPolicy::Specific(versions) => PolicyChoice::Specific(Specific { versions }),
    });
    let logging = model.logging.map(|logging| LoggingConfig {
        log_collector_config: Some(LogCollectorConfig {
            r#type: logging.collector,
            filename_prefix: logging.filename_prefix,
        }),
        sampling_config: Some(SamplingConfig {
            sampling_rate: logging.sampling_rate,
            ..SamplingConfig::default()
        }),
        ..LoggingConfig::default()
    });
    proto::ModelConfig {
        name: model.name,
        base_path: model.base_path,
        model_type: model.model_type,
        model_platform: model.model_platform,
        logging_config: logging,
        model_version_policy: policy.map(|choice| ServableVersionPolicy {
            policy_choice: Some(choice),
        }),
        version_labels: model.version_labels.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn comes_too_early_while_the_server_starts() {
        let told = Manageable::new(Metrics::new())
            .reload(None, Vec::new(), Deadline::NEVER)
            .await;
        assert_eq!(
            told.map_err(|error| error.to_string()),
            Err("UNAVAILABLE: the server is starting".to_owned())
        );
    }

    #[test]
    fn says_what_the_file_would_say() {
        let found = config(ModelConfig {
            name: "m".to_owned(),
            base_path: "/m".to_owned(),
            model_type: 0,
            model_platform: "tensorflow".to_owned(),
            version_policy: Some(VersionPolicy::Specific(vec![1, 2])),
            version_labels: vec![("a".to_owned(), 1), ("a".to_owned(), 2)],
            logging: None,
        });
        let text = "name: 'm' base_path: '/m' model_platform: 'tensorflow'
                    model_version_policy { specific { versions: 1 versions: 2 } }
                    version_labels { key: 'a' value: 2 }";
        let expected = proto::parse("tensorflow.serving.ModelConfig", text);
        assert_eq!(Ok(found), expected);
    }
}
