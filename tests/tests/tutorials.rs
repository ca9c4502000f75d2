//! TensorFlow Serving's tutorials and guides, followed with this binary in the place of
//! `tensorflow_model_server`: the flags that they give, the requests that they make.
//!
//! Ports are the system's choice: `--port=auto` after the tutorial's own flag, and the last wins.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::python::{output, program, run};
use tensorgate_tests::server::{Server, as_program, config};
use tensorgate_tests::{built, root};

const THREE: &str = r#"{"instances": [1.0, 2.0, 5.0]}"#;
const HALF_PLUS_TWO: &str = "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}";
const HALF_PLUS_THREE: &str = "{\n    \"predictions\": [3.5, 4.0, 5.5\n    ]\n}";

/// A directory with `tensorflow_model_server` in it, for the files of a tutorial too.
struct Tutorial(TempDir);

impl Tutorial {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("tensorflow_model_server");
        symlink(built("tensorgate"), link).expect("a link can be made");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.path().join(name);
        std::fs::write(&file, content).expect("it can be written");
        file
    }

    fn command(&self) -> Command {
        as_program(&self.path().join("tensorflow_model_server"))
    }

    /// The server with these flags. Its ports are open when the models have been loaded.
    fn serve(&self, flags: &[&str]) -> Server {
        Server::spawn(self.command().args(flags))
    }
}

/// A model that the examples' set-up has made.
fn example_model(name: &str) -> PathBuf {
    let path = root().join(".tensorgate/models").join(name);
    assert!(path.is_dir(), "{} is not there", path.display());
    path
}

/// A copy of a version, to put something beside it.
fn copy(version: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-R", "-L"])
        .args([version, to])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cp failed");
}

fn flag(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}

/// "Serving a TensorFlow Model": train, serve under the name `mnist`, ask over gRPC.
#[test]
fn serving_basic() {
    let tutorial = Tutorial::new();
    let server = tutorial.serve(&[
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=mnist",
        &flag("model_base_path", &example_model("digits_softmax")),
    ]);
    let client = root().join("examples/digits/grpc_client.py");
    let port = server.grpc_port().expect("a port");
    let said = output(
        program("python")
            .arg(client)
            .args(["--model=mnist", "--num_tests", "1000"])
            .arg(format!("--server=127.0.0.1:{port}")),
    );
    assert!(said.contains("Inference error rate: "), "{said}");
}

/// "TensorFlow Serving with Docker": the model's name in the environment and nothing else.
#[test]
fn docker() {
    let tutorial = Tutorial::new();
    let model = tutorial.path().join("half_plus_two");
    symlink(path("half_plus_two"), model).expect("a link can be made");
    let mut command = tutorial.command();
    command
        .env("MODEL_BASE_PATH", tutorial.path())
        .env("MODEL_NAME", "half_plus_two");
    let server = Server::spawn(&mut command);
    // The line that scripts wait for.
    server.wait_for_line("Exporting HTTP/REST API at:localhost:");
    let answer = server.post("/v1/models/half_plus_two:predict", THREE);
    assert_eq!((answer.status, answer.body.as_str()), (200, HALF_PLUS_TWO));
    run(&server, &["transport.Half"], &[]);
}

/// "RESTful API": status, metadata, predict and regress of half_plus_three.
#[test]
fn rest_api() {
    let tutorial = Tutorial::new();
    let base = BasePath::new();
    base.publish("123", 3);
    let server = tutorial.serve(&[
        "--rest_api_port=8501",
        "--model_name=half_plus_three",
        &flag("model_base_path", base.path()),
    ]);
    let status = server.get("/v1/models/half_plus_three");
    assert_eq!(
        status.body,
        "{\n \"model_version_status\": [\n  {\n   \"version\": \"123\",\n   \"state\": \
         \"AVAILABLE\",\n   \"status\": {\n    \"error_code\": \"OK\",\n    \"error_message\": \
         \"\"\n   }\n  }\n ]\n}\n"
    );
    let metadata = server.get("/v1/models/half_plus_three/metadata");
    assert!(
        metadata
            .body
            .contains("\"method_name\": \"tensorflow/serving/predict\"")
    );
    let answer = server.post("/v1/models/half_plus_three:predict", THREE);
    assert_eq!(answer.body, HALF_PLUS_THREE);
    let answer = server.post(
        "/v1/models/half_plus_three:regress",
        r#"{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]}"#,
    );
    assert_eq!(answer.body, "{\n    \"results\": [3.5, 4.0]\n}");
}

