//! How a servable is made: the one thing that the shelf asks of those who know what a servable is.

use std::path::Path;

use tensorgate_types::{Error, ServableId};

/// Makes servables.
///
/// There is no `unload`: a servable is unloaded by dropping it, when the last handle to it is
/// gone. Its `drop` runs on an unload thread of the manager, never on a request's.
pub trait ServableFactory: Send + Sync + 'static {
    /// What is made.
    type Servable: Send + Sync + 'static;

    /// Loads the version `id` from the directory (or file) `path`.
    ///
    /// May block for as long as it takes: it is called on the manager's load threads, several at
    /// once. After an error it is called again, as [`crate::ManagerOptions`] says. A panic counts
    /// as an error of this version.
    ///
    /// # Errors
    /// Whatever went wrong; shown to clients in the version's status.
    fn load(&self, id: &ServableId, path: &Path) -> Result<Self::Servable, Error>;
}
