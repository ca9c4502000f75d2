//! The manager over real directories, with the fake factory and a paused clock.
//!
//! The poll interval is an hour that nobody waits for: all that a test writes is then younger than
//! one poll, and so the quiet rule applies to it.

use std::fs;

use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::readiness::ModelReadiness;
use crate::source::{FileSystemSource, MonitoredServable, Polling, ServableVersionPolicy};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const HOURLY: Polling = Polling::Every(HOUR);

/// Base paths of models, below one directory.
pub(super) struct Disk {
    pub(super) root: TempDir,
}

impl Disk {
    /// Models with these versions.
    pub(super) fn with(models: &[(&str, &[&str])]) -> Self {
        let disk = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for (model, versions) in models {
            fs::create_dir(disk.base_path(model)).unwrap();
            for version in *versions {
                disk.add(model, version);
            }
        }
        disk
    }

    pub(super) fn base_path(&self, model: &str) -> std::path::PathBuf {
        self.root.path().join(model)
    }

    pub(super) fn add(&self, model: &str, version: &str) {
        let path = self.base_path(model).join(version);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("saved_model.pb"), b"model").unwrap();
    }

    pub(super) fn remove(&self, model: &str, version: &str) {
        fs::remove_dir_all(self.base_path(model).join(version)).unwrap();
    }

    async fn serve(
        &self,
        factory: &FakeFactory,
        models: &[&str],
        polling: Polling,
    ) -> Manager<FakeServable> {
        let servables = models
            .iter()
            .map(|model| MonitoredServable {
                name: (*model).to_owned(),
                base_path: self.base_path(model),
                version_policy: ServableVersionPolicy::default(),
            })
            .collect();
        let manager = Manager::spawn(&ManagerOptions::default(), factory.clone()).unwrap();
        manager
            .attach(FileSystemSource::new(servables, polling))
            .await;
        manager
    }
}

pub(super) fn answers(manager: &Manager<FakeServable>, model: &str) -> Option<i64> {
    let spec = ModelSpec {
        name: model.to_owned(),
        version: VersionChoice::Latest,
    };
    manager.lookup(&spec).ok().map(|handle| handle.id().version)
}

#[tokio::test(start_paused = true)]
async fn new_directory_is_swapped_in_and_its_removal_rolls_back() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["m"], HOURLY).await;
    let settled = manager.wait_until_settled(&["m"]).await;
    assert!(matches!(
        settled.models["m"],
        ModelReadiness::Available { version: 1 }
    ));
    disk.add("m", "00000002");
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
    assert_eq!(answers(&manager, "m"), Some(2));
    disk.remove("m", "00000002");
    until(&manager, "m", "2 END, 1 AVAILABLE").await;
    assert_eq!(answers(&manager, "m"), Some(1));
    assert_eq!(factory.attempts(&ServableId::new("m", 1)), 2);
}

#[tokio::test(start_paused = true)]
async fn vanished_base_path_of_one_model_leaves_it_and_all_others_alone() {
    let disk = Disk::with(&[("gone", &["1"]), ("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["gone", "m"], HOURLY).await;
    manager.wait_until_settled(&["gone", "m"]).await;
    // Moved, because a removal goes bottom up: a poll could meet the path when it is empty.
    fs::rename(disk.base_path("gone"), disk.base_path("elsewhere")).unwrap();
    disk.add("m", "2");
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
    assert_eq!(seen(&manager, "gone"), "1 AVAILABLE");
    assert_eq!(answers(&manager, "gone"), Some(1));
    // When it is back, it goes on as if nothing had been.
    disk.add("elsewhere", "3");
    fs::rename(disk.base_path("elsewhere"), disk.base_path("gone")).unwrap();
    until(&manager, "gone", "3 AVAILABLE, 1 END").await;
    assert_eq!(factory.attempts(&ServableId::new("gone", 1)), 1);
}

#[tokio::test(start_paused = true)]
async fn emptied_base_path_unloads_everything() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["m"], HOURLY).await;
    until(&manager, "m", "1 AVAILABLE").await;
    disk.remove("m", "1");
    until(&manager, "m", "1 END").await;
    assert_eq!(answers(&manager, "m"), None);
}

#[tokio::test(start_paused = true)]
async fn missing_base_path_holds_no_start_up_and_is_served_when_it_comes() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["late", "m"], HOURLY).await;
    let settled = manager.wait_until_settled(&["late", "m"]).await;
    assert!(matches!(settled.models["late"], ModelReadiness::NoVersions));
    assert_eq!(answers(&manager, "m"), Some(1));
    fs::create_dir(disk.base_path("late")).unwrap();
    disk.add("late", "5");
    until(&manager, "late", "5 AVAILABLE").await;
}

#[tokio::test(start_paused = true)]
async fn directory_that_is_still_empty_is_not_loaded() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["m"], HOURLY).await;
    until(&manager, "m", "1 AVAILABLE").await;
    let path = disk.base_path("m").join("2");
    fs::create_dir(&path).unwrap();
    sleep(10 * HOUR).await;
    assert_eq!(seen(&manager, "m"), "1 AVAILABLE");
    fs::write(path.join("saved_model.pb"), b"model").unwrap();
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
}

#[tokio::test(start_paused = true)]
async fn polls_once_when_told_so() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk
        .serve(&factory, &["m"], Polling::from_wait_seconds(0))
        .await;
    until(&manager, "m", "1 AVAILABLE").await;
    disk.add("m", "2");
    sleep(10 * HOUR).await;
    assert_eq!(seen(&manager, "m"), "1 AVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn never_polls_when_told_so() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let manager = disk
        .serve(&factory, &["m"], Polling::from_wait_seconds(-1))
        .await;
    sleep(10 * HOUR).await;
    assert_eq!(seen(&manager, "m"), "");
    assert!(!manager.readiness().is_settled());
}

#[tokio::test(start_paused = true)]
async fn factory_is_given_the_directory_that_was_found() {
    let disk = Disk::with(&[("m", &["007"])]);
    let factory = FakeFactory::immediate();
    let manager = disk.serve(&factory, &["m"], HOURLY).await;
    until(&manager, "m", "7 AVAILABLE").await;
    let spec = ModelSpec {
        name: "m".to_owned(),
        version: VersionChoice::Specific(7),
    };
    let handle = manager.lookup(&spec).unwrap();
    assert_eq!(handle.path, disk.base_path("m").join(Path::new("007")));
}
