//! Batching in the real server, with a real model that tells how it was batched.
//!
//! Where a test says that requests ride together, nobody is let go before the batch is full: the
//! timeout is an hour.

use std::path::PathBuf;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tensorgate_tests::grpc::{Client, wire};
use tensorgate_tests::http::Answer;
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

const PREDICT: &str = "/v1/models/m:predict";
const METRICS: &str = "/monitoring/prometheus/metrics";
const AN_HOUR: &str = "batch_timeout_micros { value: 3600000000 } num_batch_threads { value: 1 } ";

struct House {
    server: Server,
    _files: TempDir,
}

/// Serves the model with these batching parameters.
fn house(parameters: &str, more: &[&str]) -> House {
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("batching.config");
    std::fs::write(&file, parameters).expect("it can be written");
    let file = format!("--batching_parameters_file={}", file.display());
    let mut flags = vec!["--enable_batching", &file];
    flags.extend(more);
    House {
        server: Server::with_model("m", &path("batch_teller"), &flags),
        _files: files,
    }
}

impl House {
    /// Sends all bodies at once, each by a client of its own.
    fn together(&self, bodies: &[Value]) -> Vec<Answer> {
        thread::scope(|scope| {
            let clients: Vec<_> = bodies
                .iter()
                .map(|body| scope.spawn(|| self.server.post(PREDICT, &body.to_string())))
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().expect("it was answered"))
                .collect()
        })
    }

    /// Waits until so many requests wait for a batch.
    fn until_queued(&self, requests: usize) {
        let line = format!("tensorgate_batch_queue_depth{{}} {requests}\n");
        self.server
            .wait_for(METRICS, |page| page.body.contains(&line));
    }

    fn metric(&self, sample: &str) -> u64 {
        let page = self.server.get(METRICS).body;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {sample} in\n{page}"));
        value.parse().expect("a number")
    }
}

fn row(values: &[f32]) -> Value {
    json!({ "inputs": { "x": [values] } })
}

fn outputs(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    body["outputs"].clone()
}

fn error(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    body["error"].as_str().expect("an error").to_owned()
}

#[test]
fn requests_that_wait_together_are_one_run() {
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 4 }}");
    let house = house(&parameters, &[]);
    let bodies = [1.0, 2.0, 3.0, 4.0].map(|x| row(&[x]));
    for (number, answer) in house.together(&bodies).iter().enumerate() {
        let double = 2.0 * (number as f64 + 1.0);
        let expected = json!({ "double": [[double]], "rows": [4], "columns": [1] });
        assert_eq!(outputs(answer), expected);
    }
    let of = |name: &str| format!(":tensorflow:serving:batching_session:{name}");
    assert_eq!(house.metric(&format!("{}{{}}", of("wrapped_run_count"))), 1);
    let waited = of("queuing_latency_count{thread_pool_name=\"\"}");
    assert_eq!(house.metric(&waited), 4);
    assert_eq!(house.metric(&of("input_batch_size_sum{}")), 4);
    assert_eq!(house.metric(&of("processed_batch_size_sum{}")), 4);
    let padding = of("padding_size_sum{execution_batch_size=\"4\"}");
    assert_eq!(house.metric(&padding), 0);
    let log = house.server.log();
    assert!(
        log.contains("Wrapping session to perform batch processing"),
        "{log}"
    );
}

#[test]
fn strings_ride_together() {
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 3 }}");
    let house = house(&parameters, &[]);
    let texts = [json!(["a"]), json!(["bcd", ""])];
    let bodies = texts.map(|text| json!({ "signature_name": "lengths", "inputs": text }));
    let answers = house.together(&bodies);
    assert_eq!(outputs(&answers[0]), json!({ "length": [1], "rows": [3] }));
    let expected = json!({ "length": [3, 0], "rows": [3, 3] });
    assert_eq!(outputs(&answers[1]), expected);
}

