//! What a server does and says while a worker is dead, or cannot have a model again.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

const BODY: &str = r#"{"instances": [2.0]}"#;
const ANSWER: &str = "{\n    \"predictions\": [3.0\n    ]\n}";

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// What it gives, once it gives something.
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "this does not happen: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn status(server: &Server) -> Value {
    let answer = server.get("/health/status");
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).expect("JSON")
}

fn process(server: &Server) -> Option<u64> {
    status(server)["workers"][0]["pid"].as_u64()
}

fn send(process: u64, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it is ours");
}

/// Ends worker 0 and stops its next process while that starts. Gives that process.
fn stop_the_next(server: &Server) -> u64 {
    for _attempt in 0..20 {
        let old = until("there is a process", || process(server));
        send(old, Signal::KILL);
        let next = until("there is another one", || {
            process(server).filter(|process| *process != old)
        });
        send(next, Signal::STOP);
        if status(server)["workers"][0]["state"] == "starting" {
            return next;
        }
    }
    panic!("it is always quicker");
}

#[test]
fn models_on_other_workers_go_on_while_runs_wait_for_a_dead_one() {
    let batching = tempfile::NamedTempFile::new().expect("a file");
    let text = "max_batch_size { value: 1 } num_batch_threads { value: 2 }";
    std::fs::write(batching.path(), text).expect("it can be written");
    let file = format!("--batching_parameters_file={}", batching.path().display());
    let base = path("half_plus_two");
    let models = [("m", &*base, ""), ("other", &*base, "")];
    // Half of 4 run threads may wait, half of 2 batch threads.
    for (more, waiting) in [(&[][..], 2), (&["--enable_batching", &*file][..], 1)] {
        let mut flags = vec![
            "--workers=cpu,cpu",
            "--model_workers=m:workers=0,other:workers=1",
            "--run_threads=4",
        ];
        flags.extend(more);
        let server = Server::with_models(&models, &flags);
        let stopped = stop_the_next(&server);
        thread::scope(|scope| {
            let (done, answers) = mpsc::channel();
            for _ in 0..8 {
                let (server, done) = (&server, done.clone());
                scope.spawn(move || done.send(server.post("/v1/models/m:predict", BODY)));
            }
            for _ in waiting..8 {
                let answer = answers.recv_timeout(PATIENCE).expect("it is refused");
                assert_eq!(answer.status, 503, "{}", answer.body);
                let words = "no worker has the model now: worker 0 (cpu) ended with";
                assert!(answer.body.contains(words), "{}", answer.body);
            }
            assert_eq!(server.post("/v1/models/other:predict", BODY).body, ANSWER);
            send(stopped, Signal::CONT);
            for _ in 0..waiting {
                let answer = answers.recv_timeout(PATIENCE).expect("it is answered");
                assert_eq!(answer.body, ANSWER);
            }
        });
    }
}

/// A version whose `saved_model.pb` is a file of its own. Appears at once, whole.
fn publish_own(base: &Path) -> PathBuf {
    let staged = base.join(".1");
    std::fs::create_dir(&staged).expect("a directory can be made");
    for entry in std::fs::read_dir(path("half_plus_version").join("2")).expect("a model") {
        let entry = entry.expect("a file");
        let (source, name) = (entry.path(), entry.file_name());
        if name == "saved_model.pb" {
            std::fs::copy(source, staged.join(name)).expect("it can be copied");
        } else {
            std::os::unix::fs::symlink(source, staged.join(name)).expect("a link can be made");
        }
    }
    let version = base.join("1");
    std::fs::rename(staged, &version).expect("it can be moved");
    version.join("saved_model.pb")
}

#[test]
fn a_version_that_cannot_be_loaded_again_is_told_of_and_tried_again() {
    let base = tempfile::tempdir().expect("a directory");
    let file = publish_own(base.path());
    let whole = std::fs::read(&file).expect("a file");
    let server = Server::with_model("m", base.path(), &["--workers=cpu"]);
    let json = |path: &str| -> Value {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    };
    std::fs::write(&file, b"\xff\xff nonsense").expect("it can be written");
    send(process(&server).expect("it is up"), Signal::KILL);
    let words = until("it cannot be loaded again", || {
        let error = &status(&server)["models"][0]["error"];
        error.as_str().map(str::to_owned)
    });
    let start = "worker 0 (cpu) cannot load it again: ";
    assert!(words.starts_with(start), "{words}");
    let failed = &json("/health/ready")["failed"];
    let expected = json!([{
        "name": "m", "version": 1, "state": "AVAILABLE", "error": format!("UNAVAILABLE: {words}"),
    }]);
    assert_eq!(*failed, expected);
    let version = &json("/v1/models/m")["model_version_status"][0];
    assert_eq!(version["state"], "AVAILABLE");
    let answer = server.post("/v1/models/m:predict", BODY);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains(start), "{}", answer.body);
    std::fs::write(&file, whole).expect("it can be written");
    until("it is loaded again", || {
        let answer = server.post("/v1/models/m:predict", BODY);
        (answer.body == ANSWER).then_some(())
    });
    assert_eq!(json("/health/ready")["failed"], json!([]));
    assert_eq!(status(&server)["models"][0]["error"], Value::Null);
}

#[test]
fn a_batch_that_is_lost_is_run_again_one_by_one() {
    let batching = tempfile::NamedTempFile::new().expect("a file");
    // Runs are made of three requests, however long that takes.
    let text = "max_batch_size { value: 3 } batch_timeout_micros { value: 1000000000 }";
    std::fs::write(batching.path(), text).expect("it can be written");
    let file = format!("--batching_parameters_file={}", batching.path().display());
    let flags = ["--workers=cpu", "--enable_batching", &file];
    let server = Server::with_model("m", &path("half_plus_two"), &flags);
    let stopped = process(&server).expect("it is up");
    send(stopped, Signal::STOP);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| server.post("/v1/models/m:predict", BODY)))
            .collect();
        until("they are under way", || {
            (status(&server)["workers"][0]["running"] == 1).then_some(())
        });
        send(stopped, Signal::KILL);
        for client in clients {
            assert_eq!(client.join().expect("it is answered").body, ANSWER);
        }
    });
    let worker = &status(&server)["workers"][0];
    assert_eq!(
        (&worker["runs"], &worker["restarts"]),
        (&json!(4), &json!(1))
    );
}
