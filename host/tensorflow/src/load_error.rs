//! What TensorFlow says when it cannot load a SavedModel, with what it leaves out: the file, and
//! what is in it.
//!
//! **Invariant:** TensorFlow's words stay where they are, since monitoring looks for them; ours come
//! after them, and only where its own name the wrong cause do they go.

use std::path::Path;

use tensorgate_types::{Error, ErrorCode, Result};

use crate::describe::{MetaGraph, describe};
use crate::ops;

/// How many tag sets are listed; a SavedModel has one, seldom two or three.
const MAX_LISTED: usize = 16;

/// An error of loading the SavedModel in `dir`.
pub(crate) fn explain(error: Error, dir: &Path) -> Error {
    explain_with(error, dir, || describe(dir))
}

fn explain_with(
    error: Error,
    dir: &Path,
    graphs: impl FnOnce() -> Result<Vec<MetaGraph>>,
) -> Error {
    let message = error.message();
    if message.starts_with("Could not find meta graph def matching supplied tags") {
        let Ok(graphs) = graphs() else {
            return error;
        };
        let there = tag_sets(&graphs, dir);
        return Error::new(error.code(), format!("{message}\n{there}"));
    }
    // Of a file that is cut short or no SavedModel at all, it speaks as if the disk had failed.
    if message == "Read less bytes than requested"
        && let Err(unreadable) = graphs()
    {
        return Error::new(
            ErrorCode::DataLoss,
            format!("{}: it is cut short or damaged", unreadable.message()),
        )
        .with_source(error);
    }
    ops::explain(error)
}

/// What could have been asked for.
fn tag_sets(graphs: &[MetaGraph], dir: &Path) -> String {
    let file = dir.join("saved_model.pb");
    if graphs.is_empty() {
        return format!("There is no graph in {}", file.display());
    }
    let mut sets: Vec<String> = graphs
        .iter()
        .take(MAX_LISTED)
        .map(|graph| format!("{{ {} }}", graph.tags.join(" ")))
        .collect();
    if graphs.len() > MAX_LISTED {
        sets.push("more".to_owned());
    }
    format!(
        "The tag sets in {} are: {}",
        file.display(),
        sets.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_FOUND: &str = "Could not find meta graph def matching supplied tags: { gpu }. To \
                             inspect";

    fn graph(tags: &[&str]) -> MetaGraph {
        MetaGraph {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            tensorflow_version: String::new(),
            signatures: tensorgate_types::Signatures::new(),
        }
    }

    fn explained(error: Error, graphs: Result<Vec<MetaGraph>>) -> (ErrorCode, String) {
        let error = explain_with(error, Path::new("/m/1"), || graphs);
        (error.code(), error.message().to_owned())
    }

    #[test]
    fn tags_that_are_not_there_are_followed_by_those_that_are() {
        for (graphs, expected) in [
            (vec![], "There is no graph in /m/1/saved_model.pb"),
            (
                vec![graph(&["serve"]), graph(&["serve", "tpu"]), graph(&[])],
                "The tag sets in /m/1/saved_model.pb are: { serve }, { serve tpu }, {  }",
            ),
        ] {
            let told = explained(Error::not_found(NOT_FOUND), Ok(graphs));
            assert_eq!(told.0, ErrorCode::NotFound);
            assert_eq!(told.1, format!("{NOT_FOUND}\n{expected}"));
        }
        // A model in text format is not ours to read.
        let told = explained(
            Error::not_found(NOT_FOUND),
            Err(Error::not_found("no such file")),
        );
        assert_eq!(told.1, NOT_FOUND);
        let many = (0..100).map(|_each| graph(&["serve"])).collect();
        let told = explained(Error::not_found(NOT_FOUND), Ok(many));
        assert_eq!(told.1.matches("{ serve }").count(), MAX_LISTED);
        assert!(told.1.ends_with(", more"), "{}", told.1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let short = || Error::new(ErrorCode::OutOfRange, "Read less bytes than requested");
        let no_model = Error::new(
            ErrorCode::DataLoss,
            "/m/1/saved_model.pb is not a SavedModel",
        );
        assert_eq!(
            explained(short(), Err(no_model)),
            (
                ErrorCode::DataLoss,
                "/m/1/saved_model.pb is not a SavedModel: it is cut short or damaged".to_owned()
            )
        );
        // Where the file is whole, something else was short.
        assert_eq!(
            explained(short(), Ok(vec![graph(&["serve"])])),
            (
                ErrorCode::OutOfRange,
                "Read less bytes than requested".to_owned()
            )
        );
    }
}
