//! Other gateway components than ours behind the door, hostile ones among them: what they do
//! costs their own request a clear error, and nothing else.

use std::thread;

use tensorgate_tests::models::path;
use tensorgate_tests::program;
use tensorgate_tests::server::{Server, output, tensorgate};

fn serve(component: &str, flags: &[&str]) -> Server {
    let component = format!("--gateway_component={}", program(component).display());
    let mut all = vec![component.as_str()];
    all.extend_from_slice(flags);
    Server::with_model("m", &path("half_plus_two"), &all)
}

fn error(message: &str) -> String {
    format!("{{\n    \"error\": \"{message}\"\n}}")
}

#[test]
fn another_component_changes_every_answer() {
    let server = serve("echo", &[]);
    for (method, path, body) in [
        ("POST", "/v1/models/m:predict", r#"{"instances": [1.0]}"#),
        ("GET", "/v1/models/m", ""),
        ("GET", "/v1/models/m/metadata?x=1", ""),
        ("PUT", "/v1/anything%2F", "not JSON"),
    ] {
        let answer = server.request(method, path, body);
        let expected = format!("{method} {path} [] {} bytes", body.len());
        assert_eq!((answer.status, answer.body), (200, expected));
    }
}

#[test]
fn a_trap_costs_its_own_request_and_no_other() {
    let server = serve("traps", &[]);
    thread::scope(|scope| {
        for (path, status) in [
            ("/v1/panic", 500),
            ("/v1/fine", 200),
            ("/v1/abort", 500),
            ("/v1/fine", 200),
        ] {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for _ in 0..20 {
                    let answer = connection.request("GET", path, &[], b"");
                    let answer = answer.expect("every request is answered");
                    assert_eq!(answer.status, status, "{path}: {}", answer.body);
                    if status == 500 {
                        assert_eq!(answer.body, error("the request handler failed"));
                    }
                }
            });
        }
    });
    // The log has what the client does not: the cause, with the id that the client has.
    let mut connection = server.connect();
    let id = [("x-request-id", "the-very-one")];
    let answer = connection.request("GET", "/v1/panic", &id, b"");
    let answer = answer.expect("it is answered");
    assert_eq!(answer.header("x-request-id"), Some("the-very-one"));
    let line = server.wait_for_line("the-very-one");
    assert!(line.contains("the program says why"), "{line}");
}

#[test]
fn endless_work_is_stopped() {
    let server = serve("endless_loop", &["--sandbox_cpu_budget_in_ms=50"]);
    for path in ["/v1/x", "/v1/x"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 500, "{}", answer.body);
    }
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn endless_sleep_is_stopped_by_the_deadline() {
    let server = serve("sleeper", &["--rest_api_timeout_in_ms=100"]);
    let answer = server.get("/v1/x");
    assert_eq!(answer.status, 504, "{}", answer.body);
}

#[test]
fn endless_memory_and_endless_depth_are_stopped() {
    let server = serve("memory_bomb", &["--sandbox_memory_bytes=33554432"]);
    let answer = server.get("/v1/x");
    assert_eq!(answer.status, 413, "{}", answer.body);
    let flag = "(--sandbox_memory_bytes=33554432)";
    assert!(answer.body.contains(flag), "{}", answer.body);
    assert_eq!(server.get("/health/ready").status, 200);
    let server = serve("deep_recursion", &[]);
    let answer = server.get("/v1/x");
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn what_is_no_gateway_keeps_the_server_from_starting() {
    let no_component = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(no_component.path(), "no component").expect("it can be written");
    for (file, words) in [
        (program("wrong_world"), "the component is no gateway"),
        (
            no_component.path().to_owned(),
            "not a WebAssembly component",
        ),
    ] {
        let output = output(
            tensorgate()
                .args([
                    "serve",
                    "--model_base_path=/m",
                    "--port=auto",
                    "--rest_api_port=auto",
                ])
                .arg(format!("--gateway_component={}", file.display())),
        );
        assert_eq!(output.status.code(), Some(255));
        let text = String::from_utf8_lossy(&output.stdout);
        let expected = format!(
            "Failed to start server. Error: INVALID_ARGUMENT: {}: {words}",
            file.display()
        );
        assert!(text.contains(&expected), "{text}");
    }
}
