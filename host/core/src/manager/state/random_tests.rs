//! The decisions of the manager in random lives: no step is illegal, and an answer stays at hand.

use proptest::prelude::*;

use super::tests::{broken, list, rules, statuses};
use super::*;

/// What can happen. Numbers choose among what is possible at that moment.
#[derive(Debug, Clone)]
enum Happening {
    Aspire(u8),
    LoadEnds { which: usize, succeeds: bool },
    RetryIsDue(usize),
    LastHandleGoes(usize),
    DropEnds(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0_u8..32).prop_map(Happening::Aspire),
        4 => (any::<usize>(), prop::bool::weighted(0.6))
            .prop_map(|(which, succeeds)| Happening::LoadEnds { which, succeeds }),
        2 => any::<usize>().prop_map(Happening::RetryIsDue),
        2 => any::<usize>().prop_map(Happening::LastHandleGoes),
        2 => any::<usize>().prop_map(Happening::DropEnds),
    ]
}

/// The world around the state: what runs, rests, is held, is being dropped.
struct World {
    state: ManagerState,
    running: Vec<ServableId>,
    resting: Vec<ServableId>,
    held: Vec<ServableId>,
    dropping: Vec<ServableId>,
    aspired: BTreeSet<i64>,
}

fn take(from: &mut Vec<ServableId>, which: usize) -> Option<ServableId> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}

impl World {
    fn new(policy: VersionPolicy) -> Self {
        Self {
            state: ManagerState::new(Rules { policy, ..rules() }),
            running: Vec::new(),
            resting: Vec::new(),
            held: Vec::new(),
            dropping: Vec::new(),
            aspired: BTreeSet::new(),
        }
    }

    /// Lets one thing happen; an illegal step panics inside.
    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Aspire(bits) => {
                let wanted: Vec<i64> = (0..5).filter(|bit| bits & (1 << bit) != 0).collect();
                self.aspired = wanted.iter().copied().collect();
                self.state.aspire(list("m", &wanted));
            }
            Happening::LoadEnds { which, succeeds } => {
                if let Some(id) = take(&mut self.running, which) {
                    let result = if succeeds { Ok(()) } else { Err(broken()) };
                    self.state.last_load_ended(&id, result);
                }
            }
            Happening::RetryIsDue(which) => {
                if let Some(id) = take(&mut self.resting, which) {
                    self.state.retry_due(&id);
                }
            }
            Happening::LastHandleGoes(which) => {
                if let Some(id) = take(&mut self.held, which) {
                    self.state.quiesced(&id);
                    self.dropping.push(id);
                }
            }
            Happening::DropEnds(which) => {
                if let Some(id) = take(&mut self.dropping, which) {
                    self.state.dropped(&id);
                }
            }
        }
        for effect in self.state.take_effects() {
            match effect {
                Effect::Load { id, .. } => self.running.push(id),
                Effect::RetryAfter { id, .. } => self.resting.push(id),
                Effect::CancelRetry(id) => self.resting.retain(|resting| *resting != id),
                Effect::Release(id) => self.held.push(id),
            }
        }
    }

    fn available(&self) -> Vec<i64> {
        (0..5)
            .filter(|version| {
                self.state
                    .model("m")
                    .is_some_and(|model| model.is_available(*version))
            })
            .collect()
    }

    /// Everything succeeds from now on, until nothing is left to happen.
    fn finish(&mut self) {
        for _ in 0..1000 {
            let next = if !self.running.is_empty() {
                Happening::LoadEnds {
                    which: 0,
                    succeeds: true,
                }
            } else if !self.resting.is_empty() {
                Happening::RetryIsDue(0)
            } else if !self.held.is_empty() {
                Happening::LastHandleGoes(0)
            } else if !self.dropping.is_empty() {
                Happening::DropEnds(0)
            } else {
                return;
            };
            self.happen(&next);
        }
        panic!("it never comes to rest");
    }

    /// Versions whose load is approved or running.
    fn begun(&self) -> BTreeSet<i64> {
        let Some(model) = self.state.model("m") else {
            return BTreeSet::new();
        };
        model
            .snapshots()
            .iter()
            .filter(|snapshot| {
                matches!(
                    snapshot.lifecycle,
                    Lifecycle::LoadApproved | Lifecycle::Loading
                )
            })
            .map(|snapshot| snapshot.version)
            .collect()
    }

    fn failed(&self) -> BTreeSet<i64> {
        statuses(&self.state, "m")
            .iter()
            .filter(|status| status.status.is_err() && self.aspired.contains(&status.version))
            .map(|status| status.version)
            .collect()
    }
}

proptest! {
    #[test]
    fn random_lives_are_legal_and_keep_an_answer_at_hand(
        happenings in prop::collection::vec(happening(), 1..80)
    ) {
        let mut world = World::new(VersionPolicy::AvailabilityPreserving);
        for happening in &happenings {
            let before = world.available();
            world.happen(happening);
            prop_assert!(world.running.len() <= rules().load_threads);
            let after = world.available();
            if !before.is_empty() && !world.aspired.is_empty() {
                prop_assert!(!after.is_empty(), "{before:?} went at {happening:?}");
            }
        }
        world.finish();
        let failed = world.failed();
        let wanted: Vec<i64> = world.aspired.difference(&failed).copied().collect();
        if wanted.is_empty() && !world.aspired.is_empty() {
            // All that is wanted has failed: one old version may still serve, and no more.
            prop_assert!(world.available().len() <= 1);
        } else {
            prop_assert_eq!(world.available(), wanted);
        }
    }

    #[test]
    fn random_lives_under_resource_preservation_never_hold_wanted_and_unwanted(
        happenings in prop::collection::vec(happening(), 1..80)
    ) {
        let mut world = World::new(VersionPolicy::ResourcePreserving);
        for happening in &happenings {
            let before = world.begun();
            world.happen(happening);
            let going = !world.held.is_empty() || !world.dropping.is_empty();
            let after = world.begun();
            prop_assert!(
                !going || after.is_subset(&before),
                "{after:?} began while memory was not free, at {happening:?}"
            );
        }
        world.finish();
        let failed = world.failed();
        let wanted: Vec<i64> = world.aspired.difference(&failed).copied().collect();
        prop_assert_eq!(world.available(), wanted);
    }
}
