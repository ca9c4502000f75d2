//! Warm-up of the real server with the real TensorFlow, from files that TensorFlow and the
//! original's own messages wrote.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;
use tensorgate_tests::models::BasePath;
use tensorgate_tests::python;
use tensorgate_tests::server::Server;

const PAGE: &str = "/monitoring/prometheus/metrics";

/// Writes one file for each case into a directory.
const SCRIPT: &str = r#"
import sys
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, regression_pb2

def write(name, logs):
    with tf.io.TFRecordWriter(f"{sys.argv[1]}/{name}") as writer:
        for log in logs:
            writer.write(log if isinstance(log, bytes) else log.SerializeToString())

def examples():
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example]))

def predict(name="other", value=1.0, signature=""):
    request = predict_pb2.PredictRequest()
    if name:
        request.model_spec.name = name
        request.model_spec.version_label = "gone"
        request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[value]], dtype=tf.float32))
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    return log

def four_kinds():
    log = prediction_log_pb2.PredictionLog
    spec = {"name": "m", "signature_name": "classify_x_to_y"}
    classify = classification_pb2.ClassificationRequest(model_spec=spec, input=examples())
    spec = {"name": "m", "signature_name": "regress_x_to_y"}
    regress = regression_pb2.RegressionRequest(model_spec=spec, input=examples())
    task = inference_pb2.InferenceTask(model_spec=spec, method_name="tensorflow/serving/regress")
    multi = inference_pb2.MultiInferenceRequest(tasks=[task], input=examples())
    return [
        predict(),
        log(classify_log={"request": classify}),
        log(regress_log={"request": regress}),
        log(multi_inference_log={"request": multi}),
        log(),
    ]

session_run = prediction_log_pb2.PredictionLog()
session_run.session_run_log.request.model_spec.name = "m"
streamed = prediction_log_pb2.PredictionLog()
streamed.predict_streamed_log.request.add()

write("four_kinds", four_kinds())
write("nameless", [predict(name="")])
write("failing", [predict(), predict(signature="no_such")])
write("thousand", [predict()] * 1000)
write("too_many", [prediction_log_pb2.PredictionLog()] * 1001)
write("no_message", [b"\x0f no message"])
write("session_run", [session_run])
write("streamed", [streamed])
write("corrupt", [predict()])
with open(f"{sys.argv[1]}/corrupt", "r+b") as file:
    file.seek(20)
    file.write(b"\xff\xff")
with open(f"{sys.argv[1]}/no_records", "wb") as file:
    file.write(b"this is no TFRecord file at all")
"#;

static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let mut writer = python::program("python");
    python::output(writer.args(["-c", SCRIPT]).arg(directory.path()));
    directory
});

/// In the place of a file.
const PIPE: &str = "pipe";

/// Publishes version 2 or 3 of the model with warm-up requests. Appears at once, whole.
fn publish(base: &BasePath, version: u8, requests: &str) -> PathBuf {
    base.publish_with(version, |extra| {
        let to = extra.join("tf_serving_warmup_requests");
        if requests == PIPE {
            let made = Command::new("mkfifo").arg(to).status();
            assert!(made.expect("mkfifo is there").success());
        } else {
            std::fs::copy(FILES.path().join(requests), to).expect("it can be copied");
        }
    })
}

fn serve(base: &Path, flags: &[&str]) -> Server {
    let mut all = vec!["--max_num_load_retries=0"];
    all.extend(flags);
    Server::with_model("m", base, &all)
}

fn value(page: &str, sample: &str) -> Option<u64> {
    page.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .and_then(|value| value.parse().ok())
}

