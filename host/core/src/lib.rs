//! The shelf: which versions of which models are loaded, and who may use them.
//!
//! ```text
//! base path --scan--> Source --AspiredVersions--> Manager --load--> ServableFactory
//!                                                   |
//!                        request --lookup--> ServableHandle (pins one version)
//! ```
//!
//! The decisions are pure functions with tables for tests: which directories are versions
//! ([`scan`]), which of them are wanted ([`ServableVersionPolicy`]), what to load or unload next
//! ([`VersionPolicy`]), which step a version may take ([`Lifecycle`]). Round them are one task and
//! a few threads ([`Manager`]). States, order and messages are TensorFlow Serving's.
//!
//! **Invariant:** the shelf does not know what a servable is. It never names a tensor, a
//! signature, TensorFlow or a status code of HTTP.
//!
//! ```
//! use std::path::Path;
//! use tensorgate_core::{
//!     FileSystemSource, Manager, ManagerOptions, MonitoredServable, Polling, ServableFactory,
//!     ServableVersionPolicy,
//! };
//! use tensorgate_types::{Error, ModelSpec, ServableId, VersionChoice};
//!
//! /// A servable that is the text of a file.
//! struct Texts;
//!
//! impl ServableFactory for Texts {
//!     type Servable = String;
//!
//!     fn load(&self, _id: &ServableId, path: &Path) -> Result<String, Error> {
//!         std::fs::read_to_string(path.join("text"))
//!             .map_err(|error| Error::not_found("there is no text").with_source(error))
//!     }
//! }
//!
//! # let base = tempfile::tempdir()?;
//! # std::fs::create_dir(base.path().join("3"))?;
//! # std::fs::write(base.path().join("3/text"), "three")?;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let manager = Manager::spawn(&ManagerOptions::default(), Texts)?;
//! let source = FileSystemSource::new(
//!     vec![MonitoredServable {
//!         name: "greeting".to_owned(),
//!         base_path: base.path().to_owned(),
//!         version_policy: ServableVersionPolicy::default(),
//!     }],
//!     Polling::default(),
//! );
//! manager.attach(source).await;
//! manager.wait_until_settled(&["greeting"]).await;
//!
//! let handle = manager.lookup(&ModelSpec {
//!     name: "greeting".to_owned(),
//!     version: VersionChoice::Latest,
//! })?;
//! assert_eq!((handle.id().version, handle.as_str()), (3, "three"));
//! # drop(handle);
//! manager.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod handle;
mod lifecycle;
mod loader;
mod manager;
mod policy;
mod readiness;
mod source;
mod threads;

pub use handle::ServableHandle;
pub use lifecycle::{IllegalTransition, Lifecycle};
pub use loader::ServableFactory;
pub use manager::{Catalog, CatalogEntry, CatalogOptions, Manager, ManagerOptions};
pub use policy::{Action, VersionPolicy, VersionSnapshot};
pub use readiness::{ModelReadiness, Readiness};
pub use source::{
    Aspirations, AspiredVersion, AspiredVersions, FileSystemSource, MonitoredServable, Polling,
    Scan, Selection, ServableVersionPolicy, Source, parse_version, scan,
};
