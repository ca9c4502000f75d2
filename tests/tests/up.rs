//! `tensorgate up`: Spin apps with real components, under the real binary.

use std::net::TcpListener;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tensorgate_tests::app::{App, Project, request};
use tensorgate_tests::server::output;

/// An app of the program that uses everything.
const APP: &str = r#"
spin_manifest_version = 2

[application]
name = "everything"
version = "1.2.3"

[variables]
greeting = { default = "hello" }
secret = { required = true, secret = true }

[[trigger.http]]
route = "/..."
component = "main"

[[trigger.http]]
route = "/exact"
component = "main"

[[trigger.http]]
route = "/users/:user/..."
component = "main"

[[trigger.http]]
route = "/moved"
static_response = { status_code = 302, headers = { location = "/exact" }, body = "there" }

[[trigger.http]]
route = { private = true }
component = "inner"

[component.main]
description = "Uses everything"
source = "spin_everything.wasm"
environment = { FROM_MANIFEST = "1" }
files = [{ source = "assets", destination = "/assets" }]
key_value_stores = ["default"]
allowed_outbound_hosts = ["http://inner.spin.internal", "{{ greeting }}://x", "http://self"]

[component.main.variables]
greeting = "{{ greeting }}, {{ secret }}"

[component.inner]
source = "spin_everything.wasm"
"#;

const FLAGS: &[&str] = &["--variable", "secret=s3cret"];

fn project() -> Project {
    let manifest = APP.replace("\"{{ greeting }}://x\", ", "");
    let project = Project::new(&["spin_everything"], &manifest);
    project.write("assets/a.txt", "from a file");
    project
}

#[test]
fn routes_are_printed_and_matched_as_the_manifest_says() {
    let project = project();
    let mut app = project.up(FLAGS);
    let base = format!("http://127.0.0.1:{}", app.port());
    for line in [
        format!("Serving {base}"),
        "Available Routes:".to_owned(),
        format!("  main: {base}/ (wildcard)"),
        "    Uses everything".to_owned(),
        format!("  main: {base}/exact"),
        format!("  main: {base}/users/:user (wildcard)"),
    ] {
        app.wait_for_print(&line);
    }
    assert!(!app.printed().contains("inner"), "{}", app.printed());
    assert!(
        app.said().contains("Logging component stdio to"),
        "{}",
        app.said()
    );

    let told = app.get("/users/me/a/b?q=1").body;
    for line in [
        "spin-path-info: /a/b",
        "spin-full-url: http://app.test/users/me/a/b?q=1",
        "spin-matched-route: /users/:user/...",
        "spin-raw-component-route: /users/:user/...",
        "spin-component-route: /users/:user",
        "spin-base-path: /",
        "spin-path-match-user: me",
        "spin-client-addr: 127.0.0.1:",
    ] {
        assert!(
            told.lines().any(|told| told.starts_with(line)),
            "{line} in {told}"
        );
    }
    let moved = app.get("/moved");
    assert_eq!((moved.status, moved.body.as_str()), (302, "there"));
    assert_eq!(moved.headers["location"], "/exact");

    let health = app.get("/.well-known/spin/health");
    assert_eq!((health.status, health.body.as_str()), (200, "OK"));
    let info = app.get("/.well-known/spin/info");
    let info: Value = serde_json::from_str(&info.body).expect("JSON");
    assert_eq!(info["name"], "everything");
    assert_eq!(info["version"], "1.2.3");
    assert_eq!(app.get("/.well-known/spin/other").status, 404);

    let by_h2 = app.ask_h2(request("GET", &format!("{base}/exact"), &[], ""));
    assert_eq!(by_h2.status, 200);
    assert!(
        by_h2.body.contains("spin-matched-route: /exact"),
        "{by_h2:?}"
    );
    assert_eq!(app.end(Signal::TERM).code(), Some(0));
}

