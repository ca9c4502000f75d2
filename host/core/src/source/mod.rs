//! What should be served: the aspired versions of each model, and who says so.
//!
//! A [`Source`] watches some place and tells the manager, through [`Aspirations`], which versions
//! of a model it wants to see. [`FileSystemSource`] watches directories.
//!
//! **Invariant:** a source says what should be, and never learns what is.
//! **Cancellation:** a source is stopped by dropping its future, between two scans.

mod file_system;
mod poller;
mod quiet;
mod scan;
mod select;

use std::future::Future;
use std::path::PathBuf;

use tokio::sync::mpsc;

pub(crate) use file_system::Watches;
pub use file_system::{FileSystemSource, MonitoredServable, Polling};
pub(crate) use poller::versions_in;
pub use scan::{Scan, parse_version, scan};
pub use select::{Selection, ServableVersionPolicy};

/// One version that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AspiredVersion {
    /// The version.
    pub version: i64,
    /// Where it is to be loaded from.
    pub path: PathBuf,
}

/// All versions of a model that are wanted. Replaces the previous list whole: what is not in it
/// is unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AspiredVersions {
    /// The model.
    pub name: String,
    /// Its versions, in any order.
    pub versions: Vec<AspiredVersion>,
}

/// What a source can say.
#[derive(Debug)]
pub(crate) enum Wish {
    /// These versions are wanted, and no others.
    Versions(AspiredVersions),
    /// The place where the model's versions should be cannot be read: leave everything as it is.
    Unreadable(String),
}

impl Wish {
    /// The model that it is about.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Versions(versions) => &versions.name,
            Self::Unreadable(name) => name,
        }
    }
}

/// Where a source leaves its wishes.
#[derive(Debug, Clone)]
pub struct Aspirations {
    wishes: mpsc::Sender<(u64, Wish)>,
    /// Of the configuration that it speaks for: the manager hears no other.
    generation: u64,
}

impl Aspirations {
    pub(crate) fn new(wishes: mpsc::Sender<(u64, Wish)>) -> Self {
        Self {
            wishes,
            generation: 0,
        }
    }

    /// The same, for a configuration.
    pub(crate) fn of_generation(&self, generation: u64) -> Self {
        Self {
            wishes: self.wishes.clone(),
            generation,
        }
    }

    /// Says which versions of a model are wanted. Waits while the manager has many wishes before
    /// this one; does nothing once the manager has shut down.
    pub async fn aspire(&self, versions: AspiredVersions) {
        self.send(Wish::Versions(versions)).await;
    }

    /// Says that the place where a model's versions should be cannot be read. What is loaded
    /// stays, and nobody waits for the model's first version any longer.
    pub async fn unreadable(&self, name: &str) {
        self.send(Wish::Unreadable(name.to_owned())).await;
    }

    async fn send(&self, wish: Wish) {
        // Without a manager there is nobody to want anything: the source is about to be dropped.
        let _ = self.wishes.send((self.generation, wish)).await;
    }
}

/// Says which versions of its models should be served.
pub trait Source: Send + 'static {
    /// The models that it speaks for.
    fn servables(&self) -> Vec<String>;

    /// Watches, and says what is wanted, until it is dropped or has nothing more to say.
    fn run(self, aspirations: Aspirations) -> impl Future<Output = ()> + Send;
}
