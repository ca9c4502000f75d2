//! Models in worker processes: what the real server does when they run, die, and are not needed.
//!
//! The workers are for processors, since every machine has those: what makes a worker one for a
//! GPU are its environment and its session, which unit tests look at.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::{Server, config};

const PREDICT: &str = "/v1/models/m:predict";
const BODY: &str = r#"{"instances": [2.0]}"#;
const ANSWER: &str = "{\n    \"predictions\": [3.0\n    ]\n}";

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(120);

fn until(what: &str, done: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < give_up, "this does not happen: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The processes of a worker so far, oldest first.
fn processes(server: &Server, worker: usize) -> Vec<u32> {
    let mark = format!("worker {worker} (cpu) is up: process ");
    let log = server.log();
    let lines = log.lines().filter_map(|line| line.split_once(&mark));
    lines
        .map(|(_, rest)| {
            let number = rest.split(',').next().expect("a number");
            number.parse().expect("a number")
        })
        .collect()
}

fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // A process that nobody has waited for yet is none any more.
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn kill(process: u32) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::KILL).expect("it is ours");
}

#[test]
fn a_model_answers_from_a_worker_and_the_server_has_no_tensorflow() {
    let server = Server::with_model("m", &path("half_plus_two"), &["--workers=cpu"]);
    assert_eq!(server.post(PREDICT, BODY).body, ANSWER);
    let [worker] = processes(&server, 0)[..] else {
        panic!("{}", server.log());
    };
    let has_library = |process: u32| {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps");
        maps.contains("libtensorflow")
    };
    assert!(has_library(worker));
    assert!(!has_library(server.id()));
    let metadata = server.get("/v1/models/m/metadata").body;
    assert!(
        metadata.contains("tensorflow/serving/regress"),
        "{metadata}"
    );
}

#[test]
fn errors_of_loads_and_runs_are_those_of_tensorflow() {
    let flags = ["--max_num_load_retries=0"];
    let says = |flags: &[&str]| {
        let base = BasePath::with_half_plus_two("1");
        let server = Server::with_model("m", base.path(), flags);
        let wrong = r#"{"signature_name": "regress_x_to_y", "inputs": ["no example"]}"#;
        let run = server.post(PREDICT, wrong);
        base.publish_corrupt("2");
        let load = server.wait_for_state("m", "2", "END").body;
        let shown = base.path().display().to_string();
        (run.status, run.body, load.replace(&shown, "BASE"))
    };
    let here = says(&flags);
    let away = says(&[flags[0], "--workers=cpu"]);
    assert_eq!(away, here);
    assert_eq!(here.0, 400);
}

