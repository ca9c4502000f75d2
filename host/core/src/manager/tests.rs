//! The manager as a whole, with loads that end when the test says so and a paused clock: swaps
//! here, the rest in the modules below.

mod catalog;
mod ends;
mod file_system;
mod loads;
mod lookup;

use std::ops::Deref;
use std::path::Path;

use tensorgate_types::{ErrorCode, ServableId, VersionChoice};

use super::*;
use crate::fake::{FakeFactory, FakeServable};
use crate::source::{AspiredVersion, AspiredVersions};

pub(super) fn id(version: i64) -> ServableId {
    ServableId::new("m", version)
}

pub(super) fn spec(version: VersionChoice) -> ModelSpec {
    ModelSpec {
        name: "m".to_owned(),
        version,
    }
}

pub(super) fn latest() -> ModelSpec {
    spec(VersionChoice::Latest)
}

pub(super) fn broken() -> Error {
    Error::new(ErrorCode::DataLoss, "broken")
}

pub(super) fn start(factory: &FakeFactory) -> Manager<FakeServable> {
    Manager::spawn(&ManagerOptions::default(), factory.clone()).unwrap()
}

pub(super) async fn aspire(manager: &Manager<FakeServable>, name: &str, versions: &[i64]) {
    let versions = versions
        .iter()
        .map(|version| AspiredVersion {
            version: *version,
            path: format!("/{name}/{version}").into(),
        })
        .collect();
    let name = name.to_owned();
    manager
        .aspirations()
        .aspire(AspiredVersions { name, versions })
        .await;
}

/// `3 AVAILABLE, 2 END`.
pub(super) fn seen(manager: &Manager<FakeServable>, name: &str) -> String {
    let statuses = manager.status(name, None).unwrap_or_default();
    let words: Vec<String> = statuses
        .iter()
        .map(|status| format!("{} {}", status.version, status.state.name()))
        .collect();
    words.join(", ")
}

/// Waits until a model's versions look like this.
pub(super) async fn until(manager: &Manager<FakeServable>, name: &str, expected: &str) {
    let mut manager = manager.clone();
    while seen(&manager, name) != expected {
        assert!(manager.changed().await, "ended as {}", seen(&manager, name));
    }
}

pub(super) fn message<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "found".to_owned())
}

/// A manager that serves version 1 of `m`, and the factory behind it.
pub(super) async fn serving_one() -> (Manager<FakeServable>, FakeFactory) {
    let factory = FakeFactory::new();
    let manager = start(&factory);
    factory.allow(&id(1));
    aspire(&manager, "m", &[1]).await;
    until(&manager, "m", "1 AVAILABLE").await;
    (manager, factory)
}

#[tokio::test(start_paused = true)]
async fn hot_swap_serves_the_old_version_until_the_new_one_is_there() {
    let (manager, factory) = serving_one().await;
    aspire(&manager, "m", &[2]).await;
    factory.until_attempts(&id(2), 1).await;
    until(&manager, "m", "2 LOADING, 1 AVAILABLE").await;
    assert_eq!(manager.lookup(&latest()).unwrap().id(), &id(1));
    factory.allow(&id(2));
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
    assert_eq!(manager.lookup(&latest()).unwrap().id(), &id(2));
    assert_eq!(factory.drops(&id(1)), ["tg-unload-0"]);
}

#[tokio::test(start_paused = true)]
async fn corrupt_new_version_leaves_the_old_one_and_says_why() {
    let (manager, factory) = serving_one().await;
    for _ in 0..6 {
        factory.fail(&id(2), broken());
    }
    aspire(&manager, "m", &[2]).await;
    until(&manager, "m", "2 END, 1 AVAILABLE").await;
    assert_eq!(factory.attempts(&id(2)), 6);
    assert_eq!(manager.lookup(&latest()).unwrap().id(), &id(1));
    assert_eq!(
        manager.status("m", Some(2)).unwrap()[0].status,
        Err((ErrorCode::DataLoss, "broken".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn handle_outlives_the_unload_and_its_servable_is_dropped_elsewhere() {
    let (manager, factory) = serving_one().await;
    let handle = manager.lookup(&latest()).unwrap();
    let second = handle.clone();
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "1 UNLOADING").await;
    assert!(manager.lookup(&latest()).is_err());
    drop(handle);
    assert_eq!(second.path, Path::new("/m/1"), "still there");
    assert_eq!(factory.drops(&id(1)), Vec::<String>::new());
    drop(second);
    until(&manager, "m", "1 END").await;
    assert_eq!(factory.drops(&id(1)), ["tg-unload-0"]);
}

#[tokio::test(start_paused = true)]
async fn held_version_delays_the_unload_of_no_other() {
    let (manager, factory) = serving_one().await;
    let handle = manager.lookup(&latest()).unwrap();
    factory.allow(&id(2));
    aspire(&manager, "m", &[2]).await;
    until(&manager, "m", "2 AVAILABLE, 1 UNLOADING").await;
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "2 END, 1 UNLOADING").await;
    drop(handle);
    until(&manager, "m", "2 END, 1 END").await;
}

#[tokio::test(start_paused = true)]
async fn version_wanted_again_is_loaded_after_the_old_instance_is_gone() {
    let (manager, factory) = serving_one().await;
    let handle = manager.lookup(&latest()).unwrap();
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "1 UNLOADING").await;
    factory.allow(&id(1));
    aspire(&manager, "m", &[1]).await;
    // A second model comes and goes meanwhile: whatever could happen to the first has happened.
    factory.allow(&ServableId::new("other", 1));
    aspire(&manager, "other", &[1]).await;
    until(&manager, "other", "1 AVAILABLE").await;
    assert_eq!(factory.attempts(&id(1)), 1);
    drop(handle);
    until(&manager, "m", "1 AVAILABLE").await;
    assert_eq!(factory.attempts(&id(1)), 2);
    assert_eq!(factory.drops(&id(1)).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_lose_no_lookup() {
    let factory = FakeFactory::immediate();
    let manager = start(&factory);
    aspire(&manager, "m", &[1]).await;
    until(&manager, "m", "1 AVAILABLE").await;
    let (done, is_done) = watch::channel(false);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (manager, is_done) = (manager.clone(), is_done.clone());
            std::thread::spawn(move || {
                let (mut lookups, mut newest) = (0_u64, 0);
                while !*is_done.borrow() {
                    let handle = manager.lookup(&latest()).expect("some version answers");
                    assert_eq!(handle.id(), &handle.deref().id, "the right servable");
                    assert!(handle.id().version >= newest, "never an older one");
                    newest = handle.id().version;
                    lookups += 1;
                }
                lookups
            })
        })
        .collect();
    let mut watcher = manager.clone();
    for version in 2..=1001 {
        aspire(&manager, "m", &[version]).await;
        while manager.lookup(&latest()).unwrap().id().version != version {
            assert!(watcher.changed().await);
        }
    }
    done.send_replace(true);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
    manager.shutdown().await;
    for version in 1..=1001 {
        assert_eq!(factory.drops(&id(version)), ["tg-unload-0"], "{version}");
    }
}

#[test]
fn handles_and_managers_go_between_threads() {
    fn is_shareable<T: Clone + Send + Sync + 'static>() {}
    is_shareable::<ServableHandle<FakeServable>>();
    is_shareable::<Manager<FakeServable>>();
    is_shareable::<Aspirations>();
}