#[test]
fn every_kind_of_request_is_answered_before_the_version_is_available() {
    let base = BasePath::new();
    let version = publish(&base, 2, "four_kinds");
    let server = serve(base.path(), &["--num_request_iterations_for_warmup=3"]);
    let file = version.join("assets.extra/tf_serving_warmup_requests");
    let log = server.log();
    let at = |words: &str| {
        log.find(words)
            .unwrap_or_else(|| panic!("no {words:?} in\n{log}"))
    };
    let starts = at(&format!(
        "Starting to read warmup data for model at {} with model-warmup-options ",
        file.display()
    ));
    let ends = at(&format!(
        "Finished reading warmup data for model at {}. Number of warmup records read: 5. Elapsed \
         time (microseconds): ",
        file.display()
    ));
    let available = at("Successfully loaded servable version {name: m version: 2}");
    assert!(starts < ends && ends < available, "{log}");

    let page = server.get(PAGE).body;
    let directory = version.display();
    for (sample, expected) in [
        (":tensorflow:core:graph_runs{}".to_owned(), 12),
        (
            format!(
                ":tensorflow:serving:model_warmup_latency_count{{model_path=\"{directory}\",\
                 status=\"OK\"}}"
            ),
            1,
        ),
        (
            format!(
                ":tensorflow:serving:model_warmup_records_read{{model_path=\"{directory}\",\
                 status=\"OK\"}}"
            ),
            5,
        ),
        (
            ":tensorflow:serving:runtime_latency_count\
             {model_name=\"m\",API=\"Predict\",runtime=\"TF1\"}"
                .to_owned(),
            3,
        ),
        (
            ":tensorflow:serving:request_example_count_total{model=\"m\"}".to_owned(),
            3,
        ),
    ] {
        assert_eq!(value(&page, &sample), Some(expected), "{sample} in\n{page}");
    }
    let requests = ":tensorflow:serving:request_count{";
    assert!(!page.contains(requests), "a warm-up is no request:\n{page}");
}

#[test]
fn every_worker_is_warmed_up() {
    let base = BasePath::new();
    publish(&base, 2, "four_kinds");
    let server = serve(base.path(), &["--workers=cpu,cpu"]);
    let page = server.get(PAGE).body;
    for worker in 0..2 {
        let sample = format!("tensorgate_worker_runs_total{{worker=\"{worker}\",device=\"cpu\"}}");
        assert_eq!(value(&page, &sample), Some(4), "{page}");
    }
}

#[test]
fn a_record_need_not_name_a_model_and_a_thousand_are_allowed() {
    let base = BasePath::new();
    publish(&base, 2, "nameless");
    let server = serve(base.path(), &[]);
    server.wait_for_state("m", "2", "AVAILABLE");
    publish(&base, 3, "thousand");
    server.wait_for_state("m", "3", "AVAILABLE");
    server.wait_for_line("Number of warmup records read: 1000. ");
}

#[test]
fn what_cannot_be_answered_fails_the_load_and_says_why() {
    let cases = [
        (
            "failing",
            "Serving signature key \\\"no_such\\\" not found.",
        ),
        (
            "too_many",
            "Number of warmup records exceeds the maximum (1000) at ",
        ),
        ("no_message", "Failed to parse warmup record: "),
        ("session_run", "Unsupported log_type for warmup: 5"),
        ("streamed", "Unsupported log_type for warmup: 7"),
        (
            "corrupt",
            "corrupted record at 0. Please verify your warmup data is in TFRecord format.",
        ),
        (
            "no_records",
            "corrupted record at 0. Please verify your warmup data is in TFRecord format.",
        ),
        (PIPE, ": expected a TFRecord file, found a pipe"),
    ];
    // Version 2 of each is good, and goes on when version 3 cannot be loaded.
    let bases = cases.map(|(requests, _)| {
        let base = BasePath::with_half_plus_two("2");
        publish(&base, 3, requests);
        base
    });
    let all = "model_version_policy { all {} }";
    let models: Vec<(&str, &Path, &str)> = cases
        .iter()
        .zip(&bases)
        .map(|((requests, _), base)| (*requests, base.path(), all))
        .collect();
    let server = Server::with_models(&models, &["--max_num_load_retries=0"]);
    for (model, words) in cases {
        let status = format!("/v1/models/{model}/versions/3");
        let answer = server.wait_for(&status, |answer| answer.body.contains("\"END\""));
        assert!(answer.body.contains(words), "{model}: {}", answer.body);
        server.wait_for_state(model, "2", "AVAILABLE");
        let body = r#"{"instances": [0.0]}"#;
        let other = server.post(&format!("/v1/models/{model}:predict"), body);
        assert_eq!(other.status, 200, "{model}: version 2 goes on");
    }
    server.wait_for_line("warm-up record 2 at ");
}

#[test]
fn an_operator_can_do_without() {
    let base = BasePath::new();
    publish(&base, 2, "no_records");
    let server = serve(base.path(), &["--enable_model_warmup=false"]);
    server.wait_for_state("m", "2", "AVAILABLE");
    assert!(!server.log().contains("warmup data"), "{}", server.log());
}

#[test]
fn a_version_without_requests_says_so() {
    let base = BasePath::with_half_plus_two("2");
    let server = serve(base.path(), &[]);
    let file = base
        .path()
        .join("2/assets.extra/tf_serving_warmup_requests");
    server.wait_for_line(&format!("No warmup data file found at {}", file.display()));
}
