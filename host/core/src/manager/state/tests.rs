//! The decisions of the manager, event by event.

use tensorgate_types::{ModelVersionStatus, ServableState};

use super::*;
use crate::manager::model::MAX_ENDED;
use crate::source::AspiredVersion;

const REST: Duration = Duration::from_secs(60);

pub(super) fn rules() -> Rules {
    Rules {
        policy: VersionPolicy::AvailabilityPreserving,
        load_threads: 2,
        max_retries: 2,
        retry_interval: REST,
    }
}

fn id(version: i64) -> ServableId {
    ServableId::new("m", version)
}

pub(super) fn list(name: &str, versions: &[i64]) -> AspiredVersions {
    AspiredVersions {
        name: name.to_owned(),
        versions: versions
            .iter()
            .map(|version| AspiredVersion {
                version: *version,
                path: format!("/{name}/{version}").into(),
            })
            .collect(),
    }
}

pub(super) fn broken() -> Error {
    Error::internal("broken")
}

/// Effects in short: `load 3`, `retry 3`, `call off 3`, `release 3`.
fn effects(state: &mut ManagerState) -> Vec<String> {
    state
        .take_effects()
        .into_iter()
        .map(|effect| match effect {
            Effect::Load { id, path, .. } => {
                assert_eq!(path, PathBuf::from(format!("/{}/{}", id.name, id.version)));
                format!("load {}", id.version)
            }
            Effect::RetryAfter { id, delay } => {
                assert_eq!(delay, REST);
                format!("retry {}", id.version)
            }
            Effect::CancelRetry(id) => format!("call off {}", id.version),
            Effect::Release(id) => format!("release {}", id.version),
        })
        .collect()
}

pub(super) fn statuses(state: &ManagerState, name: &str) -> Vec<ModelVersionStatus> {
    state
        .model(name)
        .map(ManagedModel::statuses)
        .unwrap_or_default()
}

/// `3 AVAILABLE, 2 END`.
fn seen(state: &ManagerState) -> String {
    let words: Vec<String> = statuses(state, "m")
        .iter()
        .map(|status| format!("{} {}", status.version, status.state.name()))
        .collect();
    words.join(", ")
}

/// A model with these versions available.
fn serving(rules: Rules, versions: &[i64]) -> ManagerState {
    let mut state = ManagerState::new(rules);
    state.aspire(list("m", versions));
    for version in versions.iter().rev() {
        state.last_load_ended(&id(*version), Ok(()));
    }
    state.take_effects();
    state
}

#[test]
fn swaps_in_one_step_once_the_new_version_is_loaded() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[2]));
    assert_eq!(effects(&mut state), ["load 2"]);
    assert_eq!(seen(&state), "2 LOADING, 1 AVAILABLE");
    state.last_load_ended(&id(2), Ok(()));
    assert_eq!(effects(&mut state), ["release 1"]);
    assert_eq!(seen(&state), "2 AVAILABLE, 1 UNLOADING");
    state.quiesced(&id(1));
    assert_eq!(seen(&state), "2 AVAILABLE, 1 UNLOADING");
    state.dropped(&id(1));
    assert_eq!(seen(&state), "2 AVAILABLE, 1 END");
    assert_eq!(statuses(&state, "m")[1].status, Ok(()));
}

#[test]
fn keeps_the_old_version_when_the_new_one_fails() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[2]));
    for attempt in 1..=2 {
        state.last_load_ended(&id(2), Err(broken()));
        assert_eq!(seen(&state), "2 LOADING, 1 AVAILABLE", "attempt {attempt}");
        state.retry_due(&id(2));
    }
    assert_eq!(
        effects(&mut state),
        ["load 2", "retry 2", "load 2", "retry 2", "load 2"]
    );
    state.last_load_ended(&id(2), Err(broken()));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    assert_eq!(seen(&state), "2 END, 1 AVAILABLE");
    assert_eq!(
        statuses(&state, "m")[0].status,
        Err((broken().code(), "broken".to_owned()))
    );
}

#[test]
fn failed_version_is_loaded_again_only_after_it_was_away() {
    let mut state = ManagerState::new(Rules {
        max_retries: 0,
        ..rules()
    });
    state.aspire(list("m", &[1]));
    state.last_load_ended(&id(1), Err(broken()));
    assert_eq!(effects(&mut state), ["load 1"]);
    state.aspire(list("m", &[1]));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    state.aspire(list("m", &[]));
    assert_eq!(seen(&state), "1 END");
    assert!(statuses(&state, "m")[0].status.is_err(), "still says why");
    state.aspire(list("m", &[1]));
    assert_eq!(effects(&mut state), ["load 1"]);
    assert_eq!(seen(&state), "1 LOADING");
}

