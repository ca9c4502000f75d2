//! Command lines, the two manners of starting, and the end.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use tensorgate_tests::built;
use tensorgate_tests::http::Connection;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::{Server, as_program, config, output, tensorgate};

/// The binary under the original's name.
struct ModelServer {
    _directory: TempDir,
    link: PathBuf,
}

impl ModelServer {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("tensorflow_model_server");
        symlink(built("tensorgate"), &link).expect("a link can be made");
        Self {
            _directory: directory,
            link,
        }
    }

    fn command(&self) -> Command {
        as_program(&self.link)
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const BODY: &str = r#"{"instances": [0.0]}"#;

#[test]
fn mistakes_on_the_command_line_are_refused_by_name() {
    for (arguments, code, words) in [
        (
            &["serve", "--modle_name=m"][..],
            2,
            "did you mean --model_name?",
        ),
        (
            &["serve", "--rest-api-port=1"],
            2,
            "did you mean --rest_api_port?",
        ),
        (&["serve", "stray"], 2, "unknown argument: stray"),
        (
            &["serve", "--port=many"],
            2,
            "Couldn't interpret value many for flag port.",
        ),
        (
            &["serve", "--enable_batching=maybe"],
            2,
            "Couldn't interpret value maybe",
        ),
        (
            &["serve", "--rest_api_timeout_in_ms"],
            2,
            "--rest_api_timeout_in_ms needs a value: --rest_api_timeout_in_ms=<int32>",
        ),
        (
            &["serve", "--workers=cpu,"],
            2,
            "Couldn't interpret value cpu, for flag workers. Expected: list of cpu or gpu:N.",
        ),
        (&["help", "sevre"], 2, "no command is called sevre"),
        (&["sevre"], 2, "no command is called sevre"),
        (
            &["serve", "--run_threads=1000000"],
            2,
            "Couldn't interpret value 1000000 for flag run_threads. Expected: number up to 4096.",
        ),
        (
            &["serve", "--num_unload_threads=2147483647"],
            2,
            "value 2147483647 for flag num_unload_threads. Expected: number up to 4096.",
        ),
        (
            &["version", "--libtensroflow=/x"],
            2,
            "`tensorgate version` takes --libtensorflow",
        ),
        (
            &["--port=8500"],
            2,
            "did you mean `tensorgate serve --port=8500`?",
        ),
    ] {
        let output = output(tensorgate().args(arguments));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(
            stderr(&output).contains(words),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_server_that_cannot_start_says_so_as_the_original_does() {
    let bad = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(bad.path(), "model_config_lisp {}").expect("it can be written");
    let bad = bad.path().display();
    for (flags, words) in [
        (
            vec![],
            "INVALID_ARGUMENT: Both server_options.model_base_path and \
             server_options.model_config_file are empty!"
                .to_owned(),
        ),
        (
            vec!["--model_base_path=relative".to_owned()],
            "INVALID_ARGUMENT: Expected model default to have an absolute path or URI; got \
             base_path()=relative"
                .to_owned(),
        ),
        (
            vec![format!("--model_config_file={bad}")],
            format!("INVALID_ARGUMENT: Invalid protobuf file: '{bad}'"),
        ),
        (
            vec![
                "--model_base_path=/m".to_owned(),
                format!("--batching_parameters_file={bad}"),
            ],
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting \
             server_options.enable_batching to true."
                .to_owned(),
        ),
        (
            vec![
                "--model_base_path=/m".to_owned(),
                "--enable_batching".to_owned(),
                format!("--batching_parameters_file={bad}"),
            ],
            format!("INVALID_ARGUMENT: Invalid protobuf file: '{bad}'"),
        ),
        (
            vec![
                "--model_base_path=/m".to_owned(),
                "--gateway_component=/not/there".to_owned(),
                "--port=0".to_owned(),
                "--rest_api_port=auto".to_owned(),
            ],
            "INVALID_ARGUMENT: cannot read the gateway component /not/there: ".to_owned(),
        ),
        (
            vec![
                "--model_base_path=/m".to_owned(),
                "--libtensorflow=/not/there".to_owned(),
                "--port=0".to_owned(),
                "--rest_api_port=auto".to_owned(),
            ],
            "FAILED_PRECONDITION: libtensorflow was not found.".to_owned(),
        ),
    ] {
        let output = output(tensorgate().arg("serve").args(&flags));
        assert_eq!(output.status.code(), Some(255), "{flags:?}");
        let expected = format!("Failed to start server. Error: {words}");
        assert!(
            stdout(&output).contains(&expected),
            "{flags:?}: {}",
            stdout(&output)
        );
    }
    let output = output(
        tensorgate()
            .arg("serve")
            .arg(format!("--model_config_file={bad}")),
    );
    let line = "Error parsing text-format tensorflow.serving.ModelServerConfig: ";
    assert!(stderr(&output).contains(line), "{}", stderr(&output));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let output = output(tensorgate().args([
        "serve",
        "--model_base_path=/m",
        "--port=0",
        "--bind_address=127.0.0.1",
        &format!("--rest_api_port={port}"),
    ]));
    assert_eq!(output.status.code(), Some(255));
    let expected = format!("UNAVAILABLE: Failed to start HTTP Server at localhost:{port}: ");
    assert!(stdout(&output).contains(&expected), "{}", stdout(&output));
}

#[test]
fn help_and_versions_are_printed() {
    let help = output(tensorgate().args(["serve", "--help"]));
    assert_eq!(help.status.code(), Some(0));
    for words in [
        "--model_base_path=",
        "--gateway_component=",
        "--enable_profiler=",
        "  flush_filesystem_caches\n",
    ] {
        assert!(stdout(&help).contains(words), "{words}");
    }
    let version = output(tensorgate().arg("--version"));
    assert!(
        stdout(&version).starts_with("tensorgate 0."),
        "{}",
        stdout(&version)
    );
    let help = output(tensorgate().args(["help", "version"]));
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    assert!(text.starts_with("usage: tensorgate version ["), "{text}");
    let version = output(tensorgate().args(["version", "--libtensorflow=/not/there"]));
    let text = stdout(&version);
    assert!(text.contains("\nTensorFlow Library: "), "{text}");
    assert!(text.contains("/not/there"), "{text}");
    let model_server = ModelServer::new();
    let version = output(model_server.command().arg("--version"));
    assert_eq!(version.status.code(), Some(0));
    let text = stdout(&version);
    assert!(text.starts_with("TensorFlow ModelServer: 0."), "{text}");
    assert!(text.contains("\nTensorFlow Library: 2."), "{text}");
    let usage = output(model_server.command().arg("--help"));
    assert_eq!(usage.status.code(), Some(255));
    assert!(stdout(&usage).starts_with("usage: "), "{}", stdout(&usage));
}

#[test]
fn the_original_passes_over_what_it_does_not_know() {
    let model_server = ModelServer::new();
    let output = output(
        model_server
            .command()
            .args(["--nonsense=1", "--model_name=m"]),
    );
    assert_eq!(output.status.code(), Some(255));
    let text = stdout(&output);
    assert!(
        text.starts_with("unknown argument: --nonsense=1\nusage: "),
        "{text}"
    );
    assert!(
        text.contains("\nFailed to start server. Error: INVALID_ARGUMENT: Both "),
        "{text}"
    );
    for (flag, words) in [
        ("--port=x", "Couldn't interpret value x for flag port.\n"),
        (
            "--rest_api_timeout_in_ms",
            "--rest_api_timeout_in_ms needs a value: --rest_api_timeout_in_ms=<int32>\n",
        ),
    ] {
        let bad = self::output(model_server.command().arg(flag));
        assert_eq!(bad.status.code(), Some(255));
        assert!(stdout(&bad).starts_with("usage: "), "{}", stdout(&bad));
        assert_eq!(stderr(&bad), words);
    }
}

#[test]
fn flags_without_an_effect_are_named_in_the_log() {
    let server = Server::with_model(
        "m",
        &path("half_plus_two"),
        &["--flush_filesystem_caches=false", "--skip_initialize_tpu"],
    );
    server.wait_for_line("--flush_filesystem_caches has no effect yet");
    server.wait_for_line("--skip_initialize_tpu has no effect yet");
    assert!(!server.log().contains("--model_name has no effect"));
}

#[test]
fn our_manner_answers_503_for_what_is_not_there_yet() {
    let empty = BasePath::new();
    let server = Server::start([
        "--model_name=m".to_owned(),
        format!("--model_base_path={}", empty.path().display()),
        "--log_filter=info".to_owned(),
    ]);
    // The port is open; whoever asks before the component is there hears so.
    assert_eq!(server.get("/health/live").status, 200);
    server.wait_for_line("Ready in ");
    assert_eq!(server.get("/health/ready").status, 200);
    assert_eq!(server.post("/v1/models/m:predict", BODY).status, 404);
    empty.publish("1", 2);
    server.wait_for_state("m", "1", "AVAILABLE");
    assert_eq!(server.post("/v1/models/m:predict", BODY).status, 200);
}

#[test]
fn the_original_s_manner_opens_ports_when_models_answer() {
    let model_server = ModelServer::new();
    let (good, broken) = (BasePath::with_half_plus_two("1"), BasePath::new());
    broken.publish_corrupt("1");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let missing = broken.path().join("missing");
    let models = [
        ("good", good.path(), ""),
        ("broken", broken.path(), ""),
        ("missing", missing.as_path(), ""),
    ];
    std::fs::write(file.path(), config(&models)).expect("it can be written");
    let server = Server::spawn(
        model_server
            .command()
            .arg(format!("--model_config_file={}", file.path().display()))
            .arg("--max_num_load_retries=0"),
    );
    // The first request that can be sent is answered.
    assert_eq!(server.post("/v1/models/good:predict", BODY).status, 200);
    assert_eq!(server.post("/v1/models/broken:predict", BODY).status, 404);
    let log = server.log();
    let at = |words: &str| {
        log.find(words)
            .unwrap_or_else(|| panic!("{words} in {log}"))
    };
    assert!(at("Successfully loaded servable version {name: good") < at("Running gRPC"));
    assert!(at("Running gRPC ModelServer at") < at("Exporting HTTP/REST API at:localhost:"));
}

#[test]
fn the_original_s_manner_ends_when_a_model_is_broken_if_that_is_wanted() {
    let model_server = ModelServer::new();
    let broken = BasePath::new();
    broken.publish_corrupt("1");
    let output = output(
        model_server
            .command()
            .arg(format!("--model_base_path={}", broken.path().display()))
            .args([
                "--exit_on_failed_start",
                "--max_num_load_retries=0",
                "--port=auto",
                "--rest_api_port=auto",
            ]),
    );
    assert_eq!(output.status.code(), Some(255));
    let expected = "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become \
                    available: {{{name: default version: 1} due to error: ";
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
}

#[test]
fn a_failed_first_attempt_ends_the_wait_and_not_the_server() {
    let model_server = ModelServer::new();
    let broken = BasePath::new();
    broken.publish_corrupt("1");
    // With the defaults there are five more attempts, a minute apart.
    let server = Server::spawn(
        model_server
            .command()
            .arg(format!("--model_base_path={}", broken.path().display())),
    );
    server.wait_for_line(
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: \
         {{{name: default version: 1} due to error: ",
    );
    assert_eq!(server.get("/health/live").status, 200);
    assert_eq!(server.get("/health/ready").status, 200);
    let status = server.get("/v1/models/default").body;
    let status: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
    let version = &status["model_version_status"][0];
    assert_eq!(version["state"], "LOADING", "{status}");
    assert_ne!(version["status"]["error_code"], "OK", "{status}");
    assert_ne!(version["status"]["error_message"], "", "{status}");
    let answer = server.post("/v1/models/default:predict", BODY);
    assert_eq!(answer.status, 503, "{}", answer.body);
}

#[test]
fn readiness_tells_which_models_have_failed_and_is_not_held_up_by_them() {
    let (good, broken) = (BasePath::with_half_plus_two("1"), BasePath::new());
    broken.publish_corrupt("7");
    let missing = broken.path().join("missing");
    // With the defaults there are five more attempts, a minute apart.
    let server = Server::with_models(
        &[
            ("good", good.path(), ""),
            ("broken", broken.path(), ""),
            ("missing", missing.as_path(), ""),
        ],
        &[],
    );
    for path in ["/health/ready", "/v1/health/ready"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let report: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
        assert_eq!(report["ready"], true);
        assert_eq!(report["waiting"], serde_json::json!([]));
        let failed = report["failed"].as_array().expect("a list");
        assert_eq!(failed.len(), 2, "{report}");
        assert_eq!(failed[0]["name"], "broken");
        assert_eq!(failed[0]["version"], 7);
        assert_eq!(failed[0]["state"], "LOADING");
        assert_ne!(failed[0]["error"], "");
        assert_eq!(failed[1]["name"], "missing");
    }
    assert_eq!(server.get("/v1/health/live").status, 200);
    assert_eq!(server.post("/v1/models/good:predict", BODY).status, 200);
}

#[test]
fn a_platform_config_file_takes_the_place_of_the_flags() {
    let file = |tag: &str| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = format!(
            "platform_configs {{ key: 'tensorflow' value {{ source_adapter_config {{
               [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] {{
                 legacy_config {{ saved_model_tags: '{tag}' enable_session_metadata: true }}
               }} }} }} }}"
        );
        std::fs::write(file.path(), text).expect("it can be written");
        file
    };
    let (right, wrong) = (file("serve"), file("elsewhere"));
    let flags = |file: &tempfile::NamedTempFile| {
        [
            format!("--platform_config_file={}", file.path().display()),
            // Passed over.
            "--saved_model_tags=nowhere".to_owned(),
            "--batching_parameters_file=/not/there".to_owned(),
        ]
    };
    let with = |file| {
        let flags = flags(file);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Server::with_model("m", &path("half_plus_two"), &flags)
    };
    let server = with(&right);
    server.wait_for_line("--platform_config_file: enable_session_metadata has no effect");
    assert_eq!(server.post("/v1/models/m:predict", BODY).status, 200);
    let server = with(&wrong);
    server.wait_for_line("Could not find meta graph def matching supplied tags: { elsewhere }");
}

