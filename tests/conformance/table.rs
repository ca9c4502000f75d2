//! Reads the table of cases, for everybody who runs them: `guest/logic` by itself, and the suite
//! that runs the whole server.
//!
//! **Invariant:** knows the format of the table and nothing of who answers.

/// A request and what must come of it.
pub(crate) struct Case {
    /// What it is about.
    pub(crate) what: &'static str,
    /// `predict`, `classify` or `regress`.
    pub(crate) api: &'static str,
    /// What is sent.
    pub(crate) body: String,
    status: u16,
    /// The answer without white space, or a part of an error's message.
    expected: Expected,
}

enum Expected {
    Answer(String),
    Error(&'static str),
}

impl Case {
    /// Why an answer is not the right one.
    ///
    /// # Errors
    /// What was expected, and what came.
    pub(crate) fn check(&self, status: u16, answer: &str) -> Result<(), String> {
        let (fits, expected) = match &self.expected {
            Expected::Answer(expected) => (compact(answer) == *expected, expected.as_str()),
            Expected::Error(part) => (message(answer).contains(part), *part),
        };
        if fits && status == self.status {
            return Ok(());
        }
        let start: String = self.body.chars().take(200).collect();
        Err(format!(
            "{}\n  {} {start}\n  should give {} {expected}\n  and gave    {status} {}",
            self.what,
            self.api,
            self.status,
            compact(answer)
        ))
    }
}

/// All cases, in the order of the table.
pub(crate) fn cases() -> Vec<Case> {
    let table = include_str!("json_tensor.txt");
    let mut found = Vec::new();
    for block in table.split("\n# ").skip(1) {
        let mut lines = block.lines();
        let (Some(what), Some(call), Some(outcome)) = (lines.next(), lines.next(), lines.next())
        else {
            panic!("a case has three lines: {block}");
        };
        let (api, body) = call.split_once(' ').unwrap_or((call, ""));
        let (status, answer) = outcome.split_once(' ').unwrap_or((outcome, ""));
        let expected = match answer.strip_prefix("~ ") {
            Some(part) => Expected::Error(part),
            None => Expected::Answer(compact(answer)),
        };
        found.push(Case {
            what,
            api,
            body: expand(body),
            status: status.parse().unwrap_or_default(),
            expected,
        });
    }
    found
}

/// `${3*ab}` as `ababab`.
fn expand(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((before, repeat)) = rest.split_once("${") {
        let (count, text) = repeat.split_once('*').unwrap_or((repeat, ""));
        let (text, behind) = text.split_once('}').unwrap_or((text, ""));
        out.push_str(before);
        out.push_str(&text.repeat(count.parse().unwrap_or_default()));
        rest = behind;
    }
    out + rest
}

/// Without the white space between tokens.
fn compact(json: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted || !c.is_whitespace() {
            out.push(c);
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

/// The message in the body of an error, as it was before it became JSON.
fn message(answer: &str) -> String {
    let quoted = compact(answer);
    let quoted = quoted
        .strip_prefix("{\"error\":\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    quoted
        .unwrap_or_default()
        .replace("\\\"", "\"")
        .replace("\\n", "\n")
        .replace("\\\\", "\\")
}
