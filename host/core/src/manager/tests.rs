//! The manager as a whole, with loads that end when the test says so and a paused clock.

use std::ops::Deref;
use std::path::Path;

use tensorgate_types::{ErrorCode, ServableId, ServableState, VersionChoice};
use tokio::time::Instant;

use super::*;
use crate::fake::{FakeFactory, FakeServable};
use crate::readiness::ModelReadiness;
use crate::source::{AspiredVersion, AspiredVersions};

fn id(version: i64) -> ServableId {
    ServableId::new("m", version)
}

fn spec(version: VersionChoice) -> ModelSpec {
    ModelSpec {
        name: "m".to_owned(),
        version,
    }
}

fn latest() -> ModelSpec {
    spec(VersionChoice::Latest)
}

fn broken() -> Error {
    Error::new(ErrorCode::DataLoss, "broken")
}

fn start(factory: &FakeFactory) -> Manager<FakeServable> {
    Manager::spawn(&ManagerOptions::default(), factory.clone()).unwrap()
}

async fn aspire(manager: &Manager<FakeServable>, name: &str, versions: &[i64]) {
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
fn seen(manager: &Manager<FakeServable>, name: &str) -> String {
    let statuses = manager.status(name, None).unwrap_or_default();
    let words: Vec<String> = statuses
        .iter()
        .map(|status| format!("{} {}", status.version, status.state.name()))
        .collect();
    words.join(", ")
}

/// Waits until a model's versions look like this.
async fn until(manager: &Manager<FakeServable>, name: &str, expected: &str) {
    let mut manager = manager.clone();
    while seen(&manager, name) != expected {
        assert!(manager.changed().await, "ended as {}", seen(&manager, name));
    }
}

fn message<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "found".to_owned())
}

/// A manager that serves version 1 of `m`, and the factory behind it.
async fn serving_one() -> (Manager<FakeServable>, FakeFactory) {
    let factory = FakeFactory::new();
    let manager = start(&factory);
    factory.allow(&id(1));
    aspire(&manager, "m", &[1]).await;
    until(&manager, "m", "1 AVAILABLE").await;
    (manager, factory)
}

// --- Lookup ---

#[tokio::test(start_paused = true)]
async fn lookup_answers_in_the_words_of_tensorflow_serving() {
    let (manager, _factory) = serving_one().await;
    let nameless = ModelSpec {
        name: String::new(),
        version: VersionChoice::Latest,
    };
    let other = |version| ModelSpec {
        name: "foo".to_owned(),
        version,
    };
    let label = || VersionChoice::Label("stable".to_owned());
    for (request, expected) in [
        (latest(), "found"),
        (spec(VersionChoice::Specific(1)), "found"),
        (
            nameless,
            "INVALID_ARGUMENT: ModelSpec has no name specified.",
        ),
        (
            spec(VersionChoice::Specific(50)),
            "NOT_FOUND: Servable not found for request: Specific(m, 50)",
        ),
        (
            other(VersionChoice::Latest),
            "NOT_FOUND: Servable not found for request: Latest(foo)",
        ),
        (
            spec(label()),
            "INVALID_ARGUMENT: Unrecognized servable version label: stable",
        ),
        (
            other(label()),
            "INVALID_ARGUMENT: Unrecognized servable version label: stable",
        ),
    ] {
        assert_eq!(message(manager.lookup(&request)), expected, "{request}");
    }
    let handle = manager.lookup(&latest()).unwrap();
    assert_eq!(handle.id(), &id(1));
    assert_eq!(handle.path, Path::new("/m/1"));
}

