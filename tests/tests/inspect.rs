//! `tensorgate inspect` on real models.

use tensorgate_tests::models::path;
use tensorgate_tests::server::{output, tensorgate};

fn inspect(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = output(tensorgate().arg("inspect").args(arguments));
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn prints_a_readable_table() {
    let model = path("many_outputs");
    let (code, out, _) = inspect(&[model.to_str().expect("a plain path")]);
    assert_eq!(code, Some(0));
    let expected = [
        "Versions: 1 (the highest is shown)",
        "Tags: serve, written by TensorFlow ",
        "Signature serving_default",
        "Method: tensorflow/serving/predict",
        "│ input  ┆ x    ┆ DT_FLOAT ┆ [?]   ┆ x:0",
        "│ output ┆ y0   ┆ DT_FLOAT ┆ [?]   ┆ add:0",
    ];
    for part in expected {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn prints_json_for_programs() {
    let model = path("tag_sets");
    let model = model.to_str().expect("a plain path");
    let (code, out, _) = inspect(&["--format", "json", model]);
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(value["versions"], serde_json::json!([1]));
    let tags = |graph: &serde_json::Value| graph["tags"].as_array().map(Vec::len);
    let graphs = value["meta_graphs"].as_array().expect("a list");
    assert!(graphs.len() > 1, "{out}");
    assert!(graphs.iter().all(|graph| tags(graph) > Some(0)), "{out}");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let base = tempfile::tempdir().expect("a directory");
    let pipe = base.path().join("saved_model.pb");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    let (code, _, err) = inspect(&[base.path().to_str().expect("a plain path")]);
    assert_eq!(code, Some(1));
    let words = format!(
        "{} is no regular file: expected a SavedModel",
        pipe.display()
    );
    assert!(err.contains(&words), "{err}");
}

#[test]
fn says_what_is_wrong() {
    for (arguments, code, words) in [
        (&["/not/there"][..], 1, "/not/there does not exist"),
        (
            &["/"],
            1,
            "holds neither saved_model.pb nor version directories",
        ),
        (&[], 2, "usage: tensorgate inspect <directory>"),
        (&[""], 2, "the directory is an empty text"),
        (
            &["--format=xml", "/"],
            2,
            "Couldn't interpret value xml for flag format.",
        ),
        (&["--colour"], 2, "unknown argument: --colour"),
    ] {
        let (found, _, error) = inspect(arguments);
        assert_eq!(found, Some(code), "{arguments:?}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}
