//! `tensorgate up` with the native engine: components that call the models of their own process;
//! and builds, once and again.

use std::path::Path;

use rustix::process::Signal;
use tensorgate_tests::app::Project;
use tensorgate_tests::models::{self, BasePath};
use tensorgate_tests::program;
use tensorgate_tests::server::{Server, output};

/// An app whose component calls models, with these settings for them.
fn manifest(settings: &str) -> String {
    format!(
        r#"
spin_manifest_version = 2

[application]
name = "predicts"

[application.tool.tensorgate]
{settings}

[[trigger.tensorgate]]
route = "/..."
component = "main"

[component.main]
source = "spin_predict.wasm"
"#
    )
}

fn half_plus_two() -> String {
    models::path("half_plus_two").display().to_string()
}

#[test]
fn a_component_runs_models_of_its_own_process_by_every_way() {
    let settings = format!("models = {{ half = {:?} }}", half_plus_two());
    let project = Project::new(&["spin_predict"], &manifest(&settings));
    let mut app = project.up(&[]);
    for (path, expected) in [
        ("/predict/half", "y=2.5,3,4.5 of version 123"),
        ("/run/half", "y=2.5,3,4.5 of version 123"),
        ("/bare/half", "y=2.5,3,4.5 of version 123"),
        (
            "/begin/half",
            "y=2.5,3,4.5 then ErrorCode::FailedPrecondition",
        ),
        ("/status/half", "123: 30"),
        ("/covered/half", ""),
        (
            "/describe/half",
            "0 covered, then ErrorCode::FailedPrecondition",
        ),
    ] {
        let reply = app.post(path, &[], "1.0,2.0,5.0");
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, expected),
            "{path}"
        );
    }
    for (path, words) in [
        ("/predict/other", "ErrorCode::NotFound"),
        ("/many/half", "one request may hold 16 models open"),
        (
            "/body/half",
            "no processor covers the signature serving_default",
        ),
    ] {
        let reply = app.post(path, &[("content-type", "text/csv")], "1.0");
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        assert!(reply.body.contains(words), "{path}: {reply:?}");
    }
    assert_eq!(app.end(Signal::TERM).code(), Some(0));
}

#[test]
fn a_version_s_own_processor_stands_before_it_here_too() {
    let base = BasePath::new();
    base.publish_with(2, |extra| {
        let processor = extra.join("processor.wasm");
        std::fs::create_dir_all(extra).expect("a directory");
        std::fs::copy(program("words"), processor).expect("it can be copied");
    });
    let settings = format!(
        "models = {{ half = {:?} }}",
        base.path().display().to_string()
    );
    let project = Project::new(&["spin_predict"], &manifest(&settings));
    let app = project.up(&[]);
    let covered = app.post("/covered/half", &[], "").body;
    assert!(
        covered.split(',').any(|name| name == "serving_default"),
        "{covered}"
    );
    let words = app.post(
        "/body/half",
        &[("content-type", "text/plain")],
        "one\nthree",
    );
    assert_eq!(words.status, 200, "{words:?}");
    // What it gives by the server's own door is the same.
    let server = Server::with_model("half", base.path(), &[]);
    let mut connection = server.connect();
    let headers = [("content-type", "text/plain"), ("accept", "text/plain")];
    let door = connection
        .request("POST", "/v1/models/half:predict", &headers, b"one\nthree")
        .expect("an answer");
    assert!(words.body.ends_with(&door.body), "{words:?} and {door:?}");
    let other = app.post("/body/half", &[("content-type", "image/png")], "x");
    assert_eq!(other.status, 400);
    assert!(
        other.body.contains("takes no body of the type image/png"),
        "{other:?}"
    );
    // Without it the model is as its exporter wrote it.
    assert_eq!(
        app.post("/bare/half", &[], "1.0").body,
        "y=2.5 of version 2"
    );
}