#[test]
fn a_worker_that_is_killed_under_load_loses_no_request() {
    let models = [
        ("m", &*path("half_plus_two"), ""),
        ("other", &*path("half_plus_two"), ""),
    ];
    let flags = ["--workers=cpu,cpu", "--model_workers=other:workers=1"];
    let server = Server::with_models(&models, &flags);
    let done = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let ask = |name: &str| {
        let mut connection = server.connect();
        let predict = format!("/v1/models/{name}:predict");
        while !done.load(Ordering::Relaxed) {
            let answer = connection
                .request("POST", &predict, &[], BODY.as_bytes())
                .expect("every request is answered");
            assert_eq!((answer.status, &*answer.body), (200, ANSWER), "{name}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = ["m", "m", "other"]
            .map(|name| scope.spawn(move || ask(name)))
            .into();
        let mut killed = BTreeSet::new();
        for round in 1..=3 {
            let before = answered.load(Ordering::Relaxed);
            until("requests are answered", || {
                answered.load(Ordering::Relaxed) > before + 20
            });
            let process = *processes(&server, 0).last().expect("one is up");
            assert!(killed.insert(process), "each time it is another process");
            kill(process);
            until("it is started again", || {
                processes(&server, 0).len() > round
            });
            assert!(!lives(process));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no client saw an error");
        }
    });
    assert_eq!(
        processes(&server, 1).len(),
        1,
        "the other one was left alone"
    );
    let page = server.get("/monitoring/prometheus/metrics").body;
    for line in [
        "tensorgate_worker_restarts_total{worker=\"0\",device=\"cpu\"} 3\n",
        "tensorgate_worker_restarts_total{worker=\"1\",device=\"cpu\"} 0\n",
        "tensorgate_worker_up{worker=\"0\",device=\"cpu\"} 1\n",
        "tensorgate_worker_models{worker=\"1\",device=\"cpu\"} 2\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    assert_eq!(server.post(PREDICT, BODY).body, ANSWER);
}

#[test]
fn memory_goes_back_when_a_worker_has_no_model_any_more() {
    let base = path("half_plus_two");
    let (m, other) = (("m", &*base, ""), ("other", &*base, ""));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let serve = |models: &[(&str, &Path, &str)]| {
        std::fs::write(file.path(), config(models)).expect("it can be written");
    };
    serve(&[m, other]);
    let server = Server::start([
        &*format!("--model_config_file={}", file.path().display()),
        "--model_config_file_poll_wait_seconds=1",
        "--workers=cpu,cpu",
        "--model_workers=m:workers=0,other:workers=1",
    ]);
    server.wait_for_line("Ready in ");
    let first = processes(&server, 0)[0];
    assert!(lives(first));
    serve(&[other]);
    until("the process is gone, with its memory", || !lives(first));
    assert_eq!(server.post("/v1/models/other:predict", BODY).body, ANSWER);
    let status = status(&server);
    assert_eq!(status["workers"][0]["state"], "asleep");
    assert_eq!(status["workers"][0]["resident_bytes"], Value::Null);
    assert!(
        lives(processes(&server, 1)[0]),
        "the other one has its model"
    );
    serve(&[m, other]);
    server.wait_for_post(PREDICT, BODY, |answer| answer.body == ANSWER);
    assert_eq!(processes(&server, 0).len(), 2);
    assert_eq!(processes(&server, 1).len(), 1);
}

#[test]
fn workers_end_with_the_server_however_it_ends() {
    let flags = ["--workers=cpu,cpu"];
    for end in [|server: &Server| kill(server.id()), Server::terminate] {
        let server = Server::with_model("m", &path("half_plus_two"), &flags);
        let workers: Vec<u32> = (0..2).map(|worker| processes(&server, worker)[0]).collect();
        // A terminal and a service manager tell everybody at once.
        for worker in &workers {
            let pid = i32::try_from(*worker).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a process"), Signal::TERM).expect("it is ours");
        }
        assert_eq!(server.post(PREDICT, BODY).body, ANSWER);
        // Would not see that its socket is closed.
        let pid = i32::try_from(workers[1]).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::STOP).expect("it is ours");
        end(&server);
        until("the workers end", || {
            !workers.iter().any(|worker| lives(*worker))
        });
    }
}

#[test]
fn a_worker_for_a_gpu_does_not_compute_on_the_processors() {
    // Visible to nobody: so there is none for it, whatever the machine has.
    let flags = ["--workers=gpu:0", "--max_num_load_retries=0"];
    let mut command = tensorgate_tests::server::tensorgate();
    command
        .arg("serve")
        .args(flags)
        .arg("--model_name=m")
        .arg(format!(
            "--model_base_path={}",
            path("half_plus_two").display()
        ))
        .env("CUDA_VISIBLE_DEVICES", "99");
    let server = Server::spawn(&mut command);
    let status = server.wait_for_state("m", "123", "END").body;
    let words = "a worker for gpu:0 has no GPU: TensorFlow has found ";
    assert!(status.contains(words), "{status}");
}

fn status(server: &Server) -> Value {
    let answer = server.get("/health/status");
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn status_says_what_runs_where_and_with_how_much_memory() {
    const A_SESSION: u64 = 50 << 20;
    let base = path("half_plus_two");
    let server = Server::with_model("m", &base, &["--workers=cpu,cpu"]);
    let status_of = status(&server);
    assert_eq!(status_of["server"]["pid"], server.id());
    assert_eq!(status_of["server"]["devices"], json!([]), "it runs none");
    let available = json!([{ "name": "m", "version": 123, "state": "AVAILABLE", "error": null }]);
    assert_eq!(status_of["models"], available);
    for number in 0..2 {
        let worker = &status_of["workers"][number];
        assert_eq!(worker["worker"], number);
        assert_eq!(worker["device"], "cpu");
        assert_eq!(worker["state"], "up");
        assert_eq!(worker["pid"], processes(&server, number)[0]);
        let resident = worker["resident_bytes"].as_u64().expect("a number");
        assert!(resident > A_SESSION, "{resident}");
        assert_eq!(worker["devices"][0]["kind"], "CPU");
        assert_eq!(worker["models"][0]["ready"], true);
        assert_eq!(worker["last_end"], Value::Null);
    }
    kill(processes(&server, 0)[0]);
    until("it has ended and is up again", || {
        let worker = &status(&server)["workers"][0];
        let how = "ended with signal: 9 (SIGKILL)";
        worker["restarts"] == 1 && worker["state"] == "up" && worker["last_end"] == how
    });
    let url = format!("--url=http://localhost:{}", server.port());
    let mut command = tensorgate_tests::server::tensorgate();
    let output = tensorgate_tests::server::output(command.args(["status", &url]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for words in [
        "AVAILABLE",
        "MiB",
        "1 of 1",
        "worker 0: its process ended with",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut command = tensorgate_tests::server::tensorgate();
    let output = command.args(["status", "--format=json", "--url=http://localhost:1"]);
    assert_eq!(
        tensorgate_tests::server::output(output).status.code(),
        Some(1)
    );
}

#[test]
fn status_has_the_devices_of_a_server_without_workers() {
    let server = Server::with_model("m", &path("half_plus_two"), &[]);
    let status = status(&server);
    assert_eq!(status["workers"], json!([]));
    assert_eq!(status["server"]["devices"][0]["kind"], "CPU");
}

#[test]
fn workers_that_cannot_be_are_refused_at_the_start() {
    let base = path("half_plus_two");
    for (flags, words) in [
        (
            &["--workers=gpu:0,gpu:0"][..],
            "2 workers on gpu:0; each of them needs",
        ),
        (
            &["--workers=cpu", "--model_workers=m:workers=1"],
            "--model_workers names worker 1 for m; expected 0 to 0",
        ),
        (
            &["--model_workers=m:workers=0"],
            "--model_workers is set without --workers",
        ),
    ] {
        let text = refusal(&base, flags);
        assert!(text.contains(words), "{text}");
    }
}

/// What a server says that does not start.
fn refusal(base: &Path, flags: &[&str]) -> String {
    let mut command = tensorgate_tests::server::tensorgate();
    command
        .args([
            "serve",
            "--port=auto",
            "--rest_api_port=auto",
            "--model_name=m",
        ])
        .arg(format!("--model_base_path={}", base.display()))
        .args(flags);
    let output = tensorgate_tests::server::output(&mut command);
    assert_eq!(output.status.code(), Some(255));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nobody_is_a_worker_by_himself() {
    let mut command = tensorgate_tests::server::tensorgate();
    let output = tensorgate_tests::server::output(command.arg("worker"));
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("with a socket as its standard input"),
        "{text}"
    );
}

/// A request of the slow model.
fn steps(count: u64) -> String {
    format!(r#"{{"inputs": {{"steps": {count}}}}}"#)
}

#[test]
fn a_run_that_is_lost_is_made_again_and_one_that_is_lost_twice_is_answered() {
    let flags = ["--workers=cpu,cpu", "--rest_api_timeout_in_ms=600000"];
    let server = Server::with_model("m", &path("slow"), &flags);
    let busy = |server: &Server| {
        let status = status(server);
        let mut workers = status["workers"].as_array().expect("a list").iter();
        workers.position(|worker| worker["running"] == 1)
    };
    let answer = thread::scope(|scope| {
        let client = scope.spawn(|| server.post(PREDICT, &steps(u64::MAX >> 2)));
        until("it is run", || busy(&server).is_some());
        let first = busy(&server).expect("as before");
        kill(processes(&server, first)[0]);
        let second = 1 - first;
        until("it is run by the other", || busy(&server) == Some(second));
        kill(processes(&server, second)[0]);
        (client.join().expect("it is answered"), first, second)
    });
    let (answer, first, second) = answer;
    assert_eq!(answer.status, 503);
    let how = "(cpu) ended with signal: 9 (SIGKILL)";
    let words = format!("the run was lost twice: worker {first} {how}, then worker {second} {how}");
    assert!(answer.body.contains(&words), "{}", answer.body);
    server.wait_for_post(PREDICT, &steps(1), |answer| answer.status == 200);
}

#[test]
fn a_run_in_a_worker_that_outlives_its_deadline_is_504() {
    let flags = ["--workers=cpu", "--rest_api_timeout_in_ms=200"];
    let server = Server::with_model("m", &path("slow"), &flags);
    let answer = server.post(PREDICT, &steps(u64::MAX >> 2));
    assert_eq!(answer.status, 504, "{}", answer.body);
    let words = "Timed out waiting for notification";
    assert!(answer.body.contains(words), "{}", answer.body);
    server.wait_for_post(PREDICT, &steps(1), |answer| answer.status == 200);
    let status = status(&server);
    assert_eq!(status["workers"][0]["restarts"], 0, "it goes on");
}

#[test]
fn batches_keep_all_workers_busy() {
    let flags = [
        "--workers=cpu,cpu,cpu",
        "--enable_batching",
        "--rest_api_timeout_in_ms=600000",
    ];
    let server = Server::with_model("m", &path("slow"), &flags);
    let page = server.get("/monitoring/prometheus/metrics").body;
    let threads = page
        .lines()
        .find_map(|line| line.strip_prefix("tensorgate_batch_threads{} "));
    let threads: usize = threads.expect(&page).parse().expect("a number");
    assert!(threads >= 3, "one for each worker at least");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| server.post(PREDICT, &steps(1_000_000))))
            .collect();
        until("all are busy", || {
            let status = status(&server);
            let mut workers = status["workers"].as_array().expect("a list").iter();
            workers.all(|worker| worker["running"] == 1)
        });
        for client in clients {
            assert_eq!(client.join().expect("it is answered").status, 200);
        }
    });
}

#[test]
fn a_swap_under_load_loses_no_request_with_workers() {
    let base = BasePath::with_half_plus_two("1");
    let server = Server::with_model("m", base.path(), &["--workers=cpu,cpu"]);
    let body = r#"{"instances": [0.0]}"#;
    let answers = [2, 3].map(|y| format!("{{\n    \"predictions\": [{y}.0\n    ]\n}}"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut connection = server.connect();
            while !done.load(Ordering::Relaxed) {
                let answer = connection
                    .request("POST", PREDICT, &[], body.as_bytes())
                    .expect("every request is answered");
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert!(answers.contains(&answer.body), "{}", answer.body);
            }
        });
        base.publish("2", 3);
        server.wait_for_state("m", "1", "END");
        assert_eq!(server.post(PREDICT, body).body, answers[1]);
        done.store(true, Ordering::Relaxed);
        client.join().expect("no client saw an error");
    });
    for worker in status(&server)["workers"].as_array().expect("a list") {
        let models = worker["models"].as_array().expect("a list");
        assert_eq!(models.len(), 1, "the old version is unloaded: {worker}");
        assert_eq!(worker["restarts"], 0);
    }
}

#[test]
fn tensorflow_lite_is_computed_in_workers_too() {
    let says = |flags: &[&str]| {
        let mut all = vec!["--prefer_tflite_model"];
        all.extend(flags);
        let server = Server::with_model("m", &path("lite_beside_saved_model"), &all);
        let answer = server.post(PREDICT, r#"{"instances": [[1.0, 2.0, 3.0]]}"#);
        let log = server.log();
        (
            answer.status,
            answer.body,
            log.contains("TensorFlow Lite models by "),
        )
    };
    let away = says(&["--workers=cpu"]);
    assert_eq!(away, says(&[]));
    assert_eq!((away.0, away.2), (200, true), "{}", away.1);
}
