//! What operators say about TensorFlow itself: libraries of operations, sessions, threads.

use std::path::PathBuf;

use tensorgate_tests::models::path;
use tensorgate_tests::root;
use tensorgate_tests::server::{Server, output, tensorgate};

/// A library of tensorflow-text's, in the environment that the set-up makes.
fn operations() -> PathBuf {
    let library = "site-packages/tensorflow_text/python/ops/_regex_split_ops.so";
    let pythons = root().join(".tensorgate/venv/lib").read_dir();
    pythons
        .expect("an environment: run `cargo xtask setup`")
        .flatten()
        .map(|python| python.path().join(library))
        .find(|path| path.is_file())
        .expect("tensorflow-text is installed: run `cargo xtask setup`")
}

#[test]
fn a_model_with_an_operation_that_nobody_has_says_how_to_supply_it() {
    let server = Server::with_model("m", &path("tokens"), &["--max_num_load_retries=0"]);
    let status = server.wait_for_state("m", "1", "END");
    for words in [
        "\"error_code\": \"NOT_FOUND\"",
        "Op type not registered 'RegexSplitWithOffsets' in binary running on ",
        "The model needs the operation RegexSplitWithOffsets, which TensorFlow does not have: \
         name the shared library that has it with --custom_op_libraries.",
    ] {
        assert!(status.body.contains(words), "{words} in {}", status.body);
    }
}

#[test]
fn a_library_of_operations_serves_the_models_that_need_it() {
    let flag = format!("--custom_op_libraries={}", operations().display());
    serves_tokens(&[&flag]);
    serves_tokens(&[&flag, "--workers=cpu"]);
}

fn serves_tokens(flags: &[&str]) {
    let server = Server::with_model("m", &path("tokens"), flags);
    assert!(
        server
            .log()
            .contains("Loaded the operations RegexSplitWithOffsets"),
        "{}",
        server.log()
    );
    let answer = server.post(
        "/v1/models/m:predict",
        r#"{"inputs": ["to be  or", "not"]}"#,
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let outputs = &body["outputs"];
    assert_eq!(
        outputs["tokens"],
        serde_json::json!(["to", "be", "or", "not"])
    );
    assert_eq!(outputs["starts"], serde_json::json!([0, 3, 7, 0]));
}

#[test]
fn a_library_of_operations_that_is_none_stops_the_start_by_name() {
    let output = output(
        tensorgate()
            .args(["serve", "--port=auto", "--rest_api_port=auto"])
            .arg(format!("--model_base_path={}", path("scalar").display()))
            .arg("--custom_op_libraries=/not/there.so"),
    );
    assert_eq!(output.status.code(), Some(255));
    let said = String::from_utf8_lossy(&output.stdout);
    let words = "FAILED_PRECONDITION: cannot use /not/there.so as a library of operations for \
                 TensorFlow 2";
    assert!(said.contains(words), "{said}");
}

#[test]
fn more_run_threads_than_a_machine_can_have_are_refused() {
    for number in ["1000000", "4097", "-1"] {
        let output = output(tensorgate().args(["serve", "--run_threads", number]));
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        let words = format!("Couldn't interpret value {number} for flag run_threads");
        assert!(said.contains(&words), "{said}");
        assert!(said.contains("Expected: number up to 4096."), "{said}");
    }
}

#[test]
fn versions_are_printed_without_a_word_of_tensorflows() {
    let output = output(tensorgate().arg("version"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("TensorFlow Library: 2."), "{said}");
}

#[test]
fn what_litert_cannot_compute_is_served_from_the_saved_model_beside_it() {
    let flags = ["--prefer_tflite_model", "--max_num_load_retries=0"];
    let server = Server::with_model("m", &path("lite_strings_beside_saved_model"), &flags);
    let line = server.wait_for_line("in the place of its model.tflite");
    let words = "input words is of the type string, which LiteRT neither takes nor gives";
    assert!(line.contains(words), "{line}");
    let answer = server.post("/v1/models/m:predict", r#"{"instances": ["to", "be"]}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["predictions"], serde_json::json!(["to", "be"]));

    let server = Server::with_model("m", &path("lite_strings"), &flags);
    let status = server.wait_for_state("m", "1", "END").body;
    assert!(
        status.contains("\"error_code\": \"UNIMPLEMENTED\""),
        "{status}"
    );
    assert!(status.contains(words), "{status}");
}

#[test]
fn litert_says_what_failed_and_is_silent_otherwise() {
    let server = Server::with_model("m", &path("lite_dynamic"), &["--prefer_tflite_model"]);
    server.wait_for_line("TensorFlow Lite models by ");
    for noise in ["XNNPACK", "accelerator", "environment"] {
        assert!(!server.log().contains(noise), "{}", server.log());
    }
    let answer = server.post("/v1/models/m:predict", r#"{"instances": [1.0, -1.0]}"#);
    assert_eq!(answer.status, 500, "{}", answer.body);
    let words = "if that is one of doubled, positions, serve the SavedModel in the place of \
                 model.tflite";
    assert!(answer.body.contains(words), "{}", answer.body);
    // As errors of its own: with their place, and not as lines of information.
    let line = server.wait_for_line("Failed to set custom allocation for output tensor positions");
    assert!(
        line.contains(" E tensorflow] ") && line.contains("compiled_model.cc"),
        "{line}"
    );
}

#[test]
fn a_model_has_threads_of_its_own() {
    let flags = ["--model_sessions=m:inter_op_parallelism=5"];
    let server = Server::with_model("m", &path("half_plus_two"), &flags);
    let answer = server.post("/v1/models/m:predict", r#"{"instances": [2.0]}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // How TensorFlow calls the first pool that a session has for itself.
    let is_own = |task: &std::path::Path| {
        let name = std::fs::read_to_string(task.join("comm"));
        name.is_ok_and(|name| name.trim() == "tf_Compute0")
    };
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).expect("its threads");
    let own = tasks.flatten().filter(|task| is_own(&task.path())).count();
    assert_eq!(own, 5);
}

#[test]
fn a_model_is_compiled_where_its_level_says_so() {
    let digits = root().join(".tensorgate/models/digits_cnn");
    let flags = ["--model_sessions=m:xla_level=1", "--log_filter=debug"];
    let server = Server::with_model("m", &digits, &flags);
    let row = vec![vec![[0.5]; 28]; 28];
    let body = serde_json::json!({ "instances": [row] }).to_string();
    let answer = server.post("/v1/models/m:predict", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.wait_for_line("Compiled cluster using XLA!");
}
