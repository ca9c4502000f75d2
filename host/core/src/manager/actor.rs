//! The task that owns the manager's state: takes events one at a time, publishes what they
//! changed, and then does what they ask for.
//!
//! **Ordering:** a change is published before anything follows from it. So a version can be looked
//! up before it is reported as available, and it is let go only after the picture without it is
//! out: a lookup that comes later cannot find it, one that came earlier holds it.
//! **Cancellation:** when the last [`super::Manager`] is gone, everything is unloaded and the task
//! ends, as after a shutdown.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use arc_swap::ArcSwap;
use tensorgate_types::{Error, ServableId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::published::{Published, PublishedModel};
use super::state::{Change, Effect, ManagerState};
use crate::handle::Instance;
use crate::source::Wish;
use crate::threads::{LoadJob, Report};

/// Bounds a rest that no clock could hold.
const LONGEST_REST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What the owner of the manager asks for.
pub(super) enum Command {
    AddModels {
        names: Vec<String>,
        done: oneshot::Sender<()>,
    },
    Configure {
        change: Change,
        done: oneshot::Sender<()>,
    },
    Shutdown,
}

/// Everything that can happen.
enum Event<S> {
    Command(Command),
    /// With the generation of who wishes.
    Wish(u64, Wish),
    Report(Report<S>),
    Retry(ServableId),
    Abandoned,
}

pub(super) struct Actor<S> {
    pub(super) state: ManagerState,
    pub(super) instances: HashMap<ServableId, Arc<Instance<S>>>,
    /// When to try again, for each version that rests.
    pub(super) retries: BTreeMap<ServableId, Instant>,
    pub(super) jobs: SyncSender<LoadJob>,
    /// Closed when the last manager is gone.
    pub(super) commands: mpsc::Receiver<Command>,
    /// Whether that has been noticed.
    pub(super) is_abandoned: bool,
    pub(super) wishes: mpsc::Receiver<(u64, Wish)>,
    pub(super) reports: mpsc::Receiver<Report<S>>,
    pub(super) published: Arc<ArcSwap<Published<S>>>,
    /// Counts pictures. Closed when the task has ended.
    pub(super) pictures: watch::Sender<u64>,
}

impl<S: Send + Sync + 'static> Actor<S> {
    pub(super) async fn run(mut self) {
        while !(self.state.is_closing() && self.state.is_empty()) {
            let event = self.next_event().await;
            self.handle(event);
            self.publish();
            self.act();
        }
    }

    async fn next_event(&mut self) -> Event<S> {
        let retry = self
            .retries
            .iter()
            .min_by_key(|(_, due)| **due)
            .map(|(id, due)| (id.clone(), *due));
        // One order for all: what has happened already comes before what is wanted next.
        tokio::select! {
            biased;
            Some(report) = self.reports.recv() => Event::Report(report),
            command = self.commands.recv(), if !self.is_abandoned => {
                command.map_or(Event::Abandoned, Event::Command)
            }
            Some((generation, wish)) = self.wishes.recv() => Event::Wish(generation, wish),
            Some(id) = due(retry) => Event::Retry(id),
            else => Event::Abandoned,
        }
    }

    fn handle(&mut self, event: Event<S>) {
        match event {
            Event::Command(Command::AddModels { names, done }) => {
                tracing::info!("Adding/updating models.");
                for name in names {
                    self.state.add_model(&name);
                }
                self.publish();
                tracing::info!("Finished adding/updating models");
                // Who asked may have stopped waiting.
                let _ = done.send(());
            }
            Event::Command(Command::Configure { change, done }) => {
                tracing::info!("Adding/updating models.");
                self.state.configure(change);
                self.publish();
                tracing::info!("Finished adding/updating models");
                let _ = done.send(());
            }
            Event::Command(Command::Shutdown) => self.state.close(),
            Event::Abandoned => {
                self.is_abandoned = true;
                self.state.close();
            }
            Event::Wish(generation, wish) if self.state.is_stale(generation, wish.name()) => {}
            Event::Wish(_, Wish::Versions(versions)) => self.state.aspire(versions),
            Event::Wish(_, Wish::Unreadable(name)) => self.state.unreadable(&name),
            Event::Report(Report::LoadEnded { id, serial, result }) => {
                self.load_ended(id, serial, result);
            }
            Event::Report(Report::ReplacedDropped(id)) => self.state.replaced_dropped(&id),
            Event::Report(Report::Quiesced(id)) => self.state.quiesced(&id),
            Event::Report(Report::Dropped(id)) => self.state.dropped(&id),
            Event::Retry(id) => {
                self.retries.remove(&id);
                self.state.retry_due(&id);
            }
        }
    }

    fn load_ended(&mut self, id: ServableId, serial: u64, result: Result<Arc<Instance<S>>, Error>) {
        let (result, instance) = match result {
            Ok(instance) => (Ok(()), Some(instance)),
            Err(error) => (Err(error), None),
        };
        let is_of_use = self.state.load_ended(&id, serial, result);
        let Some(instance) = instance else { return };
        let replaced = if is_of_use {
            self.instances.insert(id, instance)
        } else {
            Some(instance)
        };
        if let Some(replaced) = replaced {
            replaced.replace();
        }
    }

    /// Replaces the picture, if anything in it has changed.
    fn publish(&mut self) {
        let changed = self.state.take_changed();
        let before = self.published.load();
        if changed.is_empty() && before.is_closing == self.state.is_closing() {
            return;
        }
        let mut models = before.models.clone();
        drop(before);
        for name in changed {
            let Some(model) = self.state.model(&name) else {
                models.remove(&name);
                continue;
            };
            let instance = |version| {
                let id = ServableId::new(&name, version);
                self.instances.get(&id).map(Arc::clone)
            };
            let picture = Arc::new(PublishedModel::new(model, instance));
            models.insert(name, picture);
        }
        self.published.store(Arc::new(Published {
            models,
            is_closing: self.state.is_closing(),
        }));
        self.pictures.send_modify(|count| *count += 1);
    }

    fn act(&mut self) {
        for effect in self.state.take_effects() {
            match effect {
                Effect::Load { id, path, serial } => {
                    // The queue holds as many as there are threads, and one of them is free: this
                    // does not wait. It fails only when every thread is gone, and none ever ends
                    // before this sender.
                    if self.jobs.send(LoadJob { id, path, serial }).is_err() {
                        tracing::error!("the load threads are gone");
                    }
                }
                Effect::RetryAfter { id, delay } => {
                    self.retries
                        .insert(id, Instant::now() + delay.min(LONGEST_REST));
                }
                Effect::CancelRetry(id) => {
                    self.retries.remove(&id);
                }
                Effect::Release(id) => {
                    self.instances.remove(&id);
                }
            }
        }
    }
}

/// Waits until the retry is due; `None` at once when there is none.
async fn due(retry: Option<(ServableId, Instant)>) -> Option<ServableId> {
    let (id, due) = retry?;
    sleep_until(due).await;
    Some(id)
}
