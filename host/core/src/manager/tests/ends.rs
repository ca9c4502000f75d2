//! Start-up and shutdown.

use super::*;
use crate::readiness::ModelReadiness;

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
async fn nothing_new_is_taken_while_shutting_down() {
    let (manager, factory) = serving_one().await;
    let handle = manager.lookup(&latest()).unwrap();
    let ending = tokio::spawn({
        let manager = manager.clone();
        async move { manager.shutdown().await }
    });
    until(&manager, "m", "1 UNLOADING").await;
    aspire(&manager, "m", &[1, 2]).await;
    drop(handle);
    ending.await.unwrap();
    assert_eq!(seen(&manager, "m"), "1 END");
    assert_eq!(factory.attempts(&id(2)), 0);
}