/// A row of 1,600 bytes, all of one value: worth a place beside others.
fn wide(value: f32) -> [f32; 400] {
    [value; 400]
}

/// How often bytes of rows were copied behind the sandbox: into batches, and to be aligned.
fn copied(house: &House) -> [u64; 2] {
    [
        house.metric("tensorgate_batch_copied_bytes_total{}"),
        house.metric("tensorgate_session_copied_bytes_total{what=\"unaligned\"}"),
    ]
}

#[test]
fn rows_are_copied_once_and_answers_are_everybodys_own() {
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 16 }}");
    let house = house(&parameters, &[]);
    let values: Vec<f32> = (20..36).map(|number| number as f32).collect();
    let bodies: Vec<Value> = values.iter().map(|value| row(&wide(*value))).collect();
    // The component's own bytes are copied out of it. In a batch they lie then.
    for (value, answer) in values.iter().zip(house.together(&bodies)) {
        let outputs = outputs(&answer);
        assert_eq!(outputs["double"], json!([wide(2.0 * value).to_vec()]));
        assert_eq!(outputs["rows"], json!([16]));
    }
    assert_eq!(copied(&house), [0, 0]);
    // Those of a message are copied into their batch.
    thread::scope(|scope| {
        for value in &values {
            let server = &house.server;
            scope.spawn(move || {
                let bytes = |value| wide(value).map(f32::to_le_bytes).concat();
                let content = wire::bytes(4, &bytes(*value));
                let tensor = wire::tensor(1, &[1, 400], &content);
                let request = wire::predict("m", "", &[("x", tensor)]);
                let mut client = Client::connect(server.grpc_port().expect("a port"));
                let method = "/tensorflow.serving.PredictionService/Predict";
                let answer = client.call(method, &request).into_message();
                let double = wire::bytes(5, &bytes(2.0 * value));
                let mut windows = answer.windows(double.len());
                assert!(windows.any(|window| window == double), "{value}");
            });
        }
    });
    assert_eq!(copied(&house), [16 * 1600, 0]);
}

#[test]
fn only_the_guilty_request_fails() {
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 4 }}");
    let house = house(&parameters, &[]);
    let bodies = [1.0, 13.0, 3.0, 4.0].map(|x| row(&[x]));
    for (number, answer) in house.together(&bodies).iter().enumerate() {
        if number == 1 {
            assert_eq!(answer.status, 400, "{}", answer.body);
            assert!(error(answer).contains("a thirteen"), "{}", answer.body);
        } else {
            let double = 2.0 * (number as f64 + 1.0);
            assert_eq!(outputs(answer)["double"], json!([[double]]));
        }
    }
    assert!(house.metric("tensorgate_batch_retries_total{}") > 0);
}

#[test]
fn other_shapes_hurt_nobody() {
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 2 }}");
    let house = house(&parameters, &[]);
    let bodies = [&[1.0][..], &[1.0, 2.0], &[3.0], &[3.0, 4.0]].map(row);
    for (body, answer) in bodies.iter().zip(house.together(&bodies)) {
        let columns = body["inputs"]["x"][0].as_array().map(Vec::len);
        let outputs = outputs(&answer);
        assert_eq!(outputs["rows"], json!([2]));
        assert_eq!(outputs["columns"], json!([columns]));
    }
}

#[test]
fn padding_brings_lengths_together() {
    let parameters =
        format!("{AN_HOUR} max_batch_size {{ value: 2 }} pad_variable_length_inputs: true");
    let house = house(&parameters, &[]);
    let answers = house.together(&[row(&[1.0]), row(&[5.0, 6.0])]);
    // With its own first element, and not taken off again: as with the original.
    let expected = json!({ "double": [[2.0, 2.0]], "rows": [2], "columns": [2] });
    assert_eq!(outputs(&answers[0]), expected);
    assert_eq!(outputs(&answers[1])["double"], json!([[10.0, 12.0]]));
}

