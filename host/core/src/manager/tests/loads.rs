//! Attempts to load: rests, retries, panics, and who waits for whom.

use tensorgate_types::ServableState;
use tokio::time::Instant;

use super::*;

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
        let said = manager.status("m", None).unwrap()[0].status.clone();
        let expected = Err((ErrorCode::DataLoss, "broken".to_owned()));
        assert_eq!(said, if attempt == 1 { Ok(()) } else { expected });
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