#[test]
fn what_matches_nothing_is_404_and_what_is_no_request_is_400() {
    let manifest = APP.replace("route = \"/...\"", "route = \"/everything\"");
    let project = Project::new(
        &["spin_everything"],
        &manifest.replace("\"{{ greeting }}://x\", ", ""),
    );
    project.write("assets/a.txt", "");
    let mut app = project.up(FLAGS);
    let lost = app.get("/nowhere");
    assert_eq!((lost.status, lost.body.as_str()), (404, ""));
    let no_host = app.ask(request("GET", "/everything", &[("host", "")], ""));
    assert_eq!(no_host.status, 400);
    assert!(no_host.body.contains("no 'Host' header"), "{no_host:?}");
    // Ctrl-C ends it as well as it can end.
    assert_eq!(app.end(Signal::INT).code(), Some(0));
}

#[test]
fn a_guest_sees_what_the_manifest_grants() {
    let project = project();
    let flags = [FLAGS, &["--env", "FROM_FLAG=2"]].concat();
    let app = project.up(&flags);
    assert_eq!(
        app.get("/environment").body,
        "FROM_FLAG=2\nFROM_MANIFEST=1\n"
    );
    assert_eq!(app.get("/file?/assets/a.txt").body, "from a file");
    assert_eq!(app.get("/file?/etc/hostname").status, 404);
    assert_eq!(app.get("/write?/assets/a.txt").status, 403);
    assert_eq!(app.get("/variable?greeting").body, "hello, s3cret");
    let undefined = app.get("/variable?secret");
    assert_eq!(undefined.status, 404, "{undefined:?}");
    assert_eq!(
        app.post("/body", &[], &"x".repeat(3 << 20)).body,
        (3 << 20).to_string()
    );

    assert_eq!(app.get("/print").status, 200);
    app.wait_for_line("to standard output");
    app.wait_for_line("to standard error");
    assert_eq!(
        project.read(".spin/logs/main_stdout.txt"),
        "to standard output\n"
    );
    assert_eq!(
        project.read(".spin/logs/main_stderr.txt"),
        "to standard error\n"
    );
}

#[test]
fn logs_are_appended_and_truncated_and_quiet_where_that_is_asked_for() {
    let project = project();
    let stdout = || project.read("elsewhere/main_stdout.txt");
    let logs = project.path().join("elsewhere").display().to_string();
    let print = |flags: &[&str]| {
        let flags = [FLAGS, &["--log-dir", &logs], flags].concat();
        let mut app = project.up(&flags);
        assert_eq!(app.get("/print").status, 200);
        assert_eq!(app.end(Signal::TERM).code(), Some(0));
        app.said()
    };
    assert!(print(&[]).contains("to standard error"));
    assert!(!print(&["--quiet"]).contains("to standard error"));
    assert!(!print(&["--follow", "inner"]).contains("to standard error"));
    assert_eq!(stdout(), "to standard output\n".repeat(3));
    print(&["--truncate-logs", "--follow=main"]);
    assert_eq!(stdout(), "to standard output\n");
}

#[test]
fn a_store_outlives_the_process_and_is_whose_manifest_says_so() {
    let project = project();
    let flags = [FLAGS, &["--key-value", "given=x"]].concat();
    let mut app = project.up(&flags);
    app.wait_for_line("Storing default key-value data to");
    assert_eq!(app.get("/count?default").body, "1");
    assert_eq!(app.get("/count?default").body, "2");
    assert_eq!(app.get("/keys?default").body, "count,given");
    let refused = app.get("/count?other");
    assert_eq!(
        (refused.status, refused.body.contains("AccessDenied")),
        (403, true),
        "{refused:?}"
    );
    // Only one process has it.
    let second = output(project.command(FLAGS).args(["--listen", "127.0.0.1:0"]));
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(app.end(Signal::TERM).code(), Some(0));

    let mut app = project.up(FLAGS);
    assert_eq!(app.get("/count?default").body, "3");
    assert_eq!(app.end(Signal::TERM).code(), Some(0));

    // With nowhere to keep it, as Spin runs an app from a registry.
    let app = project.up(&[FLAGS, &["--state-dir="]].concat());
    assert_eq!(app.get("/count?default").body, "1");
    assert_eq!(app.get("/count?default").body, "2");
}

