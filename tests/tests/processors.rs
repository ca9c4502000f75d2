//! Processors in the real server, before the real TensorFlow: beside a version, in the
//! configuration, swapped with the version, and hostile ones beside other models.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tensorgate_tests::grpc::{Client, wire};
use tensorgate_tests::http::Answer;
use tensorgate_tests::models::BasePath;
use tensorgate_tests::over::Over;
use tensorgate_tests::program;
use tensorgate_tests::server::{Server, output, tensorgate};

const PREDICT: &str = "/v1/models/m:predict";
const PAGE: &str = "/monitoring/prometheus/metrics";

/// Publishes version 2 or 3 of the model (half of x, and so much) with this processor beside it.
/// Appears at once, whole.
fn publish(base: &BasePath, version: u8, processor: &Path) -> PathBuf {
    base.publish_with(version, |extra| {
        std::fs::copy(processor, extra.join("processor.wasm")).expect("it can be copied");
    })
}

fn serve(base: &BasePath, flags: &[&str]) -> Server {
    let mut all = vec!["--max_num_load_retries=0"];
    all.extend(flags);
    Server::with_model("m", base.path(), &all)
}

/// Sends a body of its own content type.
fn send(server: &Server, path: &str, content_type: &str, body: &str) -> Answer {
    let headers = [("content-type", content_type), ("x-tensorgate-timing", "1")];
    let answer = server
        .connect()
        .request("POST", path, &headers, body.as_bytes());
    answer.unwrap_or_else(|error| panic!("{error}; log:\n{}", server.log()))
}

/// A file with this configuration of processors, and the flag that names it.
fn configured(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("it can be written");
    let flag = format!("--processor_config_file={}", file.path().display());
    (file, flag)
}

fn lines(server: &Server, words: &str) -> String {
    send(server, PREDICT, "text/plain", words).body
}

