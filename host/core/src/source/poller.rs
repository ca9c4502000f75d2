//! One model's base path from poll to poll: what is wanted now, and has it changed?
//!
//! In: the names in the base path, and fingerprints of version directories on demand. Out: a wish,
//! only when it differs from the one before.
//!
//! A version directory counts once it is quiet ([`super::quiet`]). What is there at the very first
//! poll counts at once: servers are started on finished directories, and waiting for a poll would
//! slow down every start.
//!
//! **Invariant:** waits for nothing and sleeps never; time comes in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::quiet::Fingerprint;
use super::scan::scan;
use super::{AspiredVersion, AspiredVersions, MonitoredServable, Wish};

/// The memory of one model's polls.
#[derive(Debug)]
pub(crate) struct Poller {
    servable: MonitoredServable,
    interval: Duration,
    is_first: bool,
    /// Versions that were quiet once, and are there still.
    accepted: BTreeSet<i64>,
    /// Versions that were not quiet yet, as they looked at the last poll.
    watched: BTreeMap<i64, Fingerprint>,
    /// What was wished for last; `None` before the first wish.
    wished: Option<Vec<AspiredVersion>>,
    /// What was logged last, so that it is logged once per change and not once per poll.
    complaints: Vec<String>,
}

impl Poller {
    pub(crate) fn new(servable: MonitoredServable, interval: Duration) -> Self {
        Self {
            servable,
            interval,
            is_first: true,
            accepted: BTreeSet::new(),
            watched: BTreeMap::new(),
            wished: None,
            complaints: Vec::new(),
        }
    }

    /// Looks at the base path. Blocks as long as the file system does.
    pub(crate) fn poll(&mut self, now: SystemTime) -> Option<Wish> {
        let children = list(&self.servable.base_path);
        self.decide(children, now, Fingerprint::of)
    }

    /// What to wish for, given the names in the base path.
    fn decide(
        &mut self,
        children: io::Result<Vec<String>>,
        now: SystemTime,
        mut fingerprint: impl FnMut(&Path) -> io::Result<Fingerprint>,
    ) -> Option<Wish> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let children = match children {
            Ok(children) => children,
            Err(error) => return self.cannot_read(&error),
        };
        let found = scan(children);
        let mut complaints = found.warnings;
        let mut candidates: BTreeSet<i64> = found.versions.keys().copied().collect();
        if is_first {
            self.accepted.clone_from(&candidates);
        }
        self.accepted.retain(|version| candidates.contains(version));
        let MonitoredServable {
            name,
            base_path,
            version_policy,
        } = &self.servable;
        if candidates.is_empty() {
            complaints.push(format!(
                "No versions of servable {name} found under base path {}. Did you forget to name \
                 your leaf directory as a number (eg. '/1/')?",
                base_path.display()
            ));
        }
        complaints.extend(version_policy.select(name, &candidates).warnings);

        // Each turn accepts what is quiet and takes away what is not, until the policy chooses
        // accepted versions only: at most one turn per version that is being written.
        let mut watched = BTreeMap::new();
        let chosen = loop {
            let chosen = version_policy.select(name, &candidates).versions;
            let unsettled: Vec<i64> = chosen.difference(&self.accepted).copied().collect();
            if unsettled.is_empty() {
                break chosen;
            }
            for version in unsettled {
                let print = fingerprint(&base_path.join(&found.versions[&version]));
                match print {
                    Ok(print) if print.is_quiet(self.watched.get(&version), now, self.interval) => {
                        self.accepted.insert(version);
                        continue;
                    }
                    Ok(print) => {
                        watched.insert(version, print);
                    }
                    // It changes under our eyes, or cannot be read: not now.
                    Err(error) => tracing::debug!(
                        "cannot look into version {version} of servable {name}: {error}"
                    ),
                }
                candidates.remove(&version);
            }
        };
        self.watched = watched;
        let versions = chosen
            .into_iter()
            .map(|version| AspiredVersion {
                version,
                path: base_path.join(&found.versions[&version]),
            })
            .collect();
        for complaint in self.news(complaints) {
            tracing::warn!("{complaint}");
        }
        self.wish(versions)
    }

    fn cannot_read(&mut self, error: &io::Error) -> Option<Wish> {
        let complaint = format!(
            "FileSystemStoragePathSource encountered a filesystem access error: Could not find \
             base path {} for servable {} with error {error}",
            self.servable.base_path.display(),
            self.servable.name
        );
        let news = self.news(vec![complaint]);
        for complaint in &news {
            tracing::error!("{complaint}");
        }
        // Nothing is forgotten: when the path is back, what is loaded is still as good as before.
        (!news.is_empty()).then(|| Wish::Unreadable(self.servable.name.clone()))
    }

    /// The complaints that were not among those of the last poll.
    fn news(&mut self, complaints: Vec<String>) -> Vec<String> {
        let old = std::mem::replace(&mut self.complaints, complaints);
        self.complaints
            .iter()
            .filter(|complaint| !old.contains(complaint))
            .cloned()
            .collect()
    }

    fn wish(&mut self, versions: Vec<AspiredVersion>) -> Option<Wish> {
        if self.wished.as_ref() == Some(&versions) {
            return None;
        }
        self.wished = Some(versions.clone());
        Some(Wish::Versions(AspiredVersions {
            name: self.servable.name.clone(),
            versions,
        }))
    }
}

/// The versions in a base path, as numbers. Blocks as long as the file system does.
pub(crate) fn versions_in(base_path: &Path) -> io::Result<BTreeSet<i64>> {
    let found = scan(list(base_path)?);
    Ok(found.versions.into_keys().collect())
}

/// The names in a directory. A name that is not UTF-8 is no number either.
fn list(base_path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for child in fs::read_dir(base_path)? {
        names.extend(child?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
#[path = "poller_tests.rs"]
mod tests;