#[test]
fn batches_are_padded_to_the_allowed_sizes() {
    let parameters = "max_batch_size { value: 8 } allowed_batch_sizes: [ 2, 8 ]";
    let house = house(parameters, &[]);
    assert_eq!(
        outputs(&house.server.post(PREDICT, &row(&[1.0]).to_string()))["rows"],
        json!([2])
    );
    let three = json!({ "inputs": { "x": [[1.0], [2.0], [3.0]] } });
    let outputs = outputs(&house.server.post(PREDICT, &three.to_string()));
    assert_eq!(outputs["double"], json!([[2.0], [4.0], [6.0]]));
    assert_eq!(outputs["rows"], json!([8, 8, 8]));
}

#[test]
fn large_requests_are_refused_or_split() {
    let three = json!({ "inputs": { "x": [[1.0], [2.0], [3.0]] } }).to_string();
    let refuses = house("max_batch_size { value: 2 }", &[]);
    let answer = refuses.server.post(PREDICT, &three);
    assert_eq!(answer.status, 400);
    assert_eq!(
        error(&answer),
        "Task size 3 is larger than maximum input batch size 2"
    );
    let splits = house(
        "max_batch_size { value: 10 } enable_large_batch_splitting { value: true }
         max_execution_batch_size { value: 2 }",
        &[],
    );
    let outputs = outputs(&splits.server.post(PREDICT, &three));
    assert_eq!(outputs["double"], json!([[2.0], [4.0], [6.0]]));
    assert_eq!(outputs["rows"], json!([2, 2, 1]));
}

#[test]
fn what_cannot_be_batched_is_answered_all_the_same() {
    let house = house(AN_HOUR, &[]);
    // An output without rows. Its signature says so, so that nothing waits.
    let body = json!({ "signature_name": "total", "inputs": [[1.0, 2.0], [3.0, 4.0]] });
    assert_eq!(
        outputs(&house.server.post(PREDICT, &body.to_string())),
        json!(10.0)
    );
    assert_eq!(
        house.metric(":tensorflow:serving:batching_session:wrapped_run_count{}"),
        0
    );
}

#[test]
fn a_full_queue_is_503_and_the_urgent_take_the_places_of_the_others() {
    let parameters =
        format!("{AN_HOUR} max_batch_size {{ value: 2 }} max_enqueued_batches {{ value: 1 }}");
    let house = house(&parameters, &[]);
    let two = json!({ "inputs": { "x": [[1.0], [2.0]] } }).to_string();
    let full = "The batch scheduling queue to which this task was submitted is full; currently 1 \
                batches enqueued and max_enqueued_batches is 1";
    thread::scope(|scope| {
        let low = scope.spawn(|| {
            let mut client = house.server.connect();
            let headers = [("X-Tensorgate-Priority", "low")];
            client.request(
                "POST",
                PREDICT,
                &headers,
                row(&[1.0]).to_string().as_bytes(),
            )
        });
        house.until_queued(1);
        let mut client = house.server.connect();
        let mut ask = |priority: &str| {
            let headers = [("x-tensorgate-priority", priority)];
            let answer = client.request("POST", PREDICT, &headers, two.as_bytes());
            answer.expect("an answer")
        };
        let refused = ask("low");
        assert_eq!((refused.status, error(&refused).as_str()), (503, full));
        let wrong = ask("urgent");
        assert_eq!(wrong.status, 400);
        let expected = "x-tensorgate-priority is low, normal or high, not \"urgent\"";
        assert_eq!(error(&wrong), expected);
        assert_eq!(outputs(&ask("high"))["rows"], json!([2, 2]));
        let shed = low.join().expect("no panic").expect("an answer");
        assert_eq!(shed.status, 503);
        assert!(error(&shed).contains("gave its place"), "{}", shed.body);
    });
    assert_eq!(
        house.metric("tensorgate_batch_left_out_total{reason=\"shed\"}"),
        1
    );
    assert_eq!(
        house.metric("tensorgate_batch_left_out_total{reason=\"full\"}"),
        1
    );
}