#[test]
fn variables_of_the_image_name_the_model() {
    let model = path("half_plus_two");
    let base = model.parent().expect("it has a parent");
    let mut command = tensorgate();
    command
        .arg("serve")
        .env("MODEL_NAME", "half_plus_two")
        .env("MODEL_BASE_PATH", base);
    let server = Server::spawn(&mut command);
    server.wait_for_line("Ready in ");
    let answer = server.post("/v1/models/half_plus_two:predict", BODY);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn the_original_s_manner_waits_for_the_first_version() {
    let model_server = ModelServer::new();
    let base = BasePath::new();
    let mut command = model_server.command();
    command.arg(format!("--model_base_path={}", base.path().display()));
    let mut server = Server::spawn_without_ports(&mut command);
    server.wait_for_line("No versions of servable default found under base path");
    assert!(!server.log().contains("Exporting HTTP/REST API"));
    base.publish("1", 2);
    server.wait_for_line("Exporting HTTP/REST API");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_grpc_port_tells_http_1_what_it_is() {
    let server = Server::with_model("m", &path("half_plus_two"), &[]);
    let port = server.grpc_port().expect("it is open");
    let answer = Connection::open(port).and_then(|mut it| it.request("POST", "/", &[], b""));
    let answer = answer.expect("HTTP/1 is answered too");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("gRPC"), "{}", answer.body);
}
