//! Which version to load or to unload next: a pure function over a model's versions.
//!
//! In: a snapshot of every version of one model. Out: at most one action; the manager takes it
//! and asks again until there is none.
//!
//! **Invariant:** knows nothing of time, threads, files or other models.

use crate::lifecycle::Lifecycle;

/// One version as a policy sees it.
#[derive(Debug, Clone)]
pub struct VersionSnapshot {
    /// The version.
    pub version: i64,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Whether it is wanted.
    pub is_aspired: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Load this version.
    Load(i64),
    /// Unload this version.
    Unload(i64),
}

/// How a model changes from one set of versions to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionPolicy {
    /// Loads the new version before the old one goes: there is always one that answers, and
    /// memory must hold both for a moment. TensorFlow Serving's server knows no other.
    #[default]
    AvailabilityPreserving,
    /// Unloads the old version before the new one is loaded: memory never holds both, and for a
    /// moment nothing answers.
    ResourcePreserving,
}

impl VersionPolicy {
    /// The next action, if there is any to take now. The order of the snapshots does not matter.
    #[must_use]
    pub fn next_action(self, versions: &[VersionSnapshot]) -> Option<Action> {
        match self {
            Self::AvailabilityPreserving => unload_when_replaced(versions),
            Self::ResourcePreserving => unload_when_unwanted(versions),
        }
        .or_else(|| {
            self.may_load(versions)
                .then(|| load_highest(versions))
                .flatten()
        })
    }

    /// The resource-preserving policy waits until everything unwanted is really gone, since until
    /// then its memory is not free.
    fn may_load(self, versions: &[VersionSnapshot]) -> bool {
        match self {
            Self::AvailabilityPreserving => true,
            Self::ResourcePreserving => versions.iter().all(|version| match version.lifecycle {
                Lifecycle::Quiescing | Lifecycle::Unloading => false,
                Lifecycle::Disabled | Lifecycle::Error(_) => true,
                _ => version.is_aspired,
            }),
        }
    }
}

/// The lowest ready version that nobody wants, provided that another one answers instead of it or
/// that the model is not wanted at all.
fn unload_when_replaced(versions: &[VersionSnapshot]) -> Option<Action> {
    let is_ready = |version: &&VersionSnapshot| matches!(version.lifecycle, Lifecycle::Ready);
    let none_wanted = !versions.iter().any(|version| version.is_aspired);
    let wanted_answers = versions
        .iter()
        .filter(is_ready)
        .any(|version| version.is_aspired);
    let unwanted_answering = versions
        .iter()
        .filter(is_ready)
        .filter(|version| !version.is_aspired)
        .count();
    if none_wanted || wanted_answers || unwanted_answering > 1 {
        unload_when_unwanted(versions)
    } else {
        None
    }
}

fn unload_when_unwanted(versions: &[VersionSnapshot]) -> Option<Action> {
    versions
        .iter()
        .filter(|version| !version.is_aspired && matches!(version.lifecycle, Lifecycle::Ready))
        .map(|version| version.version)
        .min()
        .map(Action::Unload)
}

fn load_highest(versions: &[VersionSnapshot]) -> Option<Action> {
    versions
        .iter()
        .filter(|version| version.is_aspired && matches!(version.lifecycle, Lifecycle::New))
        .map(|version| version.version)
        .max()
        .map(Action::Load)
}

#[cfg(test)]
mod tests {
    use tensorgate_types::Error;

    use super::*;

    /// `+3 ready -2 loading`: version 3 wanted and ready, version 2 unwanted and loading.
    fn versions(text: &str) -> Vec<VersionSnapshot> {
        let words: Vec<&str> = text.split_whitespace().collect();
        words
            .chunks(2)
            .map(|pair| VersionSnapshot {
                version: pair[0][1..].parse().unwrap(),
                is_aspired: pair[0].starts_with('+'),
                lifecycle: match pair[1] {
                    "new" => Lifecycle::New,
                    "approved" => Lifecycle::LoadApproved,
                    "loading" => Lifecycle::Loading,
                    "ready" => Lifecycle::Ready,
                    "quiescing" => Lifecycle::Quiescing,
                    "unloading" => Lifecycle::Unloading,
                    "disabled" => Lifecycle::Disabled,
                    "error" => Lifecycle::Error(Error::internal("broken")),
                    other => panic!("no state is called {other}"),
                },
            })
            .collect()
    }

