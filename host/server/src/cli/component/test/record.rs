//! Recorded requests: `NAME.toml` says what is sent, and what is to come.
//!
//! **Invariant:** everything in one is checked before anything is sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files;

/// What numbers may differ by: a model's floats have seven digits.
const TOLERANCE: f64 = 1e-6;

/// Requests of one project: more are a mistake, such as the wrong directory.
const MAX_RECORDS: usize = 10_000;

/// Bytes of a body, as the server's own bound has it by default.
const MAX_BODY_MIB: u64 = 100;

const JSON: &str = "application/json";

/// The calls that a model answers over REST.
const VERBS: [&str; 3] = ["predict", "classify", "regress"];

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    /// A file with the body, beside this one.
    body: Option<PathBuf>,
    /// The body itself.
    text: Option<String>,
    #[serde(default = "json")]
    content_type: String,
    #[serde(default = "predict")]
    verb: String,
    signature: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "ok")]
    status: u16,
    /// A file with the answer that is expected.
    answer: Option<PathBuf>,
    /// Words that the answer is to have in it.
    contains: Option<String>,
    #[serde(default = "tolerance")]
    tolerance: f64,
}

fn json() -> String {
    JSON.to_owned()
}

fn predict() -> String {
    "predict".to_owned()
}

const fn ok() -> u16 {
    200
}

const fn tolerance() -> f64 {
    TOLERANCE
}

/// A recorded request, ready to be sent.
#[derive(Debug)]
pub(super) struct Record {
    /// The file's name, without its ending.
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    /// What is sent beside it, the content type first.
    pub(super) headers: Vec<(String, String)>,
    verb: String,
    signature: Option<String>,
    pub(super) status: u16,
    /// The file with the answer that is expected; it need not be there yet.
    pub(super) answer: Option<PathBuf>,
    pub(super) contains: Option<String>,
    pub(super) tolerance: f64,
}

impl Record {
    /// Every recorded request of a directory, in the order of their names.
    ///
    /// # Errors
    /// The first that cannot be read, with its file; or that there is none.
    pub(super) fn all(directory: &Path) -> Result<Vec<Self>, String> {
        let shown = directory.display();
        let problem = |error: std::io::Error| format!("cannot read {shown}: {error}");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
            if files.len() > MAX_RECORDS {
                return Err(format!(
                    "{shown} has more than {MAX_RECORDS} recorded requests"
                ));
            }
        }
        if files.is_empty() {
            return Err(format!(
                "{shown} has no recorded requests: expected files NAME.toml"
            ));
        }
        files.sort();
        let one = |file: &PathBuf| {
            Self::read(file).map_err(|problem| format!("{}: {problem}", file.display()))
        };
        files.iter().map(one).collect()
    }

    fn read(file: &Path) -> Result<Self, String> {
        let text = files::text(file).map_err(|error| error.to_string())?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let directory = file.parent().unwrap_or(Path::new("."));
        Self::parse(&text, name.into_owned(), directory)
    }

    fn parse(text: &str, name: String, directory: &Path) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        if !VERBS.contains(&written.verb.as_str()) {
            return Err(format!(
                "verb is {:?}; expected one of: {}",
                written.verb,
                VERBS.join(", ")
            ));
        }
        if !(100..600).contains(&written.status) {
            return Err(format!(
                "status is {}; expected one of HTTP, such as 400",
                written.status
            ));
        }
        if written.tolerance.is_nan() || written.tolerance < 0.0 {
            return Err(format!(
                "tolerance is {}; expected 0 or above",
                written.tolerance
            ));
        }
        let is_json = written.content_type.starts_with(JSON);
        if is_json && written.signature.is_some() {
            return Err(
                "signature is for bodies of the processor's own; JSON says it in the body, as \
                 signature_name"
                    .to_owned(),
            );
        }
        let body = match (&written.body, written.text) {
            (Some(file), None) => {
                let kind = format!("a body of {MAX_BODY_MIB} MiB at most");
                files::read(&directory.join(file), &kind, MAX_BODY_MIB << 20)
                    .map_err(|error| format!("body {}: {error}", file.display()))?
            }
            (None, Some(text)) => text.into_bytes(),
            (None, None) => {
                return Err("it has no body: expected body = \"FILE\" or text = \"...\"".to_owned());
            }
            (Some(_), Some(_)) => {
                return Err("it has both body and text; expected one of them".to_owned());
            }
        };
        let mut headers = vec![("content-type".to_owned(), written.content_type)];
        headers.extend(written.headers);
        for (name, value) in &headers {
            check_header(name, value)?;
        }
        Ok(Self {
            name,
            body,
            headers,
            verb: written.verb,
            signature: written.signature,
            status: written.status,
            answer: written.answer.map(|file| directory.join(file)),
            contains: written.contains,
            tolerance: written.tolerance,
        })
    }

    /// Where it is sent.
    pub(super) fn path(&self, model: &str) -> String {
        let path = format!("/v1/models/{}:{}", encoded(model), self.verb);
        match &self.signature {
            Some(signature) => format!("{path}?signature_name={}", encoded(signature)),
            None => path,
        }
    }
}

