//! The log lines that scripts look for.
//!
//! Alone in its process: what another test's thread logs first decides, inside `tracing`, whether
//! a line is listened to at all.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use tensorgate_core::{AspiredVersion, AspiredVersions, Manager, ManagerOptions, ServableFactory};
use tensorgate_types::{Error, ServableId, ServableState};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Gives each attempt the next outcome that the test has put in the line.
struct Script(Mutex<mpsc::Receiver<Result<(), Error>>>);

impl ServableFactory for Script {
    type Servable = ();

    fn load(&self, _id: &ServableId, _path: &Path) -> Result<(), Error> {
        let script = self.0.lock().expect("no load panics");
        script
            .recv()
            .expect("the test gives each attempt an outcome")
    }
}

async fn aspire(manager: &Manager<()>, versions: &[i64]) {
    let versions = versions
        .iter()
        .map(|version| AspiredVersion {
            version: *version,
            path: "/m".into(),
        })
        .collect();
    let name = "m".to_owned();
    manager
        .aspirations()
        .aspire(AspiredVersions { name, versions })
        .await;
}

async fn until(manager: &Manager<()>, version: i64, state: ServableState) {
    let mut manager = manager.clone();
    while !manager
        .status("m", Some(version))
        .is_ok_and(|found| found[0].state == state)
    {
        assert!(manager.changed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn logs_the_lines_that_scripts_look_for() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
    let options = ManagerOptions {
        max_num_load_retries: 1,
        ..ManagerOptions::default()
    };
    let (outcomes, script) = mpsc::channel();
    let manager = Manager::spawn(&options, Script(Mutex::new(script))).unwrap();

    manager.add_models(vec!["m".to_owned()]).await;
    let cause = io::Error::other("disk on fire");
    let broken = || Error::internal("broken");
    outcomes.send(Err(broken().with_source(cause))).unwrap();
    outcomes.send(Ok(())).unwrap();
    aspire(&manager, &[1]).await;
    until(&manager, 1, ServableState::Available).await;
    outcomes.send(Err(broken())).unwrap();
    outcomes.send(Err(broken())).unwrap();
    aspire(&manager, &[2]).await;
    until(&manager, 2, ServableState::End).await;
    aspire(&manager, &[3]).await;
    until(&manager, 3, ServableState::Loading).await;
    aspire(&manager, &[]).await;
    until(&manager, 1, ServableState::End).await;
    outcomes.send(Ok(())).unwrap();
    until(&manager, 3, ServableState::End).await;

    let bytes = log.0.lock().unwrap().clone();
    let logged = String::from_utf8(bytes).unwrap();
    let expected = " INFO Adding/updating models.
 INFO  (Re-)adding model: m
 INFO Finished adding/updating models
 INFO Approving load for servable version {name: m version: 1}
 INFO Loading servable version {name: m version: 1}
ERROR Loading servable: {name: m version: 1} failed: INTERNAL: broken: disk on fire
 INFO Retrying of Loading servable: {name: m version: 1} retry: 1
 INFO Successfully loaded servable version {name: m version: 1}
 INFO Approving load for servable version {name: m version: 2}
 INFO Loading servable version {name: m version: 2}
ERROR Loading servable: {name: m version: 2} failed: INTERNAL: broken
 INFO Retrying of Loading servable: {name: m version: 2} retry: 1
ERROR Loading servable: {name: m version: 2} failed: INTERNAL: broken
ERROR Retrying of Loading servable: {name: m version: 2} exhausted max_num_retries: 1
ERROR Servable {name: m version: 2} cannot be loaded: INTERNAL: broken
ERROR Encountered an error for servable version {name: m version: 2}: INTERNAL: broken
 INFO Approving load for servable version {name: m version: 3}
 INFO Loading servable version {name: m version: 3}
 INFO Quiescing servable version {name: m version: 1}
 INFO Done quiescing servable version {name: m version: 1}
 INFO Unloading servable version {name: m version: 1}
 INFO Done unloading servable version {name: m version: 1}
 INFO Unloading just-loaded servable version {name: m version: 3}
 INFO Quiescing servable version {name: m version: 3}
 INFO Done quiescing servable version {name: m version: 3}
 INFO Unloading servable version {name: m version: 3}
 INFO Done unloading servable version {name: m version: 3}
";
    assert_eq!(logged, expected);
}
