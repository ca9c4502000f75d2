//! The rules of the source that no compiler checks: who may name what, and how files look.
//!
//! A rule that hurts is changed here, with its reason, in the commit that needs it.

use std::fs;
use std::path::{Path, PathBuf};

use tensorgate_tests::root;

/// Where our sources are.
const ROOMS: [&str; 6] = ["host", "guest", "proto", "tests", "xtask", "examples"];

/// No file is longer: what does not fit wants to be two.
const MAX_LINES: usize = 500;

/// Sources outside `host/tensorflow` that may hold `unsafe` code, and why.
const UNSAFE: &[(&str, &str)] = &[
    (
        "guest/without_std.rs",
        "does what std does for the guests that have it",
    ),
    (
        "tests/programs/examples/",
        "hostile programs do what safe code cannot",
    ),
];

/// Sources outside `host/edge` that may name wasmtime, and why.
const WASMTIME: &[(&str, &str)] = &[
    (
        "host/spin/",
        "runs Spin's apps, whose components import other things than the gateway does",
    ),
    (
        "tests/tests/edge_alone.rs",
        "runs the edge in a host that has WASI and nothing of ours",
    ),
    (
        "tests/bench/examples/parser.rs",
        "measures the parser in a sandbox of its own, with and without deadline checks",
    ),
    (
        "tests/bench/examples/pictures.rs",
        "measures a processor's work in a sandbox that is set as the server's",
    ),
    ("tests/tests/tidy.rs", "says who may"),
];

/// Words of the clients' protocol: whoever in the host writes one has looked into a body.
const BODY_WORDS: &[&str] = &[
    "predictions",
    "\"signature_name",
    "\"instances",
    "\"inputs\":",
    "\"outputs\":",
    "model_version_status",
    "PredictRequest",
    "PredictResponse",
    "ClassificationRequest",
    "RegressionRequest",
    "GetModelMetadataRequest",
];

/// Sources of the host that may write them, and why.
const MAY_WRITE_BODY_WORDS: &[(&str, &str)] = &[
    (
        "host/edge/examples/",
        "they measure what a client's request costs, and so are clients",
    ),
    (
        "host/edge/tests/sandbox/processors.rs",
        "it asks the gateway itself, as a client would",
    ),
];

/// Sources that move elements of tensors between rooms.
const MOVE_ELEMENTS: &[&str] = &[
    "host/batching/src/",
    "host/edge/src/convert.rs",
    "host/edge/src/inference.rs",
    "host/edge/src/lower.rs",
    "host/edge/src/message.rs",
    "host/edge/src/transfer.rs",
    "host/tensorflow/src/feed.rs",
    "host/tensorflow/src/fetch.rs",
];

/// Ways of copying bytes that count nothing.
const COPIES: &[&str] = &[
    "copy_from_slice(",
    "extend_from_slice(",
    "copy_nonoverlapping(",
    "copy_of(",
];

