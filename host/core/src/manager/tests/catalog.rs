//! Changes of what is served: all of it or nothing, and never a hole in between.

use super::file_system::{Disk, HOUR, HOURLY, answers};
use super::*;
use crate::manager::model::MAX_ENDED;
use crate::readiness::ModelReadiness;
use crate::source::{MonitoredServable, ServableVersionPolicy};

/// The clock leaps from poll to poll while load threads work: this is time enough for them.
const LIMIT: Duration = Duration::from_secs(100_000 * 3600);

fn entry(disk: &Disk, name: &str, path: &str, labels: &[(&str, i64)]) -> CatalogEntry {
    CatalogEntry {
        watched: MonitoredServable {
            name: name.to_owned(),
            base_path: disk.base_path(path),
            version_policy: ServableVersionPolicy::default(),
        },
        labels: labels
            .iter()
            .map(|(label, version)| ((*label).to_owned(), *version))
            .collect(),
    }
}

fn plain(disk: &Disk, names: &[&str]) -> Vec<CatalogEntry> {
    names
        .iter()
        .map(|name| entry(disk, name, name, &[]))
        .collect()
}

fn specific(mut entry: CatalogEntry, versions: &[i64]) -> CatalogEntry {
    entry.watched.version_policy = ServableVersionPolicy::Specific(versions.to_vec());
    entry
}

const OPTIONS: CatalogOptions = CatalogOptions {
    polling: HOURLY,
    allow_labels_for_unavailable: false,
};

async fn open(factory: &FakeFactory, models: Vec<CatalogEntry>) -> Catalog<FakeServable> {
    let catalog = Catalog::open(start(factory), OPTIONS, models)
        .await
        .unwrap();
    let names = ["m", "old"];
    manager(&catalog).wait_until_settled(&names).await;
    catalog
}

fn manager(catalog: &Catalog<FakeServable>) -> &Manager<FakeServable> {
    &catalog.shared.manager
}

fn of(name: &str, version: i64) -> ServableId {
    ServableId::new(name, version)
}

fn by_label(label: &str) -> ModelSpec {
    spec(VersionChoice::Label(label.to_owned()))
}

fn path_of(catalog: &Catalog<FakeServable>, model: &str) -> std::path::PathBuf {
    let spec = ModelSpec {
        name: model.to_owned(),
        version: VersionChoice::Latest,
    };
    manager(catalog).lookup(&spec).unwrap().path.clone()
}