/// "Configuration": several models, both versions of one, labels, a canary and the way back.
#[test]
fn version_labels_and_canaries() {
    let tutorial = Tutorial::new();
    let (two, both) = (path("half_plus_two"), path("half_plus_version"));
    let policy = "model_version_policy { specific { versions: 2 versions: 3 } }";
    let labels = |stable: u8, canary: u8| {
        let more = format!(
            "{policy} version_labels {{ key: 'stable' value: {stable} }} \
             version_labels {{ key: 'canary' value: {canary} }}"
        );
        config(&[("first", &two, ""), ("second", &both, &more)])
    };
    let file = tutorial.write("models.config", &labels(2, 3));
    let server = tutorial.serve(&[
        "--port=8500",
        "--rest_api_port=8501",
        &flag("model_config_file", &file),
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models=true",
    ]);
    // The port is open as soon as a model answers, be it by another version than the label's.
    for version in ["2", "3"] {
        let _ = server.wait_for_state("second", version, "AVAILABLE");
    }
    let ask = |of: &str| server.post(&format!("/v1/models/{of}:predict"), THREE).body;
    assert_eq!(ask("first"), HALF_PLUS_TWO);
    assert_eq!(ask("second/labels/stable"), HALF_PLUS_TWO);
    assert_eq!(ask("second/labels/canary"), HALF_PLUS_THREE);
    assert_eq!(ask("second/versions/2"), HALF_PLUS_TWO);
    run(&server, &["predict.Labels"], &[]);
    // The canary has proved itself.
    tutorial.write("models.config", &labels(3, 3));
    server.wait_for_post("/v1/models/second/labels/stable:predict", THREE, |answer| {
        answer.body == HALF_PLUS_THREE
    });
    // And back.
    tutorial.write("models.config", &labels(2, 3));
    server.wait_for_post("/v1/models/second/labels/stable:predict", THREE, |answer| {
        answer.body == HALF_PLUS_TWO
    });
}

/// "Building Standard TensorFlow ModelServer": a new version appears while the server runs.
#[test]
fn a_new_version_while_it_runs() {
    let tutorial = Tutorial::new();
    let base = BasePath::with_half_plus_two("1");
    let server = tutorial.serve(&[
        "--enable_batching",
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=mnist",
        &flag("model_base_path", base.path()),
    ]);
    assert_eq!(
        server.post("/v1/models/mnist:predict", THREE).body,
        HALF_PLUS_TWO
    );
    base.publish("2", 3);
    server.wait_for_state("mnist", "2", "AVAILABLE");
    assert_eq!(
        server.post("/v1/models/mnist:predict", THREE).body,
        HALF_PLUS_THREE
    );
    server.wait_for_state("mnist", "1", "END");
}

/// "Configuration", batching: the guide's parameters are read, and answers are right.
#[test]
fn batching_parameters() {
    let tutorial = Tutorial::new();
    let file = tutorial.write(
        "batching.config",
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 0 }\n\
         max_enqueued_batches { value: 1000000 }\nnum_batch_threads { value: 8 }\n",
    );
    let server = tutorial.serve(&[
        "--port=8500",
        "--rest_api_port=8501",
        "--enable_batching=true",
        &flag("batching_parameters_file", &file),
        "--model_name=half_plus_two",
        &flag("model_base_path", &path("half_plus_two")),
    ]);
    let answer = server.post("/v1/models/half_plus_two:predict", THREE);
    assert_eq!(answer.body, HALF_PLUS_TWO);
}

/// "Configuration", monitoring: Prometheus at the path of the guide.
#[test]
fn monitoring() {
    let tutorial = Tutorial::new();
    let file = tutorial.write(
        "monitoring.config",
        "prometheus_config {\n  enable: true,\n  path: \"/monitoring/prometheus/metrics\"\n}\n",
    );
    let server = tutorial.serve(&[
        "--rest_api_port=8501",
        "--model_name=half_plus_two",
        &flag("model_base_path", &path("half_plus_two")),
        &flag("monitoring_config_file", &file),
    ]);
    assert_eq!(
        server
            .post("/v1/models/half_plus_two:predict", THREE)
            .status,
        200
    );
    let wanted =
        ":tensorflow:serving:request_count{model_name=\"half_plus_two\",status=\"OK\"} 1\n";
    server.wait_for("/monitoring/prometheus/metrics", |answer| {
        answer.status == 200 && answer.body.contains(wanted)
    });
}

/// "SavedModel Warmup": requests that Python has written are run before the model is there.
#[test]
fn saved_model_warmup() {
    let tutorial = Tutorial::new();
    let base = tutorial.path().join("half_plus_two");
    std::fs::create_dir(&base).expect("a directory can be made");
    let version = base.join("1");
    copy(&path("half_plus_two").join("00000123"), &version);
    output(
        program("python")
            .arg(root().join("tests/python/warmup.py"))
            .arg(&version)
            .arg("3"),
    );
    let server = tutorial.serve(&[
        "--rest_api_port=8501",
        "--model_name=half_plus_two",
        &flag("model_base_path", &base),
    ]);
    let line = server.wait_for_line("Finished reading warmup data for model at ");
    assert!(line.contains("Number of warmup records read: 3."), "{line}");
    server.wait_for_line("Successfully loaded servable version {name: half_plus_two version: 1}");
}