#[test]
fn other_servers_are_asked_where_the_manifest_allows_it() {
    let upstream = Project::new(
        &["spin_everything"],
        &APP.replace("\"{{ greeting }}://x\", ", ""),
    );
    upstream.write("assets/a.txt", "");
    let upstream = upstream.up(FLAGS);
    let there = format!("http://127.0.0.1:{}", upstream.port());
    let allowed = APP.replace("{{ greeting }}://x", &there);
    let project = Project::new(&["spin_everything"], &allowed);
    project.write("assets/a.txt", "");
    let app = project.up(FLAGS);

    let told = app.get(&format!("/get?{there}/users/x/y"));
    assert_eq!(told.status, 200, "{told:?}");
    assert!(told.body.contains("spin-path-info: /y"), "{told:?}");
    // The connection is kept: the second request has the same address.
    let from = |told: &str| {
        let mut lines = told.lines();
        lines.find_map(|line| Some(line.strip_prefix("spin-client-addr: ")?.to_owned()))
    };
    let again = app.get(&format!("/get?{there}/users/x/y"));
    assert_eq!(from(&told.body), from(&again.body));

    let denied = app.get("/get?http://127.0.0.1:1/");
    assert_eq!(denied.status, 502);
    assert!(denied.body.contains("HttpRequestDenied"), "{denied:?}");
    app.wait_for_line(
        "Warning: A component tried to make an outbound network connection to disallowed \
         destination 'http://127.0.0.1:1'.",
    );
    app.wait_for_line(
        "To allow this request, add 'allowed_outbound_hosts = [\"http://127.0.0.1:1\"]' to the \
         manifest component section.",
    );
}

#[test]
fn components_of_an_app_call_each_other_and_the_app_itself() {
    let project = project();
    let app = project.up(FLAGS);
    let inner = app.get("/get?http://inner.spin.internal/environment");
    // It has an environment of its own, which is empty.
    assert_eq!((inner.status, inner.body.as_str()), (200, ""));
    let own = app.get("/get?http://self.alt/exact");
    assert!(own.body.contains("spin-matched-route: /exact"), "{own:?}");
    let denied = app.get("/get?http://main.spin.internal/");
    assert_eq!(denied.status, 502, "{denied:?}");
}

#[test]
fn a_failing_guest_costs_its_own_request() {
    let project = project();
    let limits = [
        "--max-instance-cpu=200ms",
        "--max-instance-memory=67108864",
        "--request-timeout=3s",
    ];
    let app = project.up(&[FLAGS, &limits].concat());
    for (path, words) in [
        ("/trap", "the guest has had enough"),
        ("/loop", "computed for longer than the 200ms"),
        ("/memory", "needs more than the 67108864 bytes"),
        ("/never", "without setting a response"),
        ("/sleep?10000", "did not end within 3s"),
    ] {
        let failed = app.get(path);
        assert_eq!((failed.status, failed.body.as_str()), (500, ""), "{path}");
        app.wait_for_line(words);
        assert_eq!(app.get("/exact").status, 200, "after {path}");
    }
    // What it does after its response is its own affair, also when it fails.
    let answered = app.get("/after");
    assert_eq!((answered.status, answered.body.as_str()), (200, "answered"));
    app.wait_for_line("it went on");
    app.wait_for_line("and failed");
}

#[test]
fn too_many_requests_are_told_so_at_once() {
    let project = project();
    let app = project.up(&[FLAGS, &["--max-instances=1", "--request-timeout=20s"]].concat());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| app.get("/sleep?12000"));
        // The slot is taken; who waits is told so when nobody has left it in time.
        let busy = app.wait_for("/exact", |reply| reply.status == 503);
        assert!(busy.body.contains("try again later"), "{busy:?}");
        assert_eq!(busy.headers["retry-after"], "1");
        assert_eq!(slow.join().expect("no panic").body, "slept");
    });
    assert_eq!(app.get("/exact").status, 200);
}