#[test]
fn rolls_back_to_a_version_that_must_be_loaded_first() {
    let mut state = serving(rules(), &[2]);
    state.aspire(list("m", &[1]));
    assert_eq!(effects(&mut state), ["load 1"]);
    assert_eq!(seen(&state), "2 AVAILABLE, 1 LOADING");
    state.last_load_ended(&id(1), Ok(()));
    assert_eq!(effects(&mut state), ["release 2"]);
}

#[test]
fn rolls_back_to_the_version_that_still_serves() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[2]));
    state.last_load_ended(&id(2), Err(broken()));
    state.aspire(list("m", &[1]));
    assert_eq!(effects(&mut state), ["load 2", "retry 2", "call off 2"]);
    assert_eq!(seen(&state), "2 END, 1 AVAILABLE");
}

#[test]
fn unloads_everything_when_nothing_is_wanted() {
    let mut state = serving(rules(), &[1, 2]);
    state.aspire(list("m", &[]));
    assert_eq!(effects(&mut state), ["release 1", "release 2"]);
}

#[test]
fn version_wanted_again_waits_until_the_old_instance_is_gone() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[]));
    state.aspire(list("m", &[1]));
    assert_eq!(effects(&mut state), ["release 1"]);
    assert!(!state.model("m").unwrap().readiness().is_settled());
    state.quiesced(&id(1));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    state.dropped(&id(1));
    assert_eq!(effects(&mut state), ["load 1"]);
    assert_eq!(seen(&state), "1 LOADING");
}

#[test]
fn another_version_answers_while_the_wanted_one_comes_back() {
    let mut state = serving(rules(), &[3]);
    state.aspire(list("m", &[2]));
    state.last_load_ended(&id(2), Ok(()));
    assert_eq!(effects(&mut state), ["load 2", "release 3"]);
    state.aspire(list("m", &[3]));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    assert_eq!(seen(&state), "3 UNLOADING, 2 AVAILABLE");
    state.quiesced(&id(3));
    state.dropped(&id(3));
    assert_eq!(effects(&mut state), ["load 3"]);
    state.last_load_ended(&id(3), Ok(()));
    assert_eq!(effects(&mut state), ["release 2"]);
}

#[test]
fn version_wanted_again_and_dropped_again_stays_away() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[]));
    state.aspire(list("m", &[1]));
    state.aspire(list("m", &[]));
    state.quiesced(&id(1));
    state.dropped(&id(1));
    assert_eq!(effects(&mut state), ["release 1"]);
    assert_eq!(seen(&state), "1 END");
}

#[test]
fn version_waiting_for_a_thread_is_called_off_when_unwanted() {
    let mut state = ManagerState::new(Rules {
        load_threads: 1,
        ..rules()
    });
    state.aspire(list("m", &[1, 2]));
    assert_eq!(effects(&mut state), ["load 2"]);
    state.aspire(list("m", &[2]));
    assert_eq!(seen(&state), "2 LOADING, 1 END");
    state.last_load_ended(&id(2), Ok(()));
    assert_eq!(effects(&mut state), Vec::<String>::new());
}

#[test]
fn version_unwanted_between_attempts_ends_with_its_last_error() {
    let mut state = ManagerState::new(rules());
    state.aspire(list("m", &[1]));
    state.last_load_ended(&id(1), Err(broken()));
    state.aspire(list("m", &[]));
    assert_eq!(effects(&mut state), ["load 1", "retry 1", "call off 1"]);
    assert_eq!(seen(&state), "1 END");
    assert!(statuses(&state, "m")[0].status.is_err());
    // A timer that had fired already does no harm.
    state.retry_due(&id(1));
    assert_eq!(effects(&mut state), Vec::<String>::new());
}

#[test]
fn unwanted_load_is_not_retried_and_its_success_is_not_shown() {
    for (result, expected, end) in [
        (Err(broken()), vec!["load 1"], "1 END"),
        (Ok(()), vec!["load 1", "release 1"], "1 UNLOADING"),
    ] {
        let mut state = ManagerState::new(rules());
        state.aspire(list("m", &[1]));
        state.aspire(list("m", &[]));
        state.last_load_ended(&id(1), result);
        assert_eq!(effects(&mut state), expected);
        assert_eq!(seen(&state), end);
    }
}

#[test]
fn versions_that_come_faster_than_they_load_still_replace_each_other() {
    let mut state = serving(rules(), &[1]);
    state.aspire(list("m", &[2]));
    state.aspire(list("m", &[3]));
    state.last_load_ended(&id(2), Ok(()));
    assert_eq!(effects(&mut state), ["load 2", "load 3", "release 1"]);
    assert_eq!(seen(&state), "3 LOADING, 2 AVAILABLE, 1 UNLOADING");
}

