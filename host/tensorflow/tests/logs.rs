//! TensorFlow's log goes through ours. In processes of their own: standard error is the process's.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::Write;
use std::process::{Command, Output};
use std::sync::Mutex;

use tensorgate_tensorflow::capture_logs;

/// Set in the process that a test starts: this very test.
const CHILD: &str = "TENSORGATE_TEST_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn run_child(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap()
}

fn capture_with_subscriber() -> tensorgate_tensorflow::LogCapture {
    let capture = capture_logs().unwrap();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(Mutex::new(capture.stderr().unwrap()))
        .init();
    capture
}

#[test]
fn lines_become_events_and_standard_error_comes_back() {
    if is_child() {
        let capture = capture_with_subscriber();
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "2026-01-02 03:04:05.678901: W tensorflow/a.cc:1] careful"
        )
        .unwrap();
        writeln!(stderr, "I0000 00:00:1767323045.1 77 b.cc:2] by the way").unwrap();
        writeln!(stderr, "no form").unwrap();
        drop(capture);
        writeln!(stderr, "direct").unwrap();
        return;
    }
    let output = run_child("lines_become_events_and_standard_error_comes_back");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "WARN tensorflow: careful place=\"tensorflow/a.cc:1\"",
            "DEBUG tensorflow: by the way place=\"b.cc:2\"",
            "INFO tensorflow: no form",
            "direct",
        ]
    );
    assert!(output.status.success());
}

#[test]
fn the_last_words_of_an_aborting_process_are_not_lost() {
    if is_child() {
        let _capture = capture_with_subscriber();
        let mut stderr = std::io::stderr();
        writeln!(stderr, "F0102 03:04:05.6 77 shape.cc:4] Check failed: rank").unwrap();
        std::process::abort();
    }
    for _ in 0..20 {
        let output = run_child("the_last_words_of_an_aborting_process_are_not_lost");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("Check failed: rank"), "{stderr:?}");
        assert!(!output.status.success());
    }
}

#[test]
fn a_child_that_inherits_standard_error_does_not_hold_up_the_end() {
    if is_child() {
        let capture = capture_with_subscriber();
        let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
        drop(capture);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        return;
    }
    let output = run_child("a_child_that_inherits_standard_error_does_not_hold_up_the_end");
    assert!(output.status.success());
}