/// "SignatureDefs in SavedModel": `saved_model_cli` and the server say the same.
#[test]
fn saved_model_cli() {
    let tutorial = Tutorial::new();
    let version = path("half_plus_two").join("00000123");
    let shown = output(
        program("saved_model_cli")
            .args(["show", "--tag_set=serve", "--dir"])
            .arg(&version),
    );
    let ran = output(
        program("saved_model_cli")
            .args(["run", "--tag_set=serve", "--signature_def=serving_default"])
            .args(["--input_exprs", "x=[[1.0], [2.0], [5.0]]", "--dir"])
            .arg(&version),
    );
    let server = tutorial.serve(&[
        "--rest_api_port=8501",
        "--saved_model_tags=serve",
        "--model_name=half_plus_two",
        &flag("model_base_path", &path("half_plus_two")),
    ]);
    let metadata = server.get("/v1/models/half_plus_two/metadata").body;
    let mut signatures = 0;
    for line in shown.lines() {
        if let Some((_, name)) = line.split_once("SignatureDef key: ") {
            assert!(metadata.contains(name), "{name}: {metadata}");
            signatures += 1;
        }
    }
    assert_eq!(signatures, 6, "{shown}");
    assert!(ran.contains("[[2.5]\n [3. ]\n [4.5]]"), "{ran}");
    let answer = server.post("/v1/models/half_plus_two:predict", THREE);
    assert_eq!(answer.body, HALF_PLUS_TWO);
}

/// "TensorFlow Lite": with the flag, a version's `model.tflite` is served in the place of its
/// SavedModel.
#[test]
fn tensorflow_lite() {
    const ROW: &str = r#"{"instances": [[1.0, 2.0, 3.0]]}"#;
    let tutorial = Tutorial::new();
    let base = flag("model_base_path", &path("lite_beside_saved_model"));
    for (more, y) in [
        ("--prefer_tflite_model=true", "20.5"),
        ("--prefer_tflite_model=false", "10.5"),
    ] {
        let server = tutorial.serve(&["--rest_api_port=8501", "--model_name=m", &base, more]);
        let answer = server.post("/v1/models/m:predict", ROW);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains(y), "{more}: {}", answer.body);
    }
}

/// "Profile Inference Requests with TensorBoard": a trace through the gRPC port.
#[test]
fn profiling() {
    let tutorial = Tutorial::new();
    let server = tutorial.serve(&[
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=half_plus_two",
        &flag("model_base_path", &path("half_plus_two")),
    ]);
    server.wait_for_line("Profiler service is enabled");
    run(&server, &["profiling.Profile"], &[]);
}

/// Names and defaults of the flags in one of the tables of docs/configuration.md.
fn flags_of_the_page(table: &str) -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).expect("it is there");
    let (start, end) = (
        format!("<!-- {table} -->"),
        format!("<!-- end of {table} -->"),
    );
    let (_, rest) = page.split_once(&start).expect("it has the table");
    let (table, _) = rest.split_once(&end).expect("the table has an end");
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
            let name = cells.nth(1).unwrap_or_default().to_owned();
            (name, cells.nth(1).unwrap_or_default().to_owned())
        })
        .collect()
}

/// All 48 flags at once, and a warning for each that does nothing.
#[test]
fn every_flag_is_accepted_and_says_when_it_does_nothing() {
    let idle = flags_of_the_page("later");
    let mut all = flags_of_the_page("serving");
    all.extend(idle.clone());
    assert_eq!(all.len(), 48);
    let tutorial = Tutorial::new();
    // Who asks for what there is anyway is not warned.
    let empty = tutorial.write("empty.config", "").display().to_string();
    let other = |default: &str| match default {
        "false" => "true".to_owned(),
        "true" => "false".to_owned(),
        _ => empty.clone(),
    };
    let mut flags: Vec<String> = all
        .iter()
        .map(
            |(name, default)| match idle.iter().any(|(idle, _)| idle == name) {
                true => format!("--{name}={}", other(default)),
                false => format!("--{name}={default}"),
            },
        )
        .collect();
    flags.push("--rest_api_port=8501".to_owned());
    flags.push("--model_name=m".to_owned());
    flags.push(flag("model_base_path", &path("half_plus_two")));
    let server = Server::spawn(tutorial.command().args(&flags));
    assert_eq!(server.post("/v1/models/m:predict", THREE).status, 200);
    for (name, _) in &idle {
        server.wait_for_line(&format!("--{name} has no effect"));
    }
}