#[test]
fn resting_version_occupies_no_load_thread() {
    let mut state = ManagerState::new(Rules {
        load_threads: 1,
        ..rules()
    });
    state.aspire(list("bad", &[1]));
    state.aspire(list("m", &[7]));
    assert_eq!(effects(&mut state), ["load 1"]);
    state.last_load_ended(&ServableId::new("bad", 1), Err(broken()));
    assert_eq!(effects(&mut state), ["retry 1", "load 7"]);
}

#[test]
fn resource_preserving_waits_for_memory() {
    let mut state = serving(
        Rules {
            policy: VersionPolicy::ResourcePreserving,
            ..rules()
        },
        &[1],
    );
    state.aspire(list("m", &[2]));
    assert_eq!(effects(&mut state), ["release 1"]);
    state.quiesced(&id(1));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    state.dropped(&id(1));
    assert_eq!(effects(&mut state), ["load 2"]);
}

#[test]
fn lists_the_last_ended_versions_only() {
    let mut state = ManagerState::new(rules());
    state.aspire(list("m", &[0]));
    state.last_load_ended(&id(0), Ok(()));
    for version in 1..=200 {
        state.aspire(list("m", &[version]));
        state.last_load_ended(&id(version), Ok(()));
        state.quiesced(&id(version - 1));
        state.dropped(&id(version - 1));
    }
    let statuses = statuses(&state, "m");
    assert_eq!(statuses.len(), MAX_ENDED + 1);
    assert_eq!(statuses[0].version, 200);
    assert_eq!(statuses[0].state, ServableState::Available);
    assert_eq!(statuses[MAX_ENDED].version, 136);
}

#[test]
fn labels_move_when_their_version_answers() {
    let mut state = serving(rules(), &[1, 2]);
    for (generation, title, pairs, expected) in [
        (1, "available", &[("stable", 1)][..], &[("stable", 1)][..]),
        (2, "move", &[("stable", 2)], &[("stable", 2)]),
        (3, "waits where it was", &[("stable", 3)], &[("stable", 2)]),
        (4, "new", &[("next", 3)], &[("next", 3)]),
        (5, "nothing to keep", &[("next", 4)], &[("next", 4)]),
        (6, "none", &[], &[]),
        (
            7,
            "again",
            &[("stable", 1), ("next", 5)],
            &[("stable", 1), ("next", 5)],
        ),
        (8, "one waits", &[("stable", 5)], &[("stable", 1)]),
    ] {
        let labels = |pairs: &[(&str, i64)]| -> BTreeMap<String, i64> {
            let pairs = pairs.iter();
            pairs
                .map(|(label, to)| ((*label).to_owned(), *to))
                .collect()
        };
        state.configure(Change {
            generation,
            updated: Vec::new(),
            removed: Vec::new(),
            labels: BTreeMap::from([("m".to_owned(), labels(pairs))]),
        });
        assert_eq!(
            state.model("m").unwrap().labels,
            labels(expected),
            "{title}"
        );
    }
    state.aspire(list("m", &[2, 5]));
    state.last_load_ended(&id(5), Ok(()));
    assert_eq!(state.model("m").unwrap().labels["stable"], 5);
}

#[test]
fn wishes_of_another_configuration_are_stale() {
    let mut state = ManagerState::new(rules());
    assert!(!state.is_stale(0, "m"));
    state.configure(Change {
        generation: 3,
        updated: vec!["m".to_owned()],
        removed: Vec::new(),
        labels: BTreeMap::new(),
    });
    for (generation, name, expected) in [(2, "m", true), (3, "m", false), (3, "gone", true)] {
        assert_eq!(
            state.is_stale(generation, name),
            expected,
            "{generation} {name}"
        );
    }
}

#[test]
fn closing_calls_off_everything_that_can_be() {
    let mut state = serving(
        Rules {
            load_threads: 1,
            ..rules()
        },
        &[1],
    );
    state.aspire(list("m", &[1, 2, 3]));
    state.aspire(list("other", &[5]));
    state.take_effects();
    state.close();
    assert_eq!(effects(&mut state), ["release 1"]);
    assert_eq!(seen(&state), "3 LOADING, 2 END, 1 UNLOADING");
    state.aspire(list("m", &[9]));
    assert_eq!(effects(&mut state), Vec::<String>::new());
    state.last_load_ended(&id(3), Ok(()));
    assert_eq!(effects(&mut state), ["release 3"]);
    assert!(!state.is_empty());
    for version in [1, 3] {
        state.quiesced(&id(version));
        state.dropped(&id(version));
    }
    assert!(state.is_empty());
}
