//! The edge as spin.toml has it, before a real host: the composition that Spin makes of the three
//! components, under a host of `wasi:http` 0.2 that routes as the manifest says and enforces its
//! `allowed_outbound_hosts` (`tensorgate up`). What a client gets must be what the host itself
//! would have said.
//!
//! With `TENSORGATE_TEST_SPIN` it is that program which runs the manifest, and stock Spin's own
//! host: `cargo xtask test` does so, too, where `spin` is on the PATH.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, kill_process_group};
use tensorgate_tests::app::{App, Project, Reply, as_app};
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::relay::Relay;
use tensorgate_tests::server::{Server, tensorgate};
use tensorgate_tests::{program, root};

#[path = "../conformance/table.rs"]
mod table;

const PREDICT: &str = "/v1/models/m:predict";

/// The directory of the built components.
fn components() -> PathBuf {
    let example = program("words");
    let directory = example.ancestors().nth(2).expect("the profile's directory");
    directory.to_owned()
}

/// spin.toml as it is, but for where its components lie; and with another processor, where one is
/// given.
fn manifest(processor: Option<&Path>) -> String {
    let text = fs::read_to_string(root().join("spin.toml")).expect("spin.toml is there");
    let built = format!("{}/", components().display());
    let text = text.replace("target/guests/wasm32-wasip2/guest/", &built);
    let Some(processor) = processor else {
        return text;
    };
    let identity = r#"{ component = "identity-processor" }"#;
    assert!(text.contains(identity), "the identity stands in spin.toml");
    let own = format!("{{ path = {:?} }}", processor.display().to_string());
    text.replace(identity, &own)
}

/// Spin, where it is to run the manifest.
fn spin() -> Option<PathBuf> {
    std::env::var_os("TENSORGATE_TEST_SPIN").map(PathBuf::from)
}

/// What runs the manifest in this directory.
fn up(directory: &Path) -> Command {
    let mut command = match spin() {
        None => tensorgate(),
        Some(spin) => Command::new(spin),
    };
    // `spin up` starts another process that serves.
    command.arg("up").arg("-f").arg(directory).process_group(0);
    as_app(&mut command);
    command
}

/// The edge, before the host at this address.
struct Edge {
    app: App,
    _project: Project,
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Fails when all have ended already.
        let _ = kill_process_group(self.app.id(), Signal::KILL);
    }
}

impl Edge {
    fn before(url: &str, manifest: &str, variables: &[&str]) -> Self {
        let project = Project::new(&[], manifest);
        let mut command = up(project.path());
        command.args(["--listen", "127.0.0.1:0", "--variable"]);
        command.arg(format!("tensorgate_url={url}"));
        for variable in variables {
            command.args(["--variable", variable]);
        }
        Self {
            app: App::start(&mut command),
            _project: project,
        }
    }

    fn plain(url: &str) -> Self {
        Self::before(url, &manifest(None), &[])
    }

    fn post(&self, path: &str, body: &str) -> Reply {
        self.app.post(path, &[], body)
    }

