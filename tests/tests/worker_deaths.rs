//! What a server does for other models while one of its workers is dead.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
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
