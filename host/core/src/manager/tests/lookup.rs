//! What requests are told.

use super::*;
use crate::readiness::ModelReadiness;

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
    assert!(manager.knows("m") && !manager.knows("foo"));
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