/// A source, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_one_of(&self, list: &[(&str, &str)]) -> bool {
        list.iter().any(|(start, _)| self.path.starts_with(start))
    }

    /// Lines that are no comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources(extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for room in ROOMS {
        collect(&root().join(room), extension, &mut found);
    }
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn collect(directory: &Path, extension: &str, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .expect("a directory of ours can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "__pycache__" {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).expect("a source is text");
            let path = path.strip_prefix(root()).expect("it lies there");
            let path = path.to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

/// Fails with every complaint at once.
fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_source_begins_by_saying_what_it_is_for() {
    let silent: Vec<String> = sources("rs")
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: does not open with //!", source.path))
        .collect();
    assert_tidy(&silent);
}

#[test]
fn no_source_is_too_long() {
    let long: Vec<String> = sources("rs")
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_tidy(&long);
}

#[test]
fn unsafe_code_is_where_tensorflow_is() {
    let words = [
        "unsafe {",
        "unsafe impl",
        "unsafe fn",
        "unsafe extern",
        "unsafe(",
    ];
    let mut complaints = Vec::new();
    for source in sources("rs") {
        let may = source.path.starts_with("host/tensorflow/")
            || source.path == "tests/tests/tidy.rs"
            || source.is_one_of(UNSAFE);
        if may {
            continue;
        }
        for (number, line) in source.code() {
            if words.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn elements_are_copied_by_the_function_that_counts() {
    let mut complaints = Vec::new();
    for source in sources("rs") {
        if !MOVE_ELEMENTS
            .iter()
            .any(|start| source.path.starts_with(start))
        {
            continue;
        }
        // What tests do there is nobody's cost.
        let end = source.text.find("#[cfg(test)]").unwrap_or(usize::MAX);
        let tests = source
            .text
            .get(..end)
            .map_or(usize::MAX, |text| text.lines().count());
        for (number, line) in source.code().take_while(|(number, _)| *number <= tests) {
            if COPIES.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn large_dependencies_are_named_by_one_crate() {
    let mut complaints = Vec::new();
    for source in sources("rs") {
        for (word, owner) in [
            ("wasmtime::", "host/edge/"),
            ("wasmtime_wasi", "host/edge/"),
            ("axum::", "host/server/"),
            ("libloading::", "host/tensorflow/"),
        ] {
            let may = source.path.starts_with(owner) || source.is_one_of(WASMTIME);
            for (number, line) in source.code() {
                if !may && line.contains(word) {
                    complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    for (path, dependencies) in manifests() {
        for (dependency, owners) in [
            (
                "wasmtime",
                &["host/edge", "host/spin", "tests", "tests/bench"][..],
            ),
            ("axum", &["host/server"]),
            ("libloading", &["host/tensorflow"]),
        ] {
            let has = dependencies.iter().any(|name| name == dependency);
            if has && !owners.contains(&path.as_str()) {
                complaints.push(format!("{path}/Cargo.toml: depends on {dependency}"));
            }
        }
    }
    assert_tidy(&complaints);
}

#[test]
fn the_host_knows_no_body() {
    let mut complaints = Vec::new();
    for source in sources("rs") {
        let is_host = source.path.starts_with("host/");
        if !is_host || source.is_one_of(MAY_WRITE_BODY_WORDS) {
            continue;
        }
        for (number, line) in source.code() {
            if BODY_WORDS.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
        // These write texts of their own, and read none; three commands read what a server wrote,
        // and Spin's lock is JSON.
        let may_json = source.path.starts_with("host/spin/")
            || source.path.starts_with("host/server/src/inspect/")
            || source.path == "host/server/src/door/health.rs"
            || source.path == "host/server/src/cli/status.rs"
            || source.path == "host/server/src/cli/component/remote.rs"
            || source.path.starts_with("host/server/src/cli/up/")
            || source
                .path
                .starts_with("host/server/src/cli/component/test/")
            || source.path == "host/server/src/admin/mod.rs";
        if !may_json {
            for (number, line) in source.code() {
                if line.contains("serde_json") {
                    complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    for (path, dependencies) in manifests() {
        let has = dependencies.iter().any(|name| name == "serde_json");
        let may = ["host/server", "host/spin"].contains(&path.as_str());
        if has && path.starts_with("host/") && !may {
            complaints.push(format!("{path}/Cargo.toml: depends on serde_json"));
        }
    }
    assert_tidy(&complaints);
}

/// Every package, with the names of what it depends on, for tests too.
fn manifests() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for source in sources("toml") {
        let Some(package) = source.path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let manifest: toml::Table = source.text.parse().expect("a manifest is TOML");
        let names = ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .filter_map(|kind| manifest.get(*kind)?.as_table())
            .flat_map(|table| table.keys().cloned())
            .collect();
        found.push((package.to_owned(), names));
    }
    assert!(found.len() > 5, "the manifests were not found");
    found
}
