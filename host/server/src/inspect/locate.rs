//! Which directory is meant: a version directory, or the highest below a base path.

use std::path::{Path, PathBuf};

use super::InspectError;

/// The file that holds a SavedModel's description.
pub(super) const BINARY: &str = "saved_model.pb";
const TEXT: &str = "saved_model.pbtxt";
const SHARDED: &str = "saved_model.cpb";

/// A directory with a SavedModel.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) directory: PathBuf,
    /// The versions of the base path, lowest first; empty when a version directory was given.
    pub(super) versions: Vec<i64>,
}

pub(super) fn locate(path: &Path) -> Result<Found, InspectError> {
    if !is_there(path)? {
        return Err(InspectError::Missing {
            path: path.to_owned(),
        });
    }
    if path.is_file() && path.file_name() == Some(BINARY.as_ref()) {
        let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
        return Ok(Found {
            directory,
            versions: Vec::new(),
        });
    }
    if holds_model(path)? {
        return Ok(Found {
            directory: path.to_owned(),
            versions: Vec::new(),
        });
    }
    let versions = versions(path)?;
    let Some((_, highest)) = versions.last() else {
        return Err(InspectError::NoModel {
            path: path.to_owned(),
        });
    };
    if !holds_model(highest)? {
        return Err(InspectError::NoModel {
            path: highest.clone(),
        });
    }
    Ok(Found {
        directory: highest.clone(),
        versions: versions.iter().map(|(version, _)| *version).collect(),
    })
}

/// Whether there is a `saved_model.pb`; an error when there is one in another form only.
fn holds_model(directory: &Path) -> Result<bool, InspectError> {
    if is_there(&directory.join(BINARY))? {
        return Ok(true);
    }
    let text = directory.join(TEXT);
    if is_there(&text)? {
        return Err(InspectError::TextFormat { path: text });
    }
    let sharded = directory.join(SHARDED);
    if is_there(&sharded)? {
        return Err(InspectError::Sharded { path: sharded });
    }
    Ok(false)
}

/// Children whose name is a number, lowest first.
fn versions(base: &Path) -> Result<Vec<(i64, PathBuf)>, InspectError> {
    let unreadable = |source| InspectError::Unreadable {
        path: base.to_owned(),
        source,
    };
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(base).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if let Some(version) = name.to_str().and_then(|name| name.trim().parse().ok()) {
            versions.push((version, entry.path()));
        }
    }
    versions.sort();
    Ok(versions)
}

fn is_there(path: &Path) -> Result<bool, InspectError> {
    path.try_exists()
        .map_err(|source| InspectError::Unreadable {
            path: path.to_owned(),
            source,
        })
}