#[test]
fn flags_name_models_and_open_the_server_s_own_doors() {
    let project = Project::new(&["spin_predict"], &manifest("enable_batching = true"));
    let base = format!("--model_base_path={}", half_plus_two());
    let app = project.up(&[
        "--model_name=half",
        &base,
        "--rest_api_port=auto",
        "--log_filter=info",
    ]);
    assert_eq!(
        app.post("/predict/half", &[], "1.0").body,
        "y=2.5 of version 123"
    );
    let line = app.wait_for_line("Exporting HTTP/REST API at:localhost:");
    let port = line
        .split("localhost:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    let mut connection = tensorgate_tests::http::Connection::open(port).expect("the port is open");
    let body = br#"{"instances": [1.0]}"#;
    let answer = connection.request("POST", "/v1/models/half:predict", &[], body);
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn what_is_wrong_with_the_settings_of_models_is_named() {
    for (settings, words) in [
        ("model_base_pth = 'm'", "did you mean model_base_path?"),
        ("enable_batching = true", "and no models"),
        ("[application.tool.tensorgate.models]", "models is empty"),
    ] {
        let project = Project::new(&["spin_predict"], &manifest(settings));
        let ended = output(&mut project.command(&[]));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

/// An app that is built by copying.
const BUILT: &str = r#"
spin_manifest_version = 2
application = { name = "built" }

[[trigger.http]]
route = "/..."
component = "main"

[component.main]
source = "made/main.wasm"
environment = { WORD = "one" }

[component.main.build]
command = ["mkdir -p made", "sh build.sh"]
watch = ["source/*.txt"]
"#;

const BUILD: &str = "cat source/a.txt; cp spin_everything.wasm made/main.wasm\n";

fn built() -> Project {
    let project = Project::new(&["spin_everything"], BUILT);
    project.write("source/a.txt", "first\n");
    project.write("build.sh", BUILD);
    project
}

#[test]
fn an_app_is_built_before_it_runs_where_that_is_asked_for() {
    let project = built();
    let unbuilt = output(&mut project.command(&[]));
    let said = String::from_utf8_lossy(&unbuilt.stderr);
    assert_eq!(unbuilt.status.code(), Some(1));
    assert!(
        said.contains("Error:") && said.contains("Caused by:"),
        "{said}"
    );
    assert!(said.contains("main.wasm"), "{said}");

    let app = project.up(&["--build"]);
    for line in [
        "Building component main with `mkdir -p made`",
        "Building component main with `sh build.sh`",
        "first",
        "Finished building all Spin components",
    ] {
        app.wait_for_print(line);
    }
    assert_eq!(app.get("/environment").body, "WORD=one\n");
    drop(app);

    project.write("build.sh", "exit 101");
    let failed = output(&mut project.command(&["--build"]));
    let said = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        said.contains("Build command for component main failed with status Exited(101)"),
        "{said}"
    );
}

#[test]
fn a_change_is_built_and_taken_in_and_a_bad_one_leaves_the_app_as_it_was() {
    let project = built();
    let mut app = project.up(&["--build", "--watch"]);
    assert_eq!(app.get("/environment").body, "WORD=one\n");

    // The manifest: no build can fail to see it.
    project.write(
        "spin.toml",
        &BUILT.replace("WORD = \"one\"", "WORD = \"two\""),
    );
    app.wait_for("/environment", |reply| reply.body == "WORD=two\n");

    // A source, with a build that fails: what ran goes on.
    project.write("build.sh", "exit 3");
    project.write("source/a.txt", "second, which is longer\n");
    app.wait_for_line("failed with status Exited(3)");
    app.wait_for_line("goes on as it was");
    assert_eq!(app.get("/environment").body, "WORD=two\n");

    // And one that is well again.
    project.write("build.sh", BUILD);
    project.write("source/a.txt", "third, which is longer still\n");
    app.wait_for_print("third, which is longer still");
    project.write(
        "spin.toml",
        &BUILT.replace("WORD = \"one\"", "WORD = \"three\""),
    );
    app.wait_for("/environment", |reply| reply.body == "WORD=three\n");

    project.write("spin.toml", "spin_manifest_version = 2\nnothing = 1\n");
    app.wait_for_line("unknown field `nothing`");
    assert_eq!(app.get("/environment").body, "WORD=three\n");
    assert_eq!(app.end(Signal::TERM).code(), Some(0));
}

#[test]
fn other_models_are_a_process_anew() {
    let one = BasePath::with_half_plus_two("1");
    let settings = |path: &Path, name: &str| {
        let path = path.display().to_string();
        manifest(&format!("models = {{ {name} = {path:?} }}"))
    };
    let project = Project::new(&["spin_predict"], &settings(one.path(), "one"));
    let app = project.up(&["--watch", "--find-free-port"]);
    assert_eq!(
        app.post("/predict/one", &[], "2.0").body,
        "y=3 of version 1"
    );
    project.write("spin.toml", &settings(one.path(), "two"));
    // It listens anew: where, it says.
    let port = app.wait_for_port(2);
    let reply = app.ask_at(port, "/predict/two", "2.0");
    assert_eq!(reply.body, "y=3 of version 1");
}
