//! The page for Prometheus of the real server: names, labels and values of the original's metrics
//! after real requests, and ours beside them.

use std::os::unix::fs::symlink;

use tensorgate_tests::built;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::{Server, as_program};

const PAGE: &str = "/monitoring/prometheus/metrics";

const BODY: &str = r#"{"instances": [0.0, 1.0]}"#;

/// The value of the sample with this name and these labels, as they are printed.
fn value(page: &str, sample: &str) -> Option<u64> {
    page.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .map(|value| value.parse().expect("a value is a whole number"))
}

/// Asserts that each sample has its value, and shows the page when one has not.
fn assert_values(page: &str, expected: &[(&str, u64)]) {
    for (sample, number) in expected {
        assert_eq!(value(page, sample), Some(*number), "{sample} in\n{page}");
    }
}

fn serving_half_plus_two(flags: &[&str]) -> Server {
    Server::with_model("half", &path("half_plus_version"), flags)
}

#[test]
fn requests_are_counted_under_the_names_of_the_original() {
    let server = serving_half_plus_two(&[]);
    for _time in 0..3 {
        assert_eq!(server.post("/v1/models/half:predict", BODY).status, 200);
    }
    assert_eq!(server.post("/v1/models/half:predict", "{").status, 400);
    assert_eq!(server.get("/v1/models/half").status, 200);
    assert_eq!(server.get("/v1/models/half/metadata").status, 200);
    let answer = server.get(PAGE);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let page = answer.body;
    assert!(page.ends_with('\n'));
    assert_values(
        &page,
        &[
            (
                ":tensorflow:serving:request_count{model_name=\"half\",status=\"OK\"}",
                5,
            ),
            (
                ":tensorflow:serving:request_count{model_name=\"half\",status=\"INVALID_ARGUMENT\"}",
                1,
            ),
            (
                ":tensorflow:serving:request_latency_count\
                 {model_name=\"half\",API=\"predict\",entrypoint=\"REST\"}",
                3,
            ),
            (
                ":tensorflow:serving:request_latency_bucket\
                 {model_name=\"half\",API=\"predict\",entrypoint=\"REST\",le=\"+Inf\"}",
                3,
            ),
            (
                ":tensorflow:serving:request_latency_count\
                 {model_name=\"half\",API=\"\",entrypoint=\"REST\"}",
                2,
            ),
            (
                ":tensorflow:serving:runtime_latency_count\
                 {model_name=\"half\",API=\"Predict\",runtime=\"TF1\"}",
                3,
            ),
            (":tensorflow:core:graph_runs{}", 3),
            (":tensorflow:core:graph_run_time_usecs_histogram_count{}", 3),
            (":tensorflow:core:graph_run_input_tensor_bytes_sum{}", 24),
            (":tensorflow:core:graph_run_output_tensor_bytes_sum{}", 24),
        ],
    );
    let base = path("half_plus_version");
    let attempts = format!(
        ":tensorflow:cc:saved_model:load_attempt_count\
         {{model_path=\"{}/3\",status=\"success\"}}",
        base.display()
    );
    assert_values(&page, &[(&attempts, 1)]);
    let latency = format!(
        ":tensorflow:cc:saved_model:load_latency{{model_path=\"{}/3\"}}",
        base.display()
    );
    assert!(
        value(&page, &latency).is_some_and(|micros| micros > 0),
        "{page}"
    );
    assert!(page.contains("# TYPE :tensorflow:serving:request_latency histogram\n"));
    assert!(page.contains("# TYPE :tensorflow:serving:request_example_count_total counter\n"));
    assert!(!page.contains("# HELP :"), "the original's have no help");
}

#[test]
fn limits_of_buckets_are_the_originals() {
    let server = serving_half_plus_two(&[]);
    assert_eq!(server.post("/v1/models/half:predict", BODY).status, 200);
    let page = server.get(PAGE).body;
    let limits = |name: &str| -> Vec<String> {
        let mark = format!("{name}_bucket{{");
        page.lines()
            .filter(|line| line.starts_with(&mark))
            .filter_map(|line| Some(line.split_once("le=\"")?.1.split_once('"')?.0.to_owned()))
            .collect()
    };
    let latency = limits(":tensorflow:serving:runtime_latency");
    assert_eq!(latency.len(), 34);
    assert_eq!(
        latency[..6],
        ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    );
    assert_eq!(latency[32..], ["1.47476e+09", "+Inf"]);
    let runs = limits(":tensorflow:core:graph_run_time_usecs_histogram");
    assert_eq!(runs[9..12], ["512000", "1.024e+06", "2.048e+06"]);
    assert_eq!(runs.len(), 21);
}

#[test]
fn names_that_clients_invent_are_no_labels() {
    let server = serving_half_plus_two(&[]);
    for number in 0..5 {
        let answer = server.post(&format!("/v1/models/invented{number}:predict"), BODY);
        assert_eq!(answer.status, 404);
    }
    assert_eq!(server.get("/v1/nonsense").status, 400);
    let page = server.get(PAGE).body;
    assert!(!page.contains("invented"), "{page}");
    assert_values(
        &page,
        &[
            (
                ":tensorflow:serving:request_count{model_name=\"\",status=\"NOT_FOUND\"}",
                5,
            ),
            (
                ":tensorflow:serving:request_count{model_name=\"\",status=\"INVALID_ARGUMENT\"}",
                1,
            ),
        ],
    );
}

