//! Python clients: the test cases of `tests/python`, run against a server.
//!
//! They use what TensorFlow Serving's users use: its own stubs. Each of their tests is written
//! down by name, where `cargo xtask test` asks for that, so that a page can refer to it.

use std::process::Command;

use crate::root;
use crate::server::Server;

/// A program of the Python environment: `python`, `saved_model_cli`.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program(name: &str) -> Command {
    let program = root().join(".tensorgate/venv/bin").join(name);
    assert!(
        program.is_file(),
        "{} is not there: run `cargo xtask setup`",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .env("CUDA_VISIBLE_DEVICES", "-1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // A proxy is for the world outside.
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY");
    command
}

/// Runs a program to its end, and gives what it wrote to standard output.
///
/// # Panics
/// When it fails.
pub fn output(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Runs test cases (`predict.Encodings`), with variables for them.
///
/// # Panics
/// When one fails, with what they said and the server's log.
pub fn run(server: &Server, cases: &[&str], variables: &[(&str, &str)]) {
    let mut command = program("python");
    if let Some(port) = server.grpc_port() {
        command.env("TENSORGATE_GRPC", format!("127.0.0.1:{port}"));
    }
    let output = command
        .env(
            "TENSORGATE_REST",
            format!("http://127.0.0.1:{}", server.port()),
        )
        .envs(variables.iter().copied())
        .arg(root().join("tests/python/run.py"))
        .args(cases)
        .output()
        .expect("Python can be run");
    assert!(
        output.status.success(),
        "{cases:?}: {}\n{}{}\nlog of the server:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        server.log()
    );
}
