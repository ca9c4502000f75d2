//! Watches directories: every model has a base path, and each numbered child of it is a version.
//!
//! Every model is polled by a task of its own, so that a base path that is gone, or a file system
//! that hangs, stops the polls of no other model.
//!
//! **Ordering:** of one model, poll follows poll. Between models there is none.
//! **Cancellation:** dropping the future of [`FileSystemSource::run`] stops all polls; a scan that
//! has begun ends on its blocking thread and is forgotten.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::poller::Poller;
use super::{Aspirations, ServableVersionPolicy, Source, Wish};

/// How many base paths are looked at at once: bounds the blocking threads that a server of a
/// thousand models uses in each poll. File systems that hang use up one each.
const MAX_CONCURRENT_SCANS: usize = 16;

/// How often base paths are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polling {
    /// First at once, then with this much time between two polls.
    Every(Duration),
    /// At once and never again.
    Once,
    /// Never: no version is ever found, and models wait for their first scan for ever.
    Never,
}

impl Polling {
    /// From the flag `file_system_poll_wait_seconds`: 0 is once, less is never.
    #[must_use]
    pub fn from_wait_seconds(seconds: i64) -> Self {
        match u64::try_from(seconds) {
            Ok(0) => Self::Once,
            Ok(seconds) => Self::Every(Duration::from_secs(seconds)),
            Err(_) => Self::Never,
        }
    }

    fn interval(self) -> Option<Duration> {
        match self {
            Self::Every(interval) => Some(interval),
            Self::Once | Self::Never => None,
        }
    }
}

/// Every second, as TensorFlow Serving does by default.
impl Default for Polling {
    fn default() -> Self {
        Self::Every(Duration::from_secs(1))
    }
}

/// A model whose base path is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitoredServable {
    /// The model's name.
    pub name: String,
    /// The directory whose numbered children are its versions.
    pub base_path: PathBuf,
    /// Which of them are wanted.
    pub version_policy: ServableVersionPolicy,
}

/// Says which versions are wanted by looking at directories.
#[derive(Debug)]
pub struct FileSystemSource {
    servables: Vec<MonitoredServable>,
    polling: Polling,
}

impl FileSystemSource {
    /// Watches the base paths of these models.
    #[must_use]
    pub fn new(servables: Vec<MonitoredServable>, polling: Polling) -> Self {
        Self { servables, polling }
    }
}

impl Source for FileSystemSource {
    fn servables(&self) -> Vec<String> {
        self.servables
            .iter()
            .map(|servable| servable.name.clone())
            .collect()
    }

    async fn run(self, aspirations: Aspirations) {
        if self.polling == Polling::Never {
            return;
        }
        let scans = Arc::new(Semaphore::new(MAX_CONCURRENT_SCANS));
        let interval = self.polling.interval();
        let mut polls = JoinSet::new();
        for servable in self.servables {
            let poller = Poller::new(servable, interval.unwrap_or_default());
            let (scans, aspirations) = (Arc::clone(&scans), aspirations.clone());
            polls.spawn(watch(poller, interval, scans, aspirations));
        }
        while let Some(ended) = polls.join_next().await {
            if let Err(error) = ended {
                tracing::error!("the watch of a base path has ended: {error}");
            }
        }
    }
}

/// Watches models one by one, for a catalog that changes.
#[derive(Debug)]
pub(crate) struct Watches {
    polling: Polling,
    scans: Arc<Semaphore>,
}

impl Watches {
    pub(crate) fn new(polling: Polling) -> Self {
        Self {
            polling,
            scans: Arc::new(Semaphore::new(MAX_CONCURRENT_SCANS)),
        }
    }

    /// Polls the base path of a model for as long as the future is driven; not at all where
    /// polling is switched off.
    pub(crate) fn watch(
        &self,
        servable: MonitoredServable,
        aspirations: Aspirations,
    ) -> impl Future<Output = ()> + Send + use<> {
        let is_off = self.polling == Polling::Never;
        let interval = self.polling.interval();
        let poller = Poller::new(servable, interval.unwrap_or_default());
        let scans = Arc::clone(&self.scans);
        async move {
            if !is_off {
                watch(poller, interval, scans, aspirations).await;
            }
        }
    }
}

/// Polls one model for as long as anybody listens.
async fn watch(
    mut poller: Poller,
    interval: Option<Duration>,
    scans: Arc<Semaphore>,
    aspirations: Aspirations,
) {
    loop {
        let permit = Arc::clone(&scans).acquire_owned().await;
        let scan = spawn_blocking(move || {
            let wish = poller.poll(SystemTime::now());
            drop(permit);
            (poller, wish)
        });
        let wish = match scan.await {
            Ok((kept, wish)) => {
                poller = kept;
                wish
            }
            Err(error) => {
                tracing::error!("a scan of a base path has died: {error}");
                return;
            }
        };
        match wish {
            Some(Wish::Versions(versions)) => aspirations.aspire(versions).await,
            Some(Wish::Unreadable(name)) => aspirations.unreadable(&name).await,
            None => {}
        }
        let Some(interval) = interval else { return };
        sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_flag_as_tensorflow_serving_does() {
        for (seconds, expected) in [
            (1, Polling::Every(Duration::from_secs(1))),
            (0, Polling::Once),
            (-1, Polling::Never),
            (i64::MIN, Polling::Never),
        ] {
            assert_eq!(Polling::from_wait_seconds(seconds), expected);
        }
    }
}