#[test]
fn ours_have_legal_names_and_help() {
    let server = serving_half_plus_two(&["--sandbox_slots=7", "--run_threads=3"]);
    assert_eq!(server.post("/v1/models/half:predict", BODY).status, 200);
    // The run thread is free an instant after the answer.
    let is_idle = |page: &str| value(page, "tensorgate_run_threads_booked{}") == Some(0);
    let page = server.wait_for(PAGE, |answer| is_idle(&answer.body)).body;
    assert_values(
        &page,
        &[
            (
                "tensorgate_requests_total{model_name=\"half\",version=\"3\",api=\"predict\",\
                 entrypoint=\"REST\",status=\"OK\"}",
                1,
            ),
            ("tensorgate_requests_in_flight{}", 0),
            ("tensorgate_sandbox_slots{}", 7),
            ("tensorgate_sandbox_slots_used{}", 0),
            ("tensorgate_sandbox_waiting{}", 0),
            ("tensorgate_sandbox_instances_total{}", 1),
            ("tensorgate_sandbox_traps_total{}", 0),
            // The request came by REST, where nothing goes past the component.
            ("tensorgate_message_copied_bytes_total{}", 0),
            ("tensorgate_sandbox_out_of_time_total{}", 0),
            ("tensorgate_sandbox_refused_total{reason=\"full\"}", 0),
            ("tensorgate_run_threads{}", 3),
            ("tensorgate_run_threads_booked{}", 0),
            ("tensorgate_run_queue_depth{}", 0),
            ("tensorgate_runs_total{}", 1),
            (
                "tensorgate_model_versions{model_name=\"half\",state=\"AVAILABLE\"}",
                1,
            ),
            (
                "tensorgate_model_versions{model_name=\"half\",state=\"END\"}",
                0,
            ),
            ("tensorgate_buffered_bytes_limit{}", 1 << 30),
        ],
    );
    let copied = |way: &str| {
        let sample = format!("tensorgate_sandbox_copied_bytes_total{{direction=\"{way}\"}}");
        value(&page, &sample).unwrap_or_default()
    };
    assert!(copied("in") > 0 && copied("out") > 0, "{page}");
    for line in page
        .lines()
        .filter(|line| line.starts_with("# TYPE tensorgate_"))
    {
        let name = line.split(' ').nth(2).unwrap_or_default();
        assert!(page.contains(&format!("# HELP {name} ")), "{line}");
    }
}

#[test]
fn a_load_that_fails_is_counted_as_one() {
    let base = BasePath::with_half_plus_two("1");
    base.publish_corrupt("2");
    let server = Server::with_model("m", base.path(), &["--max_num_load_retries=0"]);
    let failed = format!(
        ":tensorflow:cc:saved_model:load_attempt_count{{model_path=\"{}/2\",status=\"fail\"}} 1",
        base.path().display()
    );
    server.wait_for(PAGE, |answer| answer.body.contains(&failed));
}

#[test]
fn a_trap_is_counted_though_the_component_could_not_report_it() {
    let traps = tensorgate_tests::program("traps");
    let component = format!("--gateway_component={}", traps.display());
    let server = serving_half_plus_two(&[&component]);
    assert_eq!(server.get("/v1/panic").status, 500);
    let page = server.get(PAGE).body;
    assert_values(
        &page,
        &[
            ("tensorgate_sandbox_traps_total{}", 1),
            (
                ":tensorflow:serving:request_count{model_name=\"\",status=\"INTERNAL\"}",
                1,
            ),
        ],
    );
}

#[test]
fn a_file_says_whether_there_is_a_page_and_where() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let flag = format!("--monitoring_config_file={}", file.path().display());
    let write = |text: &str| std::fs::write(file.path(), text).expect("it can be written");

    write("prometheus_config { enable: true path: '/custom/metrics' }");
    let server = serving_half_plus_two(&[&flag]);
    assert_eq!(server.get("/custom/metrics").status, 200);
    assert_eq!(server.post("/custom/metrics", "").status, 200);
    assert_eq!(server.get(PAGE).status, 404);
    let answer = server.get("/custom/metrics?name=x");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        "Unexpected path: /custom/metrics?name=x. Should be /custom/metrics"
    );

    write("prometheus_config { enable: false }");
    let server = serving_half_plus_two(&[&flag]);
    assert_eq!(server.get(PAGE).status, 404);
}

#[test]
fn under_the_original_name_only_a_file_asks_for_the_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("tensorflow_model_server");
    symlink(built("tensorgate"), &link).expect("a link can be made");
    let file = directory.path().join("monitoring.config");
    std::fs::write(&file, "prometheus_config: { enable: true }").expect("it can be written");
    let model = format!("--model_base_path={}", path("half_plus_version").display());
    let monitoring = format!("--monitoring_config_file={}", file.display());

    let without = Server::spawn(as_program(&link).arg(&model));
    assert_eq!(without.get(PAGE).status, 404);
    let with = Server::spawn(as_program(&link).args([&model, &monitoring]));
    assert_eq!(with.get(PAGE).status, 200);

    std::fs::write(&file, "prometheus: {}").expect("it can be written");
    let mut command = as_program(&link);
    let broken = command.args([&model, &monitoring, "--port=auto", "--rest_api_port=auto"]);
    let output = broken.output().expect("it can be run");
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!(
        "Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file: '{}'",
        file.display()
    );
    assert!(said.contains(&expected), "{said}");
}
