//! Other models, or the same ones in another way, while the server goes on: what the config file
//! says from now on, or a request.
//!
//! Both ways go through [`Reloader::reload`], one after the other; the shelf's catalog does the
//! work, all of it or nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tensorgate_core::Catalog;
use tensorgate_proto::config::ModelConfig;
use tensorgate_types::{Deadline, Error, Result};

use crate::request_log::RequestLogs;

use super::served::{self, ServedError, ServedModel};

/// Who replaces the models that are served.
pub(crate) struct Reloader<S> {
    catalog: Catalog<S>,
    logs: RequestLogs,
    /// How long a reload may take when nobody says less.
    limit: Duration,
    /// Replaced after every reload that went well. Held only to copy the pointer.
    served: Mutex<Arc<Vec<ServedModel>>>,
}

impl<S> fmt::Debug for Reloader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Reloader<S> {
    pub(crate) fn new(
        catalog: Catalog<S>,
        logs: RequestLogs,
        limit: Duration,
        served: Vec<ServedModel>,
    ) -> Self {
        Self {
            catalog,
            logs,
            limit,
            served: Mutex::new(Arc::new(served)),
        }
    }

    /// What is served, as it was asked for.
    pub(crate) fn served(&self) -> Arc<Vec<ServedModel>> {
        let served = self.served.lock();
        Arc::clone(&served.unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves what a request lists; an empty configuration changes nothing.
    pub(crate) async fn reload_configs(
        &self,
        configs: Option<Vec<ModelConfig>>,
        deadline: Deadline,
    ) -> Result<()> {
        let Some(configs) = configs else {
            tracing::info!("Taking no action for empty config.");
            return Ok(());
        };
        for (index, config) in configs.iter().enumerate() {
            // The original's entry, in its layout but for the ends of the lines.
            tracing::info!(
                "Config entry index : {index} path : {} name : {} platform : {}",
                config.base_path,
                config.name,
                config.model_platform
            );
        }
        let served = self.served();
        let known: BTreeSet<String> = served.iter().map(|it| it.name().to_owned()).collect();
        let models = served::from_configs(configs, &known)?;
        self.reload(models, deadline).await
    }

    async fn reload(&self, models: Vec<ServedModel>, deadline: Deadline) -> Result<()> {
        let limit = deadline
            .remaining()
            .map_or(self.limit, |left| left.min(self.limit));
        let entries = models.iter().map(|model| model.entry.clone()).collect();
        let logs = self.logs.prepare(served::logging(&models))?;
        self.catalog.reload(entries, limit).await?;
        self.logs.replace(logs);
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        *served = Arc::new(models);
        Ok(())
    }

    /// Looks at the config file again and again, and serves what it says when that has changed.
    /// `applied` is what it said at the start. Ends never.
    ///
    /// What cannot be read, understood or loaded is logged and leaves everything as it is; it is
    /// tried again at the next look, and said again only when the reason is another one.
    pub(crate) async fn poll(&self, file: PathBuf, interval: Duration, mut applied: String) {
        let mut said = String::new();
        loop {
            tokio::time::sleep(interval).await;
            match self.look(&file, &mut applied).await {
                Ok(()) => said.clear(),
                Err(why) if why == said => {}
                Err(why) => {
                    tracing::error!("{why}");
                    said = why;
                }
            }
        }
    }

    async fn look(&self, file: &Path, applied: &mut String) -> Result<(), String> {
        let path = file.to_owned();
        let text = tokio::task::spawn_blocking(move || served::read(&path)).await;
        let text = text
            .map_err(|error| error.to_string())
            .and_then(|text| text)
            .map_err(|why| format!("Failed to read ModelServerConfig file: {why}"))?;
        if text == *applied {
            return Ok(());
        }
        let models = match served::from_text(file, &text) {
            Ok(models) => models,
            Err(error) => {
                if let ServedError::Malformed { line, .. } = &error {
                    tracing::debug!("{line}");
                }
                let why = Error::from(error);
                return Err(format!("Failed to read ModelServerConfig file: {why}"));
            }
        };
        if let Some(models) = models {
            let count = models.len();
            self.reload(models, Deadline::NEVER).await.map_err(|why| {
                format!("PollFilesystemAndReloadConfig failed to ReloadConfig: {why}")
            })?;
            tracing::info!("Finished reloading config: {count} models are served");
        }
        *applied = text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_core::fake::{FakeFactory, FakeServable};
    use tensorgate_core::{CatalogOptions, Manager, ManagerOptions, Polling};
    use tensorgate_types::{ModelSpec, VersionChoice};

    use crate::metrics::Metrics;

    use super::*;

    async fn reloader() -> (Reloader<FakeServable>, Manager<FakeServable>) {
        let factory = FakeFactory::immediate();
        let manager = Manager::spawn(&ManagerOptions::default(), factory).unwrap();
        let options = CatalogOptions {
            polling: Polling::default(),
            allow_labels_for_unavailable: false,
        };
        let catalog = Catalog::open(manager.clone(), options, Vec::new()).await;
        let limit = Duration::from_secs(60);
        let logs = RequestLogs::start(Vec::new(), Metrics::new()).unwrap();
        let reloader = Reloader::new(catalog.unwrap(), logs, limit, Vec::new());
        (reloader, manager)
    }

    fn config(name: &str, base_path: &str, platform: &str) -> ModelConfig {
        ModelConfig {
            name: name.to_owned(),
            base_path: base_path.to_owned(),
            model_platform: platform.to_owned(),
            ..ModelConfig::default()
        }
    }

    fn answers(manager: &Manager<FakeServable>, name: &str) -> bool {
        let spec = ModelSpec {
            name: name.to_owned(),
            version: VersionChoice::Latest,
        };
        manager.lookup(&spec).is_ok()
    }

    #[tokio::test]
    async fn requests_and_the_file_replace_the_same_list() {
        let disk = tempfile::tempdir().unwrap();
        for path in ["a/1", "b/1"] {
            std::fs::create_dir_all(disk.path().join(path)).unwrap();
        }
        let path = |name: &str| disk.path().join(name).display().to_string();
        let (reloader, manager) = reloader().await;
        let list = vec![config("a", &path("a"), "tensorflow")];
        let told = reloader.reload_configs(Some(list), Deadline::NEVER).await;
        assert!(told.is_ok(), "{told:?}");
        assert!(answers(&manager, "a"));
        assert_eq!(reloader.served()[0].name(), "a");

        let file = disk.path().join("models.config");
        let write = |name: &str, base_path: &str| {
            let text = format!(
                "model_config_list {{ config {{ name: '{name}' base_path: '{base_path}' \
                 model_platform: 'tensorflow' }} }}"
            );
            std::fs::write(&file, text).unwrap();
        };
        let mut applied = String::new();
        write("b", &path("b"));
        assert_eq!(reloader.look(&file, &mut applied).await, Ok(()));
        assert!(answers(&manager, "b") && !answers(&manager, "a"));
        // What it says wrongly is said, and nothing changes.
        write("b", "relative");
        let why = reloader.look(&file, &mut applied).await.unwrap_err();
        let words = "Failed to read ModelServerConfig file: INVALID_ARGUMENT: Expected model b to";
        assert!(why.starts_with(words), "{why}");
        write("c", &path("nowhere"));
        let why = reloader.look(&file, &mut applied).await.unwrap_err();
        let words = "PollFilesystemAndReloadConfig failed to ReloadConfig: UNKNOWN: 1 model(s) did";
        assert!(why.starts_with(words), "{why}");
        assert!(answers(&manager, "b"));
        // The same again is no reload: the base path could be gone by now.
        write("b", &path("b"));
        std::fs::remove_dir_all(disk.path().join("b")).unwrap();
        assert_eq!(reloader.look(&file, &mut applied).await, Ok(()));
        std::fs::remove_file(&file).unwrap();
        let why = reloader.look(&file, &mut applied).await.unwrap_err();
        assert!(why.starts_with("Failed to read ModelServerConfig file: cannot read"));
        // An empty configuration changes nothing.
        let told = reloader.reload_configs(None, Deadline::NEVER).await;
        assert!(told.is_ok() && answers(&manager, "b"));
        let torch = vec![config("b", &path("b"), "torch")];
        let told = reloader.reload_configs(Some(torch), Deadline::NEVER).await;
        assert!(
            told.unwrap_err()
                .message()
                .starts_with("Illegal to change a model's platform.")
        );
    }
}
