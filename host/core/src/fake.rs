//! A factory whose loads end when a test says so, for the tests of this crate and of those that
//! build on it (feature `fake`).
//!
//! Every load blocks its load thread until its outcome is given; outcomes given beforehand are
//! kept. Nothing here looks at a clock.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tensorgate_types::{Error, ServableId};
use tokio::sync::watch;

use crate::loader::ServableFactory;

#[derive(Debug)]
enum Outcome {
    Loaded,
    Failed(Error),
    Panic,
}

#[derive(Debug, Default)]
struct Ledger {
    outcomes: BTreeMap<ServableId, VecDeque<Outcome>>,
    /// Attempts that have begun.
    begun: BTreeMap<ServableId, usize>,
    /// The threads on which servables were dropped.
    dropped: BTreeMap<ServableId, Vec<String>>,
    drop_panics: bool,
}

#[derive(Debug)]
struct Shared {
    loads_at_once: bool,
    ledger: Mutex<Ledger>,
    given: Condvar,
    changes: watch::Sender<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the fake factory makes.
#[derive(Debug)]
pub struct FakeServable {
    /// What it was loaded as.
    pub id: ServableId,
    /// Where it was loaded from.
    pub path: PathBuf,
    shared: Arc<Shared>,
}

impl Drop for FakeServable {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or("unnamed").to_owned();
        let mut ledger = self.shared.lock();
        ledger
            .dropped
            .entry(self.id.clone())
            .or_default()
            .push(name);
        let panics = ledger.drop_panics;
        drop(ledger);
        self.shared.changes.send_replace(());
        assert!(!panics, "the fake was told to panic in its drop");
    }
}

/// The factory. Clones are the same factory.
#[derive(Debug, Clone)]
pub struct FakeFactory {
    shared: Arc<Shared>,
}

impl FakeFactory {
    /// A factory whose loads wait for their outcomes.
    #[must_use]
    pub fn new() -> Self {
        Self::with(false)
    }

    /// A factory whose loads succeed at once, unless another outcome was given before.
    #[must_use]
    pub fn immediate() -> Self {
        Self::with(true)
    }

    fn with(loads_at_once: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                loads_at_once,
                ledger: Mutex::default(),
                given: Condvar::new(),
                changes: watch::channel(()).0,
            }),
        }
    }

    /// Lets one attempt to load this version succeed.
    pub fn allow(&self, id: &ServableId) {
        self.give(id, Outcome::Loaded);
    }

    /// Lets one attempt to load this version fail.
    pub fn fail(&self, id: &ServableId, error: Error) {
        self.give(id, Outcome::Failed(error));
    }

    /// Lets one attempt to load this version panic.
    pub fn panic(&self, id: &ServableId) {
        self.give(id, Outcome::Panic);
    }

    /// Lets every drop of a servable panic from now on.
    pub fn panic_in_drops(&self) {
        self.shared.lock().drop_panics = true;
    }

    fn give(&self, id: &ServableId, outcome: Outcome) {
        let mut ledger = self.shared.lock();
        ledger
            .outcomes
            .entry(id.clone())
            .or_default()
            .push_back(outcome);
        drop(ledger);
        self.shared.given.notify_all();
    }

    /// How many attempts to load this version have begun.
    #[must_use]
    pub fn attempts(&self, id: &ServableId) -> usize {
        self.shared.lock().begun.get(id).copied().unwrap_or(0)
    }

    /// Waits until this many attempts to load this version have begun.
    pub async fn until_attempts(&self, id: &ServableId, count: usize) {
        self.until(|ledger| ledger.begun.get(id).is_some_and(|begun| *begun >= count))
            .await;
    }

    /// The threads on which servables of this version were dropped.
    #[must_use]
    pub fn drops(&self, id: &ServableId) -> Vec<String> {
        self.shared
            .lock()
            .dropped
            .get(id)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until this many servables of this version were dropped.
    pub async fn until_drops(&self, id: &ServableId, count: usize) {
        self.until(|ledger| {
            ledger
                .dropped
                .get(id)
                .is_some_and(|threads| threads.len() >= count)
        })
        .await;
    }

    async fn until(&self, condition: impl Fn(&Ledger) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !condition(&self.shared.lock()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Default for FakeFactory {
    fn default() -> Self {
        Self::new()
    }
}

impl ServableFactory for FakeFactory {
    type Servable = FakeServable;

    fn load(&self, id: &ServableId, path: &Path) -> Result<FakeServable, Error> {
        let mut ledger = self.shared.lock();
        *ledger.begun.entry(id.clone()).or_default() += 1;
        self.shared.changes.send_replace(());
        let outcome = loop {
            let given = ledger.outcomes.get_mut(id).and_then(VecDeque::pop_front);
            match given {
                Some(outcome) => break outcome,
                None if self.shared.loads_at_once => break Outcome::Loaded,
                None => {
                    ledger = self
                        .shared
                        .given
                        .wait(ledger)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(ledger);
        match outcome {
            Outcome::Loaded => Ok(FakeServable {
                id: id.clone(),
                path: path.to_owned(),
                shared: Arc::clone(&self.shared),
            }),
            Outcome::Failed(error) => Err(error),
            Outcome::Panic => panic!("the fake was told to panic"),
        }
    }
}
