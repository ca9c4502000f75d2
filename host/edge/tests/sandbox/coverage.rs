//! Every program has a test.

use std::fs;
use std::path::Path;

use crate::harness::root;

#[test]
fn every_program_is_run_by_something() {
    let here = root().join("host/edge");
    let mut sources = String::new();
    for folder in ["tests/sandbox", "examples"] {
        read_sources(&here.join(folder), &mut sources);
    }
    let folders = ["tests/programs/examples", "tests/processors/examples"];
    let mut programs: Vec<String> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).expect("the programs"))
        .map(|entry| entry.expect("a program").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    programs.sort();
    assert!(programs.contains(&"echo".to_owned()), "{programs:?}");
    let untested: Vec<&String> = programs
        .iter()
        .filter(|name| !sources.contains(&format!("\"{name}\"")))
        .collect();
    assert!(untested.is_empty(), "programs without a test: {untested:?}");
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("the tests") {
        let path = entry.expect("a file").path();
        sources.push_str(&fs::read_to_string(path).expect("a source file"));
    }
}