#[test]
fn a_request_does_not_wait_beyond_its_time() {
    let house = house(AN_HOUR, &["--rest_api_timeout_in_ms=100"]);
    let answer = house.server.post(PREDICT, &row(&[1.0]).to_string());
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert_eq!(house.server.get("/v1/models/m").status, 200);
}

#[test]
fn who_waits_for_others_is_answered_when_the_server_ends() {
    let mut house = house(AN_HOUR, &[]);
    let mut client = house.server.connect();
    let body = row(&[1.0]).to_string();
    client
        .send("POST", PREDICT, &[], body.as_bytes())
        .expect("it is sent");
    house.until_queued(1);
    house.server.terminate();
    let answer = client.answer(false).expect("it is answered");
    assert_eq!(outputs(&answer)["rows"], json!([1]));
    assert_eq!(house.server.wait().code(), Some(0));
}

/// A base path with one version of the model, and its batching parameters.
fn version(parameters: Option<&str>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let target = directory.path().join("1");
    std::fs::create_dir(&target).expect("a directory");
    let source = path("batch_teller").join("1");
    for entry in std::fs::read_dir(&source).expect("it is there") {
        let entry = entry.expect("it can be read");
        let link = target.join(entry.file_name());
        std::os::unix::fs::symlink(entry.path(), link).expect("a link can be made");
    }
    if let Some(parameters) = parameters {
        std::fs::write(target.join("batching_params.pbtxt"), parameters).expect("it can");
    }
    let base = directory.path().to_owned();
    (directory, base)
}

#[test]
fn each_version_can_say_how_it_is_batched() {
    let (_kept, padded) = version(Some("max_batch_size { value: 4 } allowed_batch_sizes: 4"));
    let (_kept_too, plain) = version(None);
    let (_and_this, broken) = version(Some("max_batch_size: 4"));
    let models = [
        ("padded", padded.as_path(), ""),
        ("plain", &plain, ""),
        ("broken", &broken, ""),
    ];
    let flags = [
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        "--max_num_load_retries=0",
    ];
    let server = Server::with_models(&models, &flags);
    let rows = |model: &str| {
        let body = row(&[1.0]).to_string();
        let answer = server.post(&format!("/v1/models/{model}:predict"), &body);
        outputs(&answer)["rows"].clone()
    };
    assert_eq!(rows("padded"), json!([4]));
    assert_eq!(rows("plain"), json!([1]));
    let status = server.wait_for_state("broken", "1", "END");
    assert!(
        status.body.contains("Invalid protobuf file"),
        "{}",
        status.body
    );
}

#[test]
fn the_threads_have_the_name_of_the_file() {
    let house = house(
        "thread_pool_name { value: 'bakers' } num_batch_threads { value: 2 }",
        &[],
    );
    let threads = format!("/proc/{}/task", house.server.id());
    let names: Vec<String> = std::fs::read_dir(threads)
        .expect("it runs")
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
        .collect();
    let bakers = names.iter().filter(|name| name.starts_with("bakers-"));
    assert_eq!(bakers.count(), 2, "{names:?}");
}

#[test]
fn the_adaptive_mode_answers_everybody() {
    let server = Server::with_model(
        "m",
        &path("batch_teller"),
        &[
            "--adaptive_batching",
            "--model_batching=m:latency_target_in_ms=50",
        ],
    );
    thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0..50 {
                    let x = (20 + client * 100 + number) as f32;
                    let body = row(&[x]).to_string();
                    let answer = connection.request("POST", PREDICT, &[], body.as_bytes());
                    let outputs = outputs(&answer.expect("an answer"));
                    assert_eq!(outputs["double"], json!([[f64::from(2.0 * x)]]));
                }
            });
        }
    });
}