#[tokio::test(start_paused = true)]
async fn status_answers_in_the_words_of_tensorflow_serving() {
    let (manager, factory) = serving_one().await;
    assert_eq!(
        message(manager.status("foo", None)),
        "NOT_FOUND: Could not find any versions of model foo"
    );
    assert_eq!(
        message(manager.status("m", Some(5))),
        "NOT_FOUND: Could not find version 5 of model m"
    );
    assert_eq!(
        message(manager.status("foo", Some(5))),
        "NOT_FOUND: Could not find version 5 of model foo"
    );
    manager.add_models(vec!["empty".to_owned()]).await;
    assert_eq!(
        message(manager.status("empty", None)),
        "NOT_FOUND: Could not find any versions of model empty"
    );
    factory.allow(&id(2));
    aspire(&manager, "m", &[1, 2]).await;
    until(&manager, "m", "2 AVAILABLE, 1 AVAILABLE").await;
    let one = manager.status("m", Some(1)).unwrap();
    assert_eq!((one.len(), one[0].version), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn model_is_unavailable_until_its_first_load_has_ended() {
    let factory = FakeFactory::new();
    let manager = Manager::spawn(
        &ManagerOptions {
            max_num_load_retries: 0,
            ..ManagerOptions::default()
        },
        factory.clone(),
    )
    .unwrap();
    let early = "UNAVAILABLE: Servable not available yet for request: Latest(m): the model is \
                 being loaded for the first time";
    let never = "NOT_FOUND: Servable not found for request: Latest(m)";
    assert_eq!(message(manager.lookup(&latest())), never);
    manager.add_models(vec!["m".to_owned()]).await;
    assert_eq!(message(manager.lookup(&latest())), early, "not scanned yet");
    aspire(&manager, "m", &[1]).await;
    factory.until_attempts(&id(1), 1).await;
    until(&manager, "m", "1 LOADING").await;
    assert_eq!(message(manager.lookup(&latest())), early, "loading");
    assert_eq!(
        message(manager.lookup(&spec(VersionChoice::Specific(9)))),
        "NOT_FOUND: Servable not found for request: Specific(m, 9)",
        "it is known not to be there"
    );
    factory.fail(&id(1), broken());
    until(&manager, "m", "1 END").await;
    assert_eq!(message(manager.lookup(&latest())), never, "failed");
    aspire(&manager, "m", &[2]).await;
    factory.until_attempts(&id(2), 1).await;
    assert_eq!(message(manager.lookup(&latest())), never, "not the first");
}

#[tokio::test(start_paused = true)]
async fn model_without_versions_is_not_found_once_that_is_known() {
    let manager = start(&FakeFactory::new());
    for name in ["empty", "m"] {
        manager.add_models(vec![name.to_owned()]).await;
    }
    aspire(&manager, "empty", &[]).await;
    manager.aspirations().unreadable("m").await;
    let settled = manager.wait_until_settled(&["empty", "m"]).await;
    assert!(
        settled
            .models
            .values()
            .all(|model| matches!(model, ModelReadiness::NoVersions))
    );
    assert_eq!(
        message(manager.lookup(&latest())),
        "NOT_FOUND: Servable not found for request: Latest(m)"
    );
}

#[tokio::test(start_paused = true)]
async fn label_leads_to_its_version() {
    let (manager, factory) = serving_one().await;
    let labels = |version| BTreeMap::from([("stable".to_owned(), version)]);
    let by_label = spec(VersionChoice::Label("stable".to_owned()));
    manager.set_labels("m", labels(1), false).await.unwrap();
    assert_eq!(manager.lookup(&by_label).unwrap().id(), &id(1));
    factory.allow(&id(2));
    aspire(&manager, "m", &[2]).await;
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
    assert_eq!(
        message(manager.lookup(&by_label)),
        "NOT_FOUND: Servable not found for request: Specific(m, 1)"
    );
    assert_eq!(
        message(manager.set_labels("m", labels(3), false).await),
        "FAILED_PRECONDITION: Request to assign label to version 3 of model m, which is not \
         currently available for inference"
    );
    manager.set_labels("m", labels(2), false).await.unwrap();
    assert_eq!(manager.lookup(&by_label).unwrap().id(), &id(2));
}

// --- Swaps ---

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

// --- Loads ---

#[tokio::test(start_paused = true)]
async fn rests_between_attempts_and_says_loading_meanwhile() {
    let factory = FakeFactory::new();
    let manager = start(&factory);
    let began = Instant::now();
    aspire(&manager, "m", &[1]).await;
    for attempt in 1..=5 {
        factory.until_attempts(&id(1), attempt).await;
        let minutes = u64::try_from(attempt - 1).unwrap();
        assert_eq!(began.elapsed().as_secs(), 60 * minutes, "{attempt}");
        assert_eq!(seen(&manager, "m"), "1 LOADING");
        factory.fail(&id(1), broken());
    }
    factory.until_attempts(&id(1), 6).await;
    assert_eq!(began.elapsed().as_secs(), 300);
    factory.allow(&id(1));
    until(&manager, "m", "1 AVAILABLE").await;
}

#[tokio::test(start_paused = true)]
async fn negative_interval_retries_at_once() {
    let factory = FakeFactory::new();
    let options = ManagerOptions::default().with_load_retry_interval_micros(-1);
    let manager = Manager::spawn(&options, factory.clone()).unwrap();
    let began = Instant::now();
    factory.fail(&id(1), broken());
    factory.allow(&id(1));
    aspire(&manager, "m", &[1]).await;
    until(&manager, "m", "1 AVAILABLE").await;
    // The timer's own grain is a millisecond.
    assert!(began.elapsed() <= Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn version_unwanted_between_attempts_is_given_up() {
    let factory = FakeFactory::new();
    let manager = start(&factory);
    factory.fail(&id(1), broken());
    aspire(&manager, "m", &[1]).await;
    factory.until_attempts(&id(1), 1).await;
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "1 END").await;
    assert_eq!(factory.attempts(&id(1)), 1);
    assert!(manager.status("m", Some(1)).unwrap()[0].status.is_err());
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_load_is_an_error_of_that_version() {
    let factory = FakeFactory::new();
    let options = ManagerOptions {
        num_load_threads: 1,
        max_num_load_retries: 0,
        ..ManagerOptions::default()
    };
    let manager = Manager::spawn(&options, factory.clone()).unwrap();
    factory.panic(&id(1));
    aspire(&manager, "m", &[1]).await;
    until(&manager, "m", "1 END").await;
    assert_eq!(
        manager.status("m", None).unwrap()[0].status,
        Err((
            ErrorCode::Internal,
            "loading servable version {name: m version: 1} panicked: the fake was told to panic"
                .to_owned()
        ))
    );
    // The one load thread is still there.
    factory.allow(&id(2));
    aspire(&manager, "m", &[2]).await;
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_drop_ends_the_version_and_nothing_else() {
    let (manager, factory) = serving_one().await;
    factory.panic_in_drops();
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "1 END").await;
    factory.allow(&id(2));
    aspire(&manager, "m", &[2]).await;
    until(&manager, "m", "2 AVAILABLE, 1 END").await;
    aspire(&manager, "m", &[]).await;
    until(&manager, "m", "2 END, 1 END").await;
}

#[tokio::test(start_paused = true)]
async fn slow_load_holds_no_other_model_up() {
    let (manager, factory) = serving_one().await;
    aspire(&manager, "m", &[2]).await;
    factory.until_attempts(&id(2), 1).await;
    let other = ServableId::new("other", 1);
    factory.allow(&other);
    aspire(&manager, "other", &[1]).await;
    until(&manager, "other", "1 AVAILABLE").await;
    assert_eq!(manager.lookup(&latest()).unwrap().id(), &id(1));
    assert_eq!(seen(&manager, "m"), "2 LOADING, 1 AVAILABLE");
}

// --- Start and end ---

#[tokio::test(start_paused = true)]
async fn settles_when_every_model_answers_or_has_failed() {
    let factory = FakeFactory::new();
    let options = ManagerOptions {
        max_num_load_retries: 1,
        ..ManagerOptions::default()
    };
    let manager = Manager::spawn(&options, factory.clone()).unwrap();
    let names = ["bad", "gone", "m"];
    manager.add_models(names.map(str::to_owned).to_vec()).await;
    let bad = ServableId::new("bad", 4);
    factory.fail(&bad, broken());
    factory.fail(&bad, broken());
    aspire(&manager, "bad", &[4]).await;
    until(&manager, "bad", "4 END").await;
    manager.aspirations().unreadable("gone").await;
    aspire(&manager, "m", &[1]).await;
    factory.until_attempts(&id(1), 1).await;

    let waiting = tokio::spawn({
        let manager = manager.clone();
        async move { manager.wait_until_settled(&names).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(!manager.readiness().is_settled());
    factory.allow(&id(1));
    let settled = waiting.await.unwrap();
    assert!(manager.readiness().is_settled());
    assert!(matches!(
        settled.models["m"],
        ModelReadiness::Available { version: 1 }
    ));
    assert!(matches!(settled.models["gone"], ModelReadiness::NoVersions));
    assert_eq!(
        settled.failure_message("servable(s)").as_deref(),
        Some(
            "1 servable(s) did not become available: {{{name: bad version: 4} due to error: \
             DATA_LOSS: broken}, }"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_loads_and_handles_and_unloads_all() {
    let (manager, factory) = serving_one().await;
    let handle = manager.lookup(&latest()).unwrap();
    aspire(&manager, "m", &[1, 2]).await;
    factory.until_attempts(&id(2), 1).await;
    let ending = tokio::spawn({
        let manager = manager.clone();
        async move { manager.shutdown().await }
    });
    until(&manager, "m", "2 LOADING, 1 UNLOADING").await;
    assert_eq!(
        message(manager.lookup(&latest())),
        "UNAVAILABLE: Servable not available for request: Latest(m): the server is shutting down"
    );
    factory.allow(&id(2));
    until(&manager, "m", "2 END, 1 UNLOADING").await;
    assert!(!ending.is_finished());
    drop(handle);
    ending.await.unwrap();
    assert_eq!(seen(&manager, "m"), "2 END, 1 END");
    manager.shutdown().await;
    assert!(manager.wait_until_settled(&["m"]).await.is_settled());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_manager_unloads_everything() {
    let (manager, factory) = serving_one().await;
    drop(manager);
    factory.until_drops(&id(1), 1).await;
    assert_eq!(factory.drops(&id(1)), ["tg-unload-0"]);
}

#[tokio::test(start_paused = true)]
async fn status_says_start_while_no_load_thread_is_free() {
    let factory = FakeFactory::new();
    let manager = start(&factory);
    aspire(&manager, "m", &[1, 2, 3]).await;
    factory.until_attempts(&id(2), 1).await;
    until(&manager, "m", "3 LOADING, 2 LOADING, 1 START").await;
    assert_eq!(
        manager.status("m", Some(1)).unwrap()[0].state,
        ServableState::Start
    );
}
