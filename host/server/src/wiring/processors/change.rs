//! Changes by an operator while the server runs: push and rollback, and what stands where.
//!
//! **Ordering:** what is to stand before each version is made and tried first, then the change is
//! written to the disk, then all seats are filled. So a change that fails has changed nothing, and
//! one that was answered survives a crash.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use bytes::Bytes;
use tensorgate_types::{Error, ErrorCode, Result};

use super::{Desk, Origin, Seat, Source, Standing, unusable};
use crate::components::{Change, Scope, Store, digest_of};
use crate::wiring::gateway::chain;

/// A change that was made.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) change: Change,
    /// The versions before which something else stands now, in their order.
    pub(crate) versions: Vec<i64>,
}

/// What stands before the versions of one model, and what stood there.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// In the order of their numbers.
    pub(crate) versions: BTreeMap<i64, Standing>,
    /// The oldest first.
    pub(crate) changes: Vec<Change>,
}

impl Desk {
    /// Puts a component before versions of a model, those that are loaded and those that will be.
    ///
    /// # Errors
    /// When there is no store, or one of the versions that are loaded cannot have it.
    pub(crate) async fn push(&self, model: &str, scope: Scope, wasm: Bytes) -> Result<Changed> {
        self.has_store()?;
        let _alone = self.0.changing.lock().await;
        let source = Source {
            digest: digest_of(&wasm),
            wasm: wasm.clone(),
            origin: Origin::Pushed,
            name: "that was pushed".to_owned(),
        };
        let component = self.component(model, &source).await;
        let component = component.map_err(|problem| {
            Error::failed_precondition(format!("The component cannot be used: {problem}"))
        })?;
        let mut standing = Vec::new();
        for seat in self.seats_of(model, scope)? {
            let processor = component.attach(seat.id(), seat.signatures()).await;
            let processor =
                processor.map_err(|error| unusable(&source.name, seat.id(), &chain(&error)))?;
            let one = Standing {
                processor,
                origin: Origin::Pushed,
                digest: source.digest.clone(),
            };
            standing.push((seat, Some(one)));
        }
        let name = model.to_owned();
        let change = self.write(move |store| store.push(&name, scope, &wasm));
        self.fill(change.await?, standing)
    }

    /// Puts back what stood before these versions before the last push.
    ///
    /// # Errors
    /// When there is no store, nothing to go back from, or what stood there cannot be used any
    /// more.
    pub(crate) async fn roll_back(&self, model: &str, scope: Scope) -> Result<Changed> {
        self.has_store()?;
        let _alone = self.0.changing.lock().await;
        let before = self.with_store(|store| store.before(model, scope))?;
        let before = before.ok_or_else(|| {
            Error::not_found(format!(
                "nothing was pushed for model {model} (versions: {scope}) that could be rolled back"
            ))
        })?;
        let mut standing = Vec::new();
        for seat in self.seats_of(model, scope)? {
            let pushed = match (&before, scope) {
                (None, Scope::Version(_)) => self.with_store(|store| {
                    let of_all = store.models().get(model)?.current(Scope::All)?;
                    Some(of_all.to_owned())
                })?,
                (before, _) => before.clone(),
            };
            let one = self.make(&seat, pushed).await?;
            standing.push((seat, one));
        }
        let name = model.to_owned();
        let change = self.write(move |store| store.roll_back(&name, scope, before));
        self.fill(change.await?, standing)
    }

    /// What stands where, by model.
    pub(crate) fn listed(&self) -> BTreeMap<String, Listed> {
        let mut all: BTreeMap<String, Listed> = BTreeMap::new();
        for seat in self.seats() {
            if let Some(standing) = seat.standing() {
                let id = seat.id();
                let listed = all.entry(id.name.clone()).or_default();
                listed.versions.insert(id.version, standing);
            }
        }
        // Without a store nothing was pushed.
        let _ = self.with_store(|store| {
            for (model, history) in store.models() {
                let listed = all.entry(model.clone()).or_default();
                listed.changes = history.changes().to_vec();
            }
        });
        all
    }

    fn fill(
        &self,
        change: Change,
        standing: Vec<(Arc<Seat>, Option<Standing>)>,
    ) -> Result<Changed> {
        self.0.changes.fetch_add(1, Ordering::SeqCst);
        let mut versions: Vec<i64> = standing
            .into_iter()
            .map(|(seat, one)| {
                seat.put(one);
                seat.id().version
            })
            .collect();
        versions.sort_unstable();
        Ok(Changed { change, versions })
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        let seats = self.0.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.iter().filter_map(Weak::upgrade).collect()
    }

    /// The places that a change is for. One for all versions leaves those alone for which
    /// something was pushed by itself.
    fn seats_of(&self, model: &str, scope: Scope) -> Result<Vec<Arc<Seat>>> {
        let mut seats = self.seats();
        seats.retain(|seat| seat.id().name == model);
        match scope {
            Scope::Version(version) => seats.retain(|seat| seat.id().version == version),
            Scope::All => self.with_store(|store| {
                let history = store.models().get(model);
                seats.retain(|seat| {
                    let own = Scope::Version(seat.id().version);
                    history.is_none_or(|history| history.current(own).is_none())
                });
            })?,
        }
        Ok(seats)
    }

    fn has_store(&self) -> Result<()> {
        self.with_store(|_| ())
    }

    fn with_store<T>(&self, read: impl FnOnce(&Store) -> T) -> Result<T> {
        let store = self.0.store.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::FailedPrecondition,
                "this server keeps no components: it was started without --component_store",
            )
        })?;
        Ok(read(&store.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Writes to the store on a thread that may wait for a disk.
    async fn write(
        &self,
        work: impl FnOnce(&mut Store) -> std::io::Result<Change> + Send + 'static,
    ) -> Result<Change> {
        let desk = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            let store = desk.0.store.as_ref()?;
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            Some(work(&mut store))
        });
        let written = written
            .await
            .map_err(|error| Error::internal(error.to_string()))?;
        let written = written.ok_or_else(|| Error::internal("there is no store any more"))?;
        written.map_err(|error| {
            Error::internal(format!("the component store cannot be written: {error}"))
        })
    }
}