#[test]
fn a_port_that_is_taken_is_an_error_or_passed_over() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let project = project();
    let listen = ["--listen".to_owned(), address.to_string()];
    let refused = output(project.command(FLAGS).args(&listen));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said.contains(&format!("{address} is already in use")),
        "{said}"
    );
    let mut command: Command = project.command(FLAGS);
    let app = App::start(
        command
            .args(&listen)
            .args(["--find-free-port", "--format=json"]),
    );
    assert!(app.port() > address.port());
    // Nothing follows the JSON, whose last line this is.
    app.wait_for_print("}");
    let printed: Value = serde_json::from_str(&app.printed()).expect("JSON");
    assert_eq!(
        printed["base_url"],
        format!("http://127.0.0.1:{}", app.port())
    );
    assert_eq!(printed["routes"][0]["id"], "main");
    assert_eq!(printed["routes"][0]["wildcard"], true);
    assert_eq!(printed["routes"][0]["description"], "Uses everything");
}

#[test]
fn a_component_alone_answers_everything() {
    let project = project();
    let mut command = tensorgate_tests::server::tensorgate();
    tensorgate_tests::app::as_app(&mut command);
    command
        .arg("up")
        .arg("-f")
        .arg(project.path().join("spin_everything.wasm"));
    let app = App::start(command.args(["--listen", "127.0.0.1:0", "--state-dir="]));
    assert!(
        app.get("/any/path")
            .body
            .contains("spin-path-info: /any/path")
    );
    let state = project.path().join(".spin").try_exists();
    assert!(!state.expect("the directory can be read"));
}

#[test]
fn what_is_wrong_with_an_app_is_named() {
    let no_secret = project();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let absent = elsewhere.path().join("nothing").display().to_string();
    let predicts = Project::new(
        &["spin_predict"],
        &APP.replace("spin_everything", "spin_predict")
            .replace("\"{{ greeting }}://x\", ", ""),
    );
    predicts.write("assets/a.txt", "");
    let redis = "[[trigger.redis]]\nchannel = \"x\"\ncomponent = \"main\"\n\n[component.main]";
    let redis = Project::new(
        &["spin_everything"],
        &APP.replace("[component.main]", redis)
            .replace("\"{{ greeting }}://x\", ", ""),
    );
    redis.write("assets/a.txt", "");
    let wagi = Project::new(
        &["spin_everything"],
        &APP.replace(
            "route = \"/exact\"",
            "route = \"/exact\"\nexecutor = { type = \"wagi\" }",
        )
        .replace("\"{{ greeting }}://x\", ", ""),
    );
    wagi.write("assets/a.txt", "");
    let stores = Project::new(
        &["spin_everything"],
        &APP.replace("[\"default\"]", "[\"default\", \"other\"]")
            .replace("\"{{ greeting }}://x\", ", ""),
    );
    stores.write("assets/a.txt", "");
    for (mut command, code, words) in [
        (
            no_secret.command(&[]),
            1,
            "no provider resolved required variable(s): [Key(\"secret\")]",
        ),
        (
            no_secret.command(&["--bogus"]),
            2,
            "unexpected argument '--bogus' found",
        ),
        (
            no_secret.command(&["--listn=1"]),
            2,
            "did you mean --listen?",
        ),
        (no_secret.command(&["--from", &absent]), 1, "does not exist"),
        (
            no_secret.command(&["-c", "other"]),
            1,
            "Specified component \"other\" not found in application",
        ),
        (
            predicts.command(FLAGS),
            1,
            "imports tensorgate:serving/inference@0.1.0, which none of its dependencies satisfies",
        ),
        (
            redis.command(FLAGS),
            1,
            "accepted are \"http\" and \"tensorgate\"",
        ),
        (
            wagi.command(FLAGS),
            1,
            "the executor `wagi` runs CGI programs and is not supported here",
        ),
        (
            stores.command(FLAGS),
            1,
            "key-value stores which are not defined: \"other\"",
        ),
    ] {
        let ended = output(&mut command);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{words:?} in {said}");
    }
}