/// What cannot be another header, or the end of all.
fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_value = |byte: u8| (b' '..0x7f).contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) || !value.bytes().all(is_value) {
        return Err(format!(
            "{name:?} with the value {value:?} is no header of HTTP"
        ));
    }
    Ok(())
}

use super::super::remote::percent_encode as encoded;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Record, String> {
        Record::parse(text, "r".to_owned(), Path::new("/nowhere"))
    }

    #[test]
    fn little_has_to_be_said() {
        let record = parse("text = '{}'").unwrap();
        assert_eq!(record.path("my model"), "/v1/models/my%20model:predict");
        assert_eq!((record.status, record.tolerance), (200, 1e-6));
        let expected = ("content-type".to_owned(), "application/json".to_owned());
        assert_eq!(record.headers, [expected]);
        assert_eq!((record.answer, record.contains), (None, None));
    }

    #[test]
    fn everything_can_be_said() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("picture.jpg"), b"\xff\xd8").unwrap();
        let text = "body = 'picture.jpg'\ncontent-type = 'image/jpeg'\nverb = 'classify'\n\
                    signature = 'a&b'\nstatus = 404\nanswer = 'answer.json'\ntolerance = 0.5\n\
                    contains = 'no'\nheaders.accept = 'text/plain'";
        let record = Record::parse(text, "r".to_owned(), directory.path()).unwrap();
        assert_eq!(record.body, b"\xff\xd8");
        assert_eq!(
            record.path("m"),
            "/v1/models/m:classify?signature_name=a%26b"
        );
        assert_eq!(record.headers.len(), 2);
        assert_eq!(record.answer, Some(directory.path().join("answer.json")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("", "it has no body"),
            ("text = ''\nbody = 'b'", "both body and text"),
            ("body = 'b'", "body b: No such file"),
            ("text = ''\nanswers = 'b'", "unknown field `answers`"),
            (
                "text = ''\nverb = 'put'",
                "expected one of: predict, classify",
            ),
            ("text = ''\nstatus = 20", "status is 20"),
            ("text = ''\ntolerance = -1.0", "tolerance is -1"),
            ("text = ''\ntolerance = nan", "tolerance is NaN"),
            ("text = ''\nsignature = 's'", "JSON says it in the body"),
            ("text = ''\nheaders.a = \"b\\r\\nc: d\"", "is no header"),
            ("text = ''\nheaders.\"a:b\" = 'c'", "is no header"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        let nothing = tempfile::tempdir().unwrap();
        let problem = Record::all(nothing.path()).unwrap_err();
        assert!(problem.contains("expected files NAME.toml"), "{problem}");
    }
}