    fn send(&self, path: &str, content_type: &str, body: &str) -> Reply {
        self.app.post(path, &[("content-type", content_type)], body)
    }
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

#[test]
fn every_case_of_the_table_is_answered_as_the_host_answers_it() {
    let server = Server::with_model("conformance", &path("conformance"), &[]);
    let edge = Edge::plain(&url(&server));
    let mut wrong = Vec::new();
    let cases = table::cases();
    assert!(cases.len() > 80, "the table was not read");
    for case in &cases {
        let path = format!("/v1/models/conformance:{}", case.api);
        let (at_host, at_edge) = (server.post(&path, &case.body), edge.post(&path, &case.body));
        wrong.extend(case.check(at_edge.status, &at_edge.body).err());
        let same = at_edge.status == at_host.status
            && at_edge.body == at_host.body
            && at_edge.headers["content-type"].to_str().ok() == at_host.header("content-type");
        if !same {
            wrong.push(format!("{}:\n {at_host:?}\n {at_edge:?}", case.what));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn everything_else_of_the_api_is_the_hosts_too() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let edge = Edge::plain(&url(&server));
    for path in [
        "/v1/models/m",
        "/v1/models/m/versions/3",
        "/v1/models/m/versions/4",
        "/v1/models/m/metadata",
        "/v1/models/m/labels/stable/metadata",
        "/v1/models/nobody",
        "/v1/models/nobody/metadata",
        "/v1/models/",
        "/v1/nothing",
        "/v2/models/m",
        "/v2/models/m/ready",
        "/v2/models/nobody",
    ] {
        let (at_host, at_edge) = (server.get(path), edge.app.get(path));
        assert_eq!(at_edge.status, at_host.status, "{path}");
        assert_eq!(at_edge.body, at_host.body, "{path}");
    }
    for (path, body) in [
        ("/v1/models/m/versions/3:predict", r#"{"instances": [1.0]}"#),
        ("/v1/models/m/versions/9:predict", r#"{"instances": [1.0]}"#),
        ("/v1/models/m/labels/no:predict", r#"{"instances": [1.0]}"#),
        (
            "/v2/models/m/infer",
            r#"{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}"#,
        ),
        ("/v2/models/m/infer", r#"{"inputs": []}"#),
    ] {
        let (at_host, at_edge) = (server.post(path, body), edge.post(path, body));
        assert_eq!(
            (at_edge.status, &at_edge.body),
            (at_host.status, &at_host.body),
            "{path}"
        );
    }
}

#[test]
fn a_bad_request_never_leaves_the_edge_once_the_signature_is_known() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let relay = Relay::before(server.port());
    // Longer than the test takes, however slow the machine is.
    let believing = [
        "tensorgate_recheck_ms=3600000",
        "tensorgate_signature_ttl_s=3600",
    ];
    let edge = Edge::before(&relay.url(), &manifest(None), &believing);
    let good = edge.post(PREDICT, r#"{"instances": [1.0]}"#);
    assert_eq!(good.status, 200, "{good:?}; {}", edge.app.said());
    let (before, _) = relay.bytes();
    for body in [
        "",
        "{",
        r#"{"instances": ["x"]}"#,
        r#"{"inputs": {"no": [1.0]}}"#,
    ] {
        let reply = edge.post(PREDICT, body);
        assert_eq!(reply.status, 400, "{body}: {reply:?}");
        assert_eq!(reply.body, server.post(PREDICT, body).body);
    }
    assert_eq!(relay.bytes().0, before, "nothing went to the host");
    // And a good one leaves it once: the signature is not asked for again.
    assert_eq!(edge.post(PREDICT, r#"{"instances": [1.0]}"#).status, 200);
    let after = relay.bytes().0;
    assert_eq!(edge.post(PREDICT, r#"{"instances": [2.0]}"#).status, 200);
    assert_eq!(
        relay.bytes().0 - after,
        after - before,
        "each costs the same"
    );
}

#[test]
fn a_new_version_answers_at_the_edge_as_soon_as_it_does_at_the_host() {
    let base = BasePath::with_half_plus_two("2");
    let server = Server::with_model("m", base.path(), &["--file_system_poll_wait_seconds=1"]);
    let edge = Edge::plain(&url(&server));
    let body = r#"{"instances": [1.0]}"#;
    let answer = |addend: f32| format!("{{\n    \"predictions\": [{:.1}\n    ]\n}}", 0.5 + addend);
    assert_eq!(edge.post(PREDICT, body).body, answer(2.0));
    base.publish("3", 3);
    server.wait_for_post(PREDICT, body, |reply| reply.body == answer(3.0));
    assert_eq!(edge.post(PREDICT, body).body, answer(3.0));
    let metadata = "/v1/models/m/metadata";
    assert_eq!(edge.app.get(metadata).body, server.get(metadata).body);
    base.withdraw("3");
    server.wait_for_post(PREDICT, body, |reply| reply.body == answer(2.0));
    assert_eq!(edge.post(PREDICT, body).body, answer(2.0));
}

#[test]
fn a_version_with_other_signatures_is_asked_for_before_a_request_is_called_bad() {
    let base = BasePath::with_half_plus_two("2");
    let flags = ["--file_system_poll_wait_seconds=1"];
    let server = Server::with_model("m", base.path(), &flags);
    let doubtful = ["tensorgate_recheck_ms=0", "tensorgate_signature_ttl_s=3600"];
    let edge = Edge::before(&url(&server), &manifest(None), &doubtful);
    let old = r#"{"instances": [1.0]}"#;
    let new = r#"{"signature_name": "int32", "instances": [[1, 2]]}"#;
    assert_eq!(edge.post(PREDICT, old).status, 200);
    assert_eq!(edge.post(PREDICT, new).status, 400);
    let conformance = fs::read_dir(path("conformance")).expect("its versions");
    let version = conformance.flatten().next().expect("one of them").path();
    let published = base.path().join("9");
    std::os::unix::fs::symlink(version, &published).expect("a link");
    server.wait_for_post(PREDICT, new, |reply| reply.status == 200);
    // Nobody sends what would be good for the old one and tell the edge so.
    let reply = edge.post(PREDICT, new);
    assert_eq!(reply.status, 200, "{reply:?}");
    let metadata = "/v1/models/m/metadata";
    assert_eq!(edge.app.get(metadata).body, server.get(metadata).body);
    base.withdraw("9");
    server.wait_for_state("m", "9", "END");
    assert_eq!(edge.post(PREDICT, new).status, 400);
    assert_eq!(edge.app.get(metadata).body, server.get(metadata).body);
}

#[test]
fn a_model_of_a_host_that_is_away_is_not_ready() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let doubtful = ["tensorgate_recheck_ms=0", "tensorgate_retries=0"];
    let edge = Edge::before(&url(&server), &manifest(None), &doubtful);
    assert_eq!(edge.app.get("/v2/models/m/ready").status, 200);
    drop(server);
    assert_eq!(edge.app.get("/v2/models/m/ready").status, 503);
}

#[test]
fn a_processor_at_the_edge_is_the_same_file_as_at_the_host() {
    let words = program("words");
    let plain = BasePath::with_half_plus_two("2");
    let processed = BasePath::new();
    processed.publish_with(2, |extra| {
        fs::copy(&words, extra.join("processor.wasm")).expect("it can be copied");
    });
    let plain = Server::with_model("m", plain.path(), &[]);
    let processed = Server::with_model("m", processed.path(), &[]);
    // At the edge alone; at the host alone, through the identity; and at both.
    let edges = [
        Edge::before(&url(&plain), &manifest(Some(&words)), &[]),
        Edge::plain(&url(&processed)),
        Edge::before(&url(&processed), &manifest(Some(&words)), &[]),
    ];
    let headers = [("content-type", "text/plain")];
    for body in ["one two\nthree", "", "a"] {
        let mut connection = processed.connect();
        let at_host = connection.request("POST", PREDICT, &headers, body.as_bytes());
        let at_host = at_host.expect("an answer");
        for (at, edge) in edges.iter().enumerate() {
            let at_edge = edge.send(PREDICT, "text/plain", body);
            assert_eq!(
                (at_edge.status, &at_edge.body),
                (at_host.status, &at_host.body),
                "edge {at}, {body:?}; {}",
                edge.app.said()
            );
        }
    }
    let metadata = "/v1/models/m/metadata";
    for edge in &edges {
        assert_eq!(edge.app.get(metadata).status, 200);
    }
}

#[test]
fn answers_are_given_again_where_that_was_asked_for() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let relay = Relay::before(server.port());
    let keeping = ["tensorgate_answer_ttl_s=3600"];
    let edge = Edge::before(&relay.url(), &manifest(None), &keeping);
    let first = edge.post(PREDICT, r#"{"instances": [1.0]}"#);
    let before = relay.bytes();
    let second = edge.post(PREDICT, r#"{"instances": [1.0]}"#);
    assert_eq!((first.status, &first.body), (200, &second.body));
    assert_eq!(relay.bytes(), before, "it was not asked again");
    assert_ne!(
        edge.post(PREDICT, r#"{"instances": [2.0]}"#).body,
        first.body
    );
    assert_ne!(relay.bytes(), before);
}

#[test]
fn a_host_that_is_away_is_named_and_one_that_comes_back_answers() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let relay = Relay::before(server.port());
    relay.refuse(true);
    let few = ["tensorgate_retries=1"];
    let edge = Edge::before(&relay.url(), &manifest(None), &few);
    let reply = edge.post(PREDICT, r#"{"instances": [1.0]}"#);
    assert_eq!(reply.status, 503);
    let words = format!("the Tensorgate host {} cannot be reached", relay.url());
    assert!(reply.body.contains(&words), "{reply:?}");
    relay.refuse(false);
    assert_eq!(edge.post(PREDICT, r#"{"instances": [1.0]}"#).status, 200);
}

#[test]
fn the_edge_reaches_its_host_and_nobody_else() {
    let base = BasePath::with_half_plus_two("3");
    let server = Server::with_model("m", base.path(), &[]);
    let relay = Relay::before(server.port());
    let allowed = format!("allowed_outbound_hosts = [{:?}]", url(&server));
    let elsewhere = manifest(None).replace(
        "allowed_outbound_hosts = [\"{{ tensorgate_url }}\"]",
        &allowed,
    );
    assert!(elsewhere.contains(&allowed));
    let edge = Edge::before(&relay.url(), &elsewhere, &[]);
    let reply = edge.post(PREDICT, r#"{"instances": [1.0]}"#);
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("this component may not"), "{reply:?}");
    assert_eq!(relay.bytes(), (0, 0));
}

#[test]
fn a_manifest_that_names_no_host_says_so_at_the_start() {
    let wrong = manifest(None).replace(
        "tensorgate_url = { default = \"http://127.0.0.1:8501\" }",
        "tensorgate_url = { required = true }",
    );
    let project = Project::new(&[], &wrong);
    let ended = up(project.path()).output().expect("it can be run");
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("tensorgate_url"), "{said}");
}
