//! The place before a version, and what stands there now.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tensorgate_edge::Processor;
use tensorgate_types::{ServableId, Signatures};

/// Where a processor came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Pushed to the running server.
    Pushed,
    /// Beside the version, in its directory.
    Version,
    /// Named in the configuration.
    Config,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Version => "version directory",
            Self::Config => "configuration",
        }
    }
}

/// A processor that stands before a version.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) processor: Processor,
    pub(crate) origin: Origin,
    /// Of its file.
    pub(crate) digest: String,
}

/// The place before one version. A request takes what stands there when it opens the version.
#[derive(Debug)]
pub(crate) struct Seat {
    id: ServableId,
    directory: PathBuf,
    signatures: Signatures,
    /// Written by whoever loads the version and by pushes; held for no longer than a clone takes.
    standing: RwLock<Option<Standing>>,
}

impl Seat {
    /// An empty one.
    pub(super) fn new(id: &ServableId, directory: &Path, signatures: &Signatures) -> Arc<Self> {
        Arc::new(Self {
            id: id.clone(),
            directory: directory.to_owned(),
            signatures: signatures.clone(),
            standing: RwLock::default(),
        })
    }

    pub(crate) fn id(&self) -> &ServableId {
        &self.id
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// From now on this stands there.
    pub(super) fn put(&self, standing: Option<Standing>) {
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = standing;
    }

    pub(crate) fn standing(&self) -> Option<Standing> {
        let standing = self.standing.read();
        standing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a request goes through.
    pub(crate) fn processor(&self) -> Option<Processor> {
        let standing = self.standing.read();
        let standing = standing.unwrap_or_else(PoisonError::into_inner);
        standing.as_ref().map(|standing| standing.processor.clone())
    }
}