#[tokio::test(start_paused = true)]
async fn adds_what_is_new_and_lets_go_of_what_is_not_listed() {
    let disk = Disk::with(&[("m", &["1"]), ("old", &["1"]), ("new", &["7"])]);
    let factory = FakeFactory::immediate();
    let catalog = open(&factory, plain(&disk, &["m", "old"])).await;
    let reloaded = catalog.reload(plain(&disk, &["m", "new"]), LIMIT).await;
    assert_eq!(message(reloaded), "found");
    // The new one answers when the reload has ended, and the old one is on its way out.
    assert_eq!(answers(manager(&catalog), "new"), Some(7));
    assert_eq!(answers(manager(&catalog), "old"), None);
    until(manager(&catalog), "old", "1 END").await;
    assert_eq!(answers(manager(&catalog), "m"), Some(1));
    assert_eq!(factory.attempts(&id(1)), 1, "untouched");
    let configured: Vec<String> = manager(&catalog).readiness().models.into_keys().collect();
    assert_eq!(configured, ["m", "new"]);
    // And back again.
    let reloaded = catalog.reload(plain(&disk, &["m", "old"]), LIMIT).await;
    assert_eq!(message(reloaded), "found");
    assert_eq!(answers(manager(&catalog), "old"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn goes_back_when_something_new_cannot_be_loaded() {
    let models: [(&str, &[&str]); 5] = [
        ("m", &["1", "2"]),
        ("old", &["1"]),
        ("good", &["1"]),
        ("bad", &["3"]),
        ("empty", &[]),
    ];
    let disk = Disk::with(&models);
    let factory = FakeFactory::immediate();
    let stable = entry(&disk, "m", "m", &[("stable", 2)]);
    let before = vec![stable, entry(&disk, "old", "old", &[])];
    let catalog = open(&factory, before).await;
    for (broken_model, expected) in [
        (
            "bad",
            "UNKNOWN: 1 model(s) did not become available: {{{name: bad version: 3} due to \
             error: DATA_LOSS: broken}, }"
                .to_owned(),
        ),
        (
            "empty",
            format!(
                "UNKNOWN: 1 model(s) did not become available: {{{{{{name: empty}} due to error: \
                 NOT_FOUND: No versions of servable empty found under base path {}}}, }}",
                disk.base_path("empty").display()
            ),
        ),
    ] {
        factory.fail(&of("bad", 3), broken());
        let target = vec![
            specific(entry(&disk, "m", "m", &[("fresh", 1)]), &[1]),
            entry(&disk, "good", "good", &[]),
            entry(&disk, broken_model, broken_model, &[]),
        ];
        let told = message(catalog.reload(target, LIMIT).await);
        assert_eq!(told, expected);
        let manager = manager(&catalog);
        assert_eq!(answers(manager, "old"), Some(1));
        assert_eq!(factory.drops(&of("old", 1)), Vec::<String>::new());
        assert_eq!(answers(manager, "good"), None);
        assert_eq!(manager.lookup(&by_label("stable")).unwrap().id(), &id(2));
        assert!(manager.lookup(&by_label("fresh")).is_err());
        assert_eq!(factory.drops(&id(2)), Vec::<String>::new(), "no hole");
        // Whether the other one was loaded meanwhile depends on who was quicker.
        let mut changes = manager.clone();
        while !["2 AVAILABLE", "2 AVAILABLE, 1 END"].contains(&seen(manager, "m").as_str()) {
            assert!(changes.changed().await);
        }
        let configured: Vec<String> = manager.readiness().models.into_keys().collect();
        assert_eq!(configured, ["m", "old"]);
    }
}

#[tokio::test(start_paused = true)]
async fn stuck_load_ends_its_reload_in_time_and_hinders_no_later_one() {
    let disk = Disk::with(&[("m", &["1"]), ("stuck", &["1"]), ("new", &["1"])]);
    let factory = FakeFactory::new();
    factory.allow(&id(1));
    factory.allow(&of("new", 1));
    let catalog = open(&factory, plain(&disk, &["m"])).await;
    let stuck = {
        let (catalog, target) = (catalog.clone(), plain(&disk, &["m", "stuck"]));
        tokio::spawn(async move { catalog.reload(target, 1000 * HOUR).await })
    };
    factory.until_attempts(&of("stuck", 1), 1).await;
    // One that waits for it gives up in its own time.
    let told = catalog.reload(plain(&disk, &["m"]), HOUR).await;
    assert_eq!(
        message(told),
        "DEADLINE_EXCEEDED: another reload is going on"
    );
    assert_eq!(
        message(stuck.await.unwrap()),
        "DEADLINE_EXCEEDED: the reload did not end in time: still loading stuck; everything is \
         served as before"
    );
    let told = catalog.reload(plain(&disk, &["m", "new"]), LIMIT).await;
    assert_eq!(message(told), "found");
    assert_eq!(answers(manager(&catalog), "new"), Some(1));
    // What comes too late is not kept.
    factory.allow(&of("stuck", 1));
    factory.until_drops(&of("stuck", 1), 1).await;
    assert_eq!(answers(manager(&catalog), "stuck"), None);
}

#[tokio::test(start_paused = true)]
async fn label_comes_with_its_version_and_moves_when_that_answers() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::new();
    factory.allow(&id(1));
    let catalog = open(&factory, vec![entry(&disk, "m", "m", &[("stable", 1)])]).await;
    let manager = manager(&catalog).clone();
    assert_eq!(manager.lookup(&by_label("stable")).unwrap().id(), &id(1));
    disk.add("m", "2");
    let moving = {
        let target = vec![entry(&disk, "m", "m", &[("stable", 2), ("canary", 2)])];
        let target: Vec<_> = target.into_iter().map(|it| specific(it, &[2])).collect();
        let catalog = catalog.clone();
        tokio::spawn(async move { catalog.reload(target, LIMIT).await })
    };
    factory.until_attempts(&id(2), 1).await;
    assert_eq!(manager.lookup(&by_label("stable")).unwrap().id(), &id(1));
    factory.allow(&id(2));
    assert_eq!(message(moving.await.unwrap()), "found");
    for label in ["stable", "canary"] {
        assert_eq!(manager.lookup(&by_label(label)).unwrap().id(), &id(2));
    }
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
}

#[tokio::test(start_paused = true)]
async fn label_that_leads_nowhere_is_refused_by_name() {
    let disk = Disk::with(&[("m", &["1", "2"]), ("new", &["1"])]);
    let factory = FakeFactory::immediate();
    let nowhere = |version: i64| {
        format!(
            "FAILED_PRECONDITION: Request to assign label to version {version} of model m, which \
             is not currently available for inference"
        )
    };
    // Not on the disk, and not chosen by the policy.
    for version in [3, 1] {
        let models = vec![entry(&disk, "m", "m", &[("stable", version)])];
        let opened = Catalog::open(start(&factory), OPTIONS, models).await;
        assert_eq!(message(opened), nowhere(version));
    }
    let catalog = open(&factory, vec![entry(&disk, "m", "m", &[("stable", 2)])]).await;
    let mut target = plain(&disk, &["new"]);
    target.push(entry(&disk, "m", "m", &[("stable", 3)]));
    assert_eq!(message(catalog.reload(target, LIMIT).await), nowhere(3));
    assert_eq!(factory.attempts(&of("new", 1)), 0, "checked first");
    assert!(manager(&catalog).lookup(&by_label("stable")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn new_label_may_lead_nowhere_when_that_is_allowed_but_a_used_one_may_not() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let options = CatalogOptions {
        allow_labels_for_unavailable: true,
        ..OPTIONS
    };
    let models = vec![entry(&disk, "m", "m", &[("stable", 1), ("next", 2)])];
    let catalog = Catalog::open(start(&factory), options, models)
        .await
        .unwrap();
    until(manager(&catalog), "m", "1 AVAILABLE").await;
    assert_eq!(
        message(manager(&catalog).lookup(&by_label("next"))),
        "NOT_FOUND: Servable not found for request: Specific(m, 2)"
    );
    let moved = vec![entry(&disk, "m", "m", &[("stable", 2)])];
    assert_eq!(
        message(catalog.reload(moved, LIMIT).await),
        "FAILED_PRECONDITION: Request to assign label to version 2 of model m, which is not \
         currently available for inference"
    );
    let kept = vec![entry(&disk, "m", "m", &[("next", 2), ("stable", 1)])];
    assert_eq!(message(catalog.reload(kept, LIMIT).await), "found");
}

#[tokio::test(start_paused = true)]
async fn other_base_path_takes_over_without_a_hole() {
    let disk = Disk::with(&[("m", &["1"]), ("moved", &["1"]), ("bad", &["1"])]);
    let factory = FakeFactory::new();
    factory.allow(&id(1));
    let catalog = open(&factory, plain(&disk, &["m"])).await;
    let manager = manager(&catalog).clone();
    let reload = |path: &str| {
        let (catalog, target) = (catalog.clone(), vec![entry(&disk, "m", path, &[])]);
        tokio::spawn(async move { catalog.reload(target, LIMIT).await })
    };
    let moving = reload("moved");
    factory.until_attempts(&id(1), 2).await;
    assert_eq!(path_of(&catalog, "m"), disk.base_path("m").join("1"));
    let held = manager.lookup(&latest()).unwrap();
    factory.allow(&id(1));
    assert_eq!(message(moving.await.unwrap()), "found");
    assert_eq!(path_of(&catalog, "m"), disk.base_path("moved").join("1"));
    assert_eq!(seen(&manager, "m"), "1 AVAILABLE");
    // The old one lives as long as somebody holds it.
    assert_eq!(factory.drops(&id(1)), Vec::<String>::new());
    drop(held);
    factory.until_drops(&id(1), 1).await;
    // One that cannot be loaded from there stays where it is.
    factory.fail(&id(1), broken());
    let told = message(reload("bad").await.unwrap());
    assert!(told.contains("{name: m version: 1} due to error: DATA_LOSS: broken"));
    assert_eq!(path_of(&catalog, "m"), disk.base_path("moved").join("1"));
    let told = message(reload("missing").await.unwrap());
    assert!(
        told.contains("No versions of servable m found under base path"),
        "{told}"
    );
    assert_eq!(seen(&manager, "m"), "1 AVAILABLE");
    manager.shutdown().await;
    assert_eq!(factory.drops(&id(1)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn other_policy_is_followed() {
    let disk = Disk::with(&[("m", &["1", "2", "3"])]);
    let factory = FakeFactory::immediate();
    let catalog = open(&factory, plain(&disk, &["m"])).await;
    let target = vec![specific(entry(&disk, "m", "m", &[]), &[1, 2])];
    assert_eq!(message(catalog.reload(target, LIMIT).await), "found");
    until(manager(&catalog), "m", "3 END, 2 AVAILABLE, 1 AVAILABLE").await;
}

#[tokio::test(start_paused = true)]
async fn same_model_twice_is_refused() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::immediate();
    let catalog = open(&factory, plain(&disk, &["m"])).await;
    assert_eq!(
        message(catalog.reload(plain(&disk, &["m", "m"]), LIMIT).await),
        "INVALID_ARGUMENT: Illegal to list model m multiple times in config list"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_first_attempt_ends_the_wait_of_a_start_but_not_of_its_end() {
    let disk = Disk::with(&[("m", &["1"])]);
    let factory = FakeFactory::new();
    factory.fail(&id(1), broken());
    let catalog = Catalog::open(start(&factory), OPTIONS, plain(&disk, &["m"])).await;
    let manager = manager(&catalog.unwrap()).clone();
    let settled = manager.wait_until_settled(&["m"]).await;
    assert!(matches!(
        settled.models["m"],
        ModelReadiness::Retrying { version: 1, .. }
    ));
    assert_eq!(seen(&manager, "m"), "1 LOADING");
    factory.allow(&id(1));
    let settled = manager.wait_until_final(&["m"]).await;
    assert!(matches!(
        settled.models["m"],
        ModelReadiness::Available { version: 1 }
    ));
    assert_eq!(manager.status("m", None).unwrap()[0].status, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn models_that_are_gone_are_listed_for_a_while() {
    let disk = Disk::with(&[]);
    let factory = FakeFactory::immediate();
    let catalog = open(&factory, Vec::new()).await;
    let names: Vec<String> = (0..70).map(|number| format!("m{number:02}")).collect();
    for name in &names {
        std::fs::create_dir(disk.base_path(name)).unwrap();
        disk.add(name, "1");
        let reloaded = catalog.reload(plain(&disk, &[name.as_str()]), LIMIT).await;
        assert_eq!(message(reloaded), "found");
    }
    until(manager(&catalog), "m68", "1 END").await;
    let listed = |name: &String| manager(&catalog).status(name, None).is_ok();
    let gone = names.iter().filter(|name| !listed(name)).count();
    assert_eq!((listed(&names[0]), listed(&names[69])), (false, true));
    assert_eq!(names.len() - gone, MAX_ENDED + 1);
}
