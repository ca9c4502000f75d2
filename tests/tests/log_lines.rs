//! Lines of the log that scripts wait for or look for: the original's words, in its order, from
//! the real server under the original's name.

use std::os::unix::fs::symlink;

use tensorgate_tests::built;
use tensorgate_tests::models::path;
use tensorgate_tests::server::{Server, as_program};

/// Asserts that the log has these words, each in a line after the one with those before.
fn assert_order(log: &str, words: &[&str]) {
    let mut lines = log.lines();
    for words in words {
        assert!(
            lines.any(|line| line.contains(words)),
            "no {words:?} (there, or at all) in\n{log}"
        );
    }
}

#[test]
fn a_server_says_what_the_original_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("tensorflow_model_server");
    symlink(built("tensorgate"), &link).expect("a link can be made");
    let base = path("half_plus_two");
    let version = base.join("00000123");
    let mut server = Server::spawn(as_program(&link).args([
        "--model_name=half".to_owned(),
        format!("--model_base_path={}", base.display()),
    ]));
    let grpc = server.grpc_port().expect("there is one");
    let rest = server.port();
    assert_order(
        &server.log(),
        &[
            &format!(
                "Building single TensorFlow model file config:  model_name: half \
                 model_base_path: {}",
                base.display()
            ),
            "Adding/updating models.",
            " (Re-)adding model: half",
            "Finished adding/updating models",
        ],
    );
    assert_order(
        &server.log(),
        &[
            "Approving load for servable version {name: half version: 123}",
            "Loading servable version {name: half version: 123}",
            &format!("Reading SavedModel from: {}", version.display()),
            "SavedModel load for tags { serve }; Status: success: OK. Took ",
            &format!(
                "No warmup data file found at {}/assets.extra/tf_serving_warmup_requests",
                version.display()
            ),
            "Successfully loaded servable version {name: half version: 123}",
            &format!("Running gRPC ModelServer at 0.0.0.0:{grpc} ..."),
            &format!("Exporting HTTP/REST API at:localhost:{rest} ..."),
        ],
    );
    for line in server.log().lines() {
        let rest = line.get("2026-01-01 00:00:00.000000".len()..);
        assert!(
            rest.is_some_and(|rest| rest.starts_with(": ") && rest.contains("] ")),
            "a line has another layout: {line}"
        );
    }
    server.terminate();
    assert!(server.wait().success());
    assert_order(
        &server.log(),
        &[
            "Quiescing servable version {name: half version: 123}",
            "Done quiescing servable version {name: half version: 123}",
            "Unloading servable version {name: half version: 123}",
            "Done unloading servable version {name: half version: 123}",
        ],
    );
}

#[test]
fn a_version_that_cannot_be_loaded_is_told_of_in_the_words_of_the_original() {
    let base = tensorgate_tests::models::BasePath::with_half_plus_two("1");
    base.publish_corrupt("2");
    let flags = ["--max_num_load_retries=1", "--load_retry_interval_micros=0"];
    let server = Server::with_model("m", base.path(), &flags);
    server.wait_for_line("Encountered an error for servable version {name: m version: 2}: ");
    let log = server.log();
    assert_order(
        &log,
        &[
            "Reading SavedModel from: ",
            "SavedModel load for tags { serve }; Status: fail: ",
        ],
    );
    for words in [
        "Loading servable: {name: m version: 2} failed: ",
        "Retrying of Loading servable: {name: m version: 2} retry: 1",
        "Retrying of Loading servable: {name: m version: 2} exhausted max_num_retries: 1",
    ] {
        server.wait_for_line(words);
    }
}
