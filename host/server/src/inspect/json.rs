//! A SavedModel's description for programs.

use super::Description;

/// JSON, indented, with a newline at its end.
pub(crate) fn json(description: &Description) -> String {
    let mut text =
        serde_json::to_string_pretty(description).expect("strings, numbers and lists are JSON");
    text.push('\n');
    text
}