fn sample(server: &Server, name: &str) -> u64 {
    let page = server.get(PAGE).body;
    let line = format!("{name}{{model=\"m\"}} ");
    let value = page.lines().find_map(|found| found.strip_prefix(&line));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[test]
fn a_processor_beside_a_version_takes_bodies_and_tensors() {
    let base = BasePath::new();
    publish(&base, 2, &program("words"));
    let server = serve(&base, &["--enable_batching"]);

    let answer = send(&server, PREDICT, "text/plain; charset=utf-8", "one\nfour");
    assert_eq!((answer.status, answer.body.as_str()), (200, "2.5\n4"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let timing = answer.header("server-timing").expect("it was asked for");
    for part in [
        "total;dur=",
        "model;dur=",
        "processor;dur=",
        "processor-own;dur=",
    ] {
        assert!(timing.contains(part), "{timing}");
    }

    let answer = server.post(PREDICT, r#"{"instances": ["one", "four"]}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    let squeezed: String = answer.body.split_whitespace().collect();
    assert!(
        squeezed.contains(r#"{"numbers":2.5,"seen":"1in"#),
        "{answer:?}"
    );
    let answer = server.post(PREDICT, r#"{"instances": ["ten"]}"#);
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("is no number from zero to nine"),
        "{answer:?}"
    );
    let answer = server.post(PREDICT, r#"{"instances": [1.0]}"#);
    assert_eq!(answer.status, 400, "{answer:?}");

    let strings = wire::tensor(
        7,
        &[2],
        &[wire::bytes(8, b"one"), wire::bytes(8, b"two")].concat(),
    );
    let request = wire::predict("m", "", &[("words", strings)]);
    let mut client = Client::connect(server.grpc_port().expect("a port for gRPC"));
    let reply = client.call("/tensorflow.serving.PredictionService/Predict", &request);
    let message = reply.into_message();
    let numbers = [2.5f32, 3.0].map(f32::to_le_bytes).concat();
    let has = |part: &[u8]| message.windows(part.len()).any(|window| window == part);
    assert!(
        has(&numbers) && has(b"numbers") && has(b"seen"),
        "{message:?}"
    );

    let metadata = server.get("/v1/models/m/metadata").body;
    assert!(
        metadata.contains("\"words\"") && metadata.contains("DT_STRING"),
        "{metadata}"
    );
    assert!(sample(&server, "tensorgate_processor_requests_total") >= 4);
    assert!(sample(&server, "tensorgate_processor_refused_total") >= 1);
    assert!(sample(&server, "tensorgate_processor_nanoseconds_total") > 0);
}

#[test]
fn a_processor_comes_and_goes_with_its_version() {
    let base = BasePath::new();
    publish(&base, 2, &program("words"));
    let server = serve(&base, &["--file_system_poll_wait_seconds=1"]);
    assert_eq!(lines(&server, "four"), "4");
    base.publish("3", 3);
    server.wait_for_state("m", "3", "AVAILABLE");
    // Without a processor a body is JSON, whatever it is called.
    let answer = send(&server, PREDICT, "text/plain", r#"{"instances": [4.0]}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    base.withdraw("3");
    let back = server.wait_for_post(PREDICT, r#"{"instances": ["four"]}"#, |answer| {
        answer.status == 200
    });
    assert!(back.body.contains("4.0"), "{back:?}");
}

#[test]
fn a_version_whose_processor_cannot_be_used_is_not_served() {
    let base = BasePath::new();
    publish(&base, 2, &program("words"));
    let server = serve(&base, &["--file_system_poll_wait_seconds=1"]);
    assert_eq!(lines(&server, "four"), "4");
    publish(&base, 3, &program("echo"));
    let told = server.wait_for_state("m", "3", "END");
    for words in [
        "assets.extra/processor.wasm",
        "does not export tensorgate:serving/processor@0.1.0",
        "model-processor",
    ] {
        assert!(told.body.contains(words), "{told:?}");
    }
    // The one that was there goes on.
    assert_eq!(lines(&server, "four"), "4");
}

#[test]
fn a_processor_of_the_configuration_belongs_to_the_model() {
    let base = BasePath::new();
    base.publish("2", 2);
    let words = program("words");
    let (_file, flag) = configured(&format!(
        "processor {{ model: 'm' path: '{}' limits {{ concurrency: 2 }} }}",
        words.display()
    ));
    let server = serve(&base, &[&flag, "--file_system_poll_wait_seconds=1"]);
    assert_eq!(lines(&server, "four"), "4");
    base.publish("3", 3);
    server.wait_for_state("m", "3", "AVAILABLE");
    assert_eq!(lines(&server, "four"), "5");
}

#[test]
fn a_configuration_that_makes_no_sense_ends_the_start_by_name() {
    for (text, words) in [
        ("processor { limits {} }", "a processor has no model"),
        ("processor { modell: 'm' }", "modell"),
        (
            "processor { model: 'm' limits { time_ms: 0 } }",
            "model m: limits.time_ms is 0",
        ),
    ] {
        let (file, flag) = configured(text);
        let ended = output(
            tensorgate()
                .args(["serve", "--model_name=m", "--model_base_path=/nowhere"])
                .arg(flag),
        );
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(!ended.status.success(), "{said}");
        assert!(
            said.contains(&file.path().display().to_string()) && said.contains(words),
            "{said}"
        );
    }
}

#[test]
fn nothing_is_lost_while_versions_and_their_processors_are_swapped() {
    let base = BasePath::new();
    publish(&base, 2, &program("words"));
    let server = serve(&base, &["--file_system_poll_wait_seconds=1"]);
    let done = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    thread::scope(|scope| {
        let over = Over(&done);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut seen = [0_u64; 2];
                    while !done.load(Ordering::Relaxed) {
                        let headers = [("content-type", "text/plain")];
                        let answer = connection
                            .request("POST", PREDICT, &headers, b"four")
                            .expect("an answer");
                        assert_eq!(answer.status, 200, "{answer:?}");
                        match answer.body.as_str() {
                            "4" => seen[0] += 1,
                            "5" => seen[1] += 1,
                            other => panic!("{other} is of no version"),
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..2 {
            let published = publish(&base, 3, &program("words"));
            server.wait_for_state("m", "3", "AVAILABLE");
            std::fs::remove_dir_all(published).expect("it can be removed");
            server.wait_for_state("m", "2", "AVAILABLE");
            server.wait_for_state("m", "3", "END");
        }
        drop(over);
        for client in clients {
            client.join().expect("no request failed");
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 20, "the clients asked");
}

#[test]
fn a_hostile_processor_costs_other_models_nothing() {
    let (hostile, plain) = (BasePath::new(), BasePath::new());
    publish(&hostile, 2, &program("hostile_processor"));
    plain.publish("2", 2);
    let models = [("m", hostile.path(), ""), ("other", plain.path(), "")];
    let limits = "time_ms: 300 memory_bytes: 33554432 answer_bytes: 1000000";
    let (_file, flag) = configured(&format!("processor {{ model: 'm' limits {{ {limits} }} }}"));
    let server = Server::with_models(&models, &[&flag]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&done);
        let others: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut answered = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let body = br#"{"instances": [4.0]}"#;
                        let answer = connection
                            .request("POST", "/v1/models/other:predict", &[], body)
                            .expect("an answer");
                        assert_eq!(answer.status, 200, "{answer:?}");
                        assert!(answer.body.contains("4.0"), "{answer:?}");
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        for word in [
            "trap", "loop", "memory", "stack", "short", "large", "header", "sleep",
        ] {
            let answer = send(&server, PREDICT, "text/plain", word);
            assert!(answer.status >= 400, "{word}: {answer:?}");
            assert!(!answer.body.contains("panicked"), "{word}: {answer:?}");
        }
        drop(over);
        for other in others {
            assert!(other.join().expect("no request failed") > 0);
        }
    });
    // What a client is not told, whoever wrote it finds in the log.
    let log = server.log();
    assert!(
        log.contains("the processor of model m version 2: the component trapped"),
        "{log}"
    );
    assert!(log.contains("told to"), "{log}");
    let fine = send(&server, PREDICT, "text/plain", "fine");
    assert_eq!(fine.status, 200, "{fine:?}");
}
