//! One line of TensorFlow's log: how severe it is, and what it says.
//!
//! Three forms are written to the same place: absl's before it is initialised
//! (`I0000 00:00:1700000000.123456  1234 file.cc:12] text`), TensorFlow's own
//! (`2026-01-02 03:04:05.678901: W tensorflow/core/file.cc:12] text`), and LiteRT's
//! (`ERROR: [file.cc:12] text`, or without the place).
//!
//! **Invariant:** a pure function; a line that has none of the forms is passed on as it is.

use tracing::Level;

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine<'a> {
    pub(crate) level: Level,
    /// `tensorflow/core/file.cc:12`; empty when the line does not say.
    pub(crate) place: &'a str,
    pub(crate) text: &'a str,
}

/// Takes a line apart.
pub(crate) fn parse(line: &str) -> LogLine<'_> {
    tensorflow_form(line)
        .or_else(|| absl_form(line))
        .or_else(|| litert_form(line))
        .unwrap_or(LogLine {
            level: Level::INFO,
            place: "",
            text: line,
        })
}

fn tensorflow_form(line: &str) -> Option<LogLine<'_>> {
    let (time, rest) = line.split_once(": ")?;
    let looks_like_time =
        time.len() >= 19 && time.bytes().all(|byte| b"0123456789-:. ".contains(&byte));
    if !looks_like_time {
        return None;
    }
    let (letter, rest) = rest.split_once(' ')?;
    let (place, text) = place_and_text(rest)?;
    Some(LogLine {
        level: level(letter)?,
        place,
        text,
    })
}

fn absl_form(line: &str) -> Option<LogLine<'_>> {
    let letter = line.get(..1)?;
    let (digits, rest) = line.get(1..)?.split_once(' ')?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (head, text) = rest.split_once("] ")?;
    Some(LogLine {
        level: level(letter)?,
        place: head.rsplit(' ').next()?,
        text,
    })
}

fn litert_form(line: &str) -> Option<LogLine<'_>> {
    let (word, rest) = line.split_once(": ")?;
    // absl says in the same form that it will use its own, from now on.
    if rest.starts_with("All log messages before absl::") {
        return None;
    }
    let level = match word {
        "DEBUG" | "VERBOSE" | "INFO" => Level::DEBUG,
        "WARNING" => Level::WARN,
        "ERROR" => Level::ERROR,
        _ => return None,
    };
    let (place, text) = rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .unwrap_or(("", rest));
    Some(LogLine { level, place, text })
}

fn place_and_text(rest: &str) -> Option<(&str, &str)> {
    rest.split_once("] ")
        .or_else(|| rest.strip_suffix(']').map(|place| (place, "")))
}

/// TensorFlow's INFO is of use to those who look for a fault in TensorFlow, and to nobody else.
fn level(letter: &str) -> Option<Level> {
    match letter {
        "I" => Some(Level::DEBUG),
        "W" => Some(Level::WARN),
        "E" | "F" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read_and_anything_else_passes_through() {
        for (line, level, place, text) in [
            (
                "2026-01-02 03:04:05.678901: I tensorflow/cc/saved_model/reader.cc:83] Reading \
                 SavedModel from: /m/1",
                Level::DEBUG,
                "tensorflow/cc/saved_model/reader.cc:83",
                "Reading SavedModel from: /m/1",
            ),
            (
                "2026-01-02 03:04:05.678901: W external/x.cc:1] a] b",
                Level::WARN,
                "external/x.cc:1",
                "a] b",
            ),
            (
                "E0000 00:00:1767323045.678901    4321 cuda_dnn.cc:8310] no device",
                Level::ERROR,
                "cuda_dnn.cc:8310",
                "no device",
            ),
            (
                "F0102 03:04:05.678901 77 tensor_shape.cc:404] Check failed: 0 <= n (0 vs. -1)",
                Level::ERROR,
                "tensor_shape.cc:404",
                "Check failed: 0 <= n (0 vs. -1)",
            ),
            (
                "WARNING: All log messages before absl::InitializeLog() is called",
                Level::INFO,
                "",
                "WARNING: All log messages before absl::InitializeLog() is called",
            ),
            (
                "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
                Level::DEBUG,
                "",
                "Created TensorFlow Lite XNNPACK delegate for CPU.",
            ),
            (
                "WARNING: [auto_registration.cc:159] GPU accelerator [0] could not be loaded",
                Level::WARN,
                "auto_registration.cc:159",
                "GPU accelerator [0] could not be loaded",
            ),
            (
                "ERROR: [litert_compiled_model.cc:164] Failed to invoke",
                Level::ERROR,
                "litert_compiled_model.cc:164",
                "Failed to invoke",
            ),
            ("ERROR: [no end", Level::ERROR, "", "[no end"),
            ("", Level::INFO, "", ""),
            ("I000é x] y", Level::INFO, "", "I000é x] y"),
            (
                "note: W is a letter",
                Level::INFO,
                "",
                "note: W is a letter",
            ),
        ] {
            assert_eq!(parse(line), LogLine { level, place, text });
        }
    }
}