    fn check(policy: VersionPolicy, table: &[Row]) {
        for (title, text, expected) in table {
            let mut versions = versions(text);
            assert_eq!(policy.next_action(&versions), *expected, "{title}: {text}");
            versions.reverse();
            assert_eq!(
                policy.next_action(&versions),
                *expected,
                "{title}, reversed: {text}"
            );
        }
    }

    /// What happens, the versions, and what comes next.
    type Row = (&'static str, &'static str, Option<Action>);

    const AVAILABILITY_PRESERVING: &[Row] = &[
        ("nothing there", "", None),
        ("first version", "+1 new", Some(Action::Load(1))),
        (
            "highest first",
            "+1 new +3 new +2 new",
            Some(Action::Load(3)),
        ),
        (
            "one is on its way, load the other too",
            "+1 new +2 loading",
            Some(Action::Load(1)),
        ),
        ("all wanted are there", "+1 ready +2 ready", None),
        (
            "old one stays while the new one comes",
            "-1 ready +2 new",
            Some(Action::Load(2)),
        ),
        (
            "old one stays while the new one waits",
            "-1 ready +2 approved",
            None,
        ),
        (
            "old one stays while the new one loads",
            "-1 ready +2 loading",
            None,
        ),
        (
            "old one stays when the new one fails",
            "-1 ready +2 error",
            None,
        ),
        (
            "old one goes when the new one is there",
            "-1 ready +2 ready",
            Some(Action::Unload(1)),
        ),
        ("roll back", "+1 ready -2 ready", Some(Action::Unload(2))),
        (
            "roll back to one that must be loaded",
            "+1 new -2 ready",
            Some(Action::Load(1)),
        ),
        (
            "two unwanted, one goes",
            "-1 ready -2 ready +3 loading",
            Some(Action::Unload(1)),
        ),
        (
            "two unwanted, unload before load",
            "-1 ready -2 ready +3 new",
            Some(Action::Unload(1)),
        ),
        (
            "model not wanted at all",
            "-1 ready",
            Some(Action::Unload(1)),
        ),
        (
            "model not wanted, lowest first",
            "-2 ready -1 ready",
            Some(Action::Unload(1)),
        ),
        ("already going", "-1 quiescing", None),
        ("gone but for the memory", "-1 unloading +2 ready", None),
        (
            "one answers while another comes back",
            "+1 unloading -2 ready",
            None,
        ),
        ("unwanted is not loaded", "-1 new", None),
        (
            "unwanted in its load is let be",
            "-1 loading +2 ready",
            None,
        ),
        ("failed is not loaded again", "+1 error", None),
        ("gone is not loaded again", "+1 disabled", None),
        (
            "ready one besides a wanted failure stays",
            "+1 ready +2 error",
            None,
        ),
    ];

    #[test]
    fn availability_preserving_keeps_an_answer_at_hand() {
        check(
            VersionPolicy::AvailabilityPreserving,
            AVAILABILITY_PRESERVING,
        );
    }

    #[test]
    fn resource_preserving_never_holds_two() {
        use Action::{Load, Unload};
        check(
            VersionPolicy::ResourcePreserving,
            &[
                ("nothing there", "", None),
                ("first version", "+1 new", Some(Load(1))),
                ("highest first", "+1 new +2 new", Some(Load(2))),
                ("unload first", "-1 ready +2 new", Some(Unload(1))),
                (
                    "lowest goes first",
                    "-2 ready -1 ready +3 new",
                    Some(Unload(1)),
                ),
                (
                    "wait while requests hold the old one",
                    "-1 quiescing +2 new",
                    None,
                ),
                (
                    "wait until the old one is freed",
                    "-1 unloading +2 new",
                    None,
                ),
                (
                    "wait for the end of an unwanted load",
                    "-1 loading +2 new",
                    None,
                ),
                (
                    "load once the old one is gone",
                    "-1 disabled +2 new",
                    Some(Load(2)),
                ),
                (
                    "load once the old one has failed",
                    "-1 error +2 new",
                    Some(Load(2)),
                ),
                ("wanted and there", "+1 ready", None),
                ("model not wanted at all", "-1 ready", Some(Unload(1))),
            ],
        );
    }
}
