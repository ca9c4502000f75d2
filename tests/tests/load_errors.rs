//! What a client and an operator read when a model cannot be loaded: the texts in the status of the
//! version, the same in the log, and a server that goes on.
//!
//! Where TensorFlow Serving has words for a case, they are its own.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::server::Server;

/// A copy of a version of a model, as version 1 of a base path.
fn copy(model: &str) -> BasePath {
    let base = BasePath::new();
    copy_dir(&path(model).join("1"), &base.path().join("1"));
    base
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The code and the text with which version 1 ended. Each must be in the log too.
fn ended(base: &Path, flags: &[&str]) -> (String, String) {
    let mut all = vec!["--max_num_load_retries=0"];
    all.extend(flags);
    let server = Server::with_model("m", base, &all);
    let status = server.wait_for_state("m", "1", "END").body;
    let status: Value = serde_json::from_str(&status).expect("it is JSON");
    let why = &status["model_version_status"][0]["status"];
    let word = |key: &str| why[key].as_str().expect("a word").to_owned();
    let (code, message) = (word("error_code"), word("error_message"));
    let first = message.lines().next().expect("a text").to_owned();
    let log = server.log();
    assert!(log.contains(&first), "{first} is not in the log:\n{log}");
    let answer = server.post("/v1/models/m:predict", r#"{"instances": [1.0]}"#);
    assert_eq!(answer.status, 404, "{}", answer.body);
    (code, message)
}

#[test]
fn a_version_without_a_saved_model_names_the_file_and_the_directory() {
    let base = BasePath::new();
    let version = base.path().join("1");
    // What a trainer writes that is not told to export.
    fs::create_dir_all(version.join("variables")).expect("a directory");
    fs::write(version.join("variables/variables.index"), "").expect("a file");
    let (code, message) = ended(base.path(), &[]);
    assert_eq!(code, "NOT_FOUND");
    let expected = format!(
        "Specified file path does not appear to contain a SavedModel bundle (should have a file \
         called `saved_model.pb`)\nSpecified file path: {}",
        version.display()
    );
    assert_eq!(message, expected);
}

#[test]
fn a_session_bundle_is_told_that_it_is_one() {
    let base = BasePath::new();
    let version = base.path().join("1");
    fs::create_dir_all(&version).expect("a directory");
    fs::write(version.join("export.meta"), "").expect("a file");
    let (code, message) = ended(base.path(), &[]);
    assert_eq!(code, "UNIMPLEMENTED");
    assert_eq!(message, "Session Bundle is deprecated and removed.");
}

const NO_SUCH_TAGS: &str = "Could not find meta graph def matching supplied tags: ";
const CLI: &str = ". To inspect available tag-sets in the SavedModel, please use the SavedModel \
                   CLI: `saved_model_cli`\n";

#[test]
fn tags_that_no_graph_has_are_named_with_those_that_there_are() {
    let base = path("tag_sets");
    let (code, message) = ended(&base, &["--saved_model_tags=serve,other"]);
    assert_eq!(code, "NOT_FOUND");
    let there = message
        .strip_prefix(&format!(
            "{NO_SUCH_TAGS}{{ other serve }}{CLI}The tag sets in "
        ))
        .unwrap_or_else(|| panic!("{message}"));
    let file = base.join("1/saved_model.pb");
    assert_eq!(
        there,
        format!(
            "{} are: {{ serve }}, {{ serve gpu }}, {{ train }}",
            file.display()
        )
    );
}

#[test]
fn a_saved_model_without_a_graph_says_that() {
    let base = BasePath::new();
    let file = base.path().join("1/saved_model.pb");
    fs::create_dir_all(base.path().join("1")).expect("a directory");
    fs::write(&file, "").expect("a file");
    let (code, message) = ended(base.path(), &[]);
    assert_eq!(code, "NOT_FOUND");
    let expected = format!(
        "{NO_SUCH_TAGS}{{ serve }}{CLI}There is no graph in {}",
        file.display()
    );
    assert_eq!(message, expected);
}

#[test]
fn a_saved_model_that_is_damaged_or_cut_short_is_named() {
    let cut = copy("tf1_builder");
    let file = cut.path().join("1/saved_model.pb");
    let whole = fs::read(&file).expect("a file");
    fs::write(&file, &whole[..whole.len() / 2]).expect("a file");
    let nonsense = BasePath::new();
    nonsense.publish_corrupt("1");
    for base in [cut, nonsense] {
        let (code, message) = ended(base.path(), &[]);
        assert_eq!(code, "DATA_LOSS");
        let expected = format!(
            "{} is not a SavedModel: it is cut short or damaged",
            base.path().join("1/saved_model.pb").display()
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn variables_that_are_missing_are_named() {
    let base = copy("tf1_builder");
    let file = base
        .path()
        .join("1/variables/variables.data-00000-of-00001");
    fs::remove_file(&file).expect("it was there");
    let (code, message) = ended(base.path(), &[]);
    assert_eq!(code, "NOT_FOUND");
    let words = format!("{}; No such file or directory", file.display());
    assert!(message.starts_with(&words), "{message}");
}

/// TensorFlow restores variables where there is an index of them, and asks for none.
#[test]
fn without_an_index_of_variables_a_model_loads_and_its_runs_name_what_they_miss() {
    for (model, words) in [
        ("tf1_builder", "Attempting to use uninitialized value w"),
        ("tf2_module", "Could not find variable "),
    ] {
        let base = copy(model);
        fs::remove_dir_all(base.path().join("1/variables")).expect("they were there");
        let server = Server::with_model("m", base.path(), &[]);
        server.wait_for_state("m", "1", "AVAILABLE");
        let answer = server.post("/v1/models/m:predict", r#"{"instances": [[1.0, 2.0]]}"#);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
}
