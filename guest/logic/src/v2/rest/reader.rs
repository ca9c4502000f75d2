//! JSON read from front to end, without a tree: whoever reads says what should come next.
//!
//! What is not looked at is checked all the same, so that a body is valid JSON or is refused;
//! [`crate::json`] has the rules.

use tensorgate_types::{Error, Result};

use crate::json::dump::dump;
use crate::json::number::{self, Number};
use crate::json::syntax::{SyntaxError, check_value, peek, root_start, skip_whitespace};
use crate::json::{text, walk};
use crate::request::{Values, fill};

/// A position in a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the root value.
    pub(super) fn new(json: &'a [u8]) -> Self {
        Self {
            json,
            at: root_start(json),
        }
    }

    fn syntax(error: SyntaxError) -> Error {
        Error::invalid_argument(format!(
            "failed to parse the request JSON: {} at byte {}",
            error.text, error.offset
        ))
    }

    fn missing<T>(&self, text: &'static str) -> Result<T> {
        let offset = self.at;
        Err(Self::syntax(SyntaxError { text, offset }))
    }

    /// Why the value here is not what was expected: it may not even be JSON.
    fn wrong<T>(&self, what: &str, expected: &str) -> Result<T> {
        check_value(self.json, self.at).map_err(Self::syntax)?;
        let found: String = dump(self.json, self.at).chars().take(100).collect();
        Err(Error::invalid_argument(format!(
            "{what} is {found}: expected {expected}"
        )))
    }

    /// Goes over a value, whatever it is.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.at = check_value(self.json, self.at).map_err(Self::syntax)?;
        Ok(())
    }

    /// Nothing may follow the root value.
    pub(super) fn end(mut self) -> Result<()> {
        self.at = skip_whitespace(self.json, self.at);
        if self.at < self.json.len() {
            return self.missing("The document root must not be followed by other values.");
        }
        Ok(())
    }

    /// Reads an object: `member` is given each name and must read its value.
    pub(super) fn object(
        &mut self,
        what: &str,
        mut member: impl FnMut(&mut Self, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if peek(self.json, self.at) != b'{' {
            return self.wrong(what, "an object");
        }
        self.at = skip_whitespace(self.json, self.at + 1);
        if peek(self.json, self.at) == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if peek(self.json, self.at) != b'"' {
                return self.missing("Missing a name for object member.");
            }
            let end = text::check(self.json, self.at).map_err(Self::syntax)?;
            let token = &self.json[self.at..end];
            self.at = skip_whitespace(self.json, end);
            if peek(self.json, self.at) != b':' {
                return self.missing("Missing a colon after a name of object member.");
            }
            self.at = skip_whitespace(self.json, self.at + 1);
            let name = &token[1..token.len() - 1];
            if name.contains(&b'\\') {
                member(self, &text::decoded(token))?;
            } else {
                member(self, name)?;
            }
            self.at = skip_whitespace(self.json, self.at);
            match peek(self.json, self.at) {
                b',' => self.at = skip_whitespace(self.json, self.at + 1),
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.missing("Missing a comma or '}' after an object member."),
            }
        }
    }

    /// Reads an array: `element` must read one element.
    pub(super) fn array(
        &mut self,
        what: &str,
        mut element: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if peek(self.json, self.at) != b'[' {
            return self.wrong(what, "an array");
        }
        self.at = skip_whitespace(self.json, self.at + 1);
        if peek(self.json, self.at) == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            self.at = skip_whitespace(self.json, self.at);
            match peek(self.json, self.at) {
                b',' => self.at = skip_whitespace(self.json, self.at + 1),
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.missing("Missing a comma or ']' after an array element."),
            }
        }
    }

    /// A string as it stands there, quotes included.
    pub(super) fn string_token(&mut self, what: &str) -> Result<&'a [u8]> {
        if peek(self.json, self.at) != b'"' {
            return self.wrong(what, "a string");
        }
        let start = self.at;
        self.at = text::check(self.json, start).map_err(Self::syntax)?;
        Ok(&self.json[start..self.at])
    }

    /// A string.
    pub(super) fn string(&mut self, what: &str) -> Result<String> {
        let token = self.string_token(what)?;
        String::from_utf8(text::decoded(token))
            .map_err(|_| Error::invalid_argument(format!("{what} is not UTF-8")))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, what: &str) -> Result<bool> {
        let value = match walk::kind(self.json, self.at) {
            walk::Kind::True => true,
            walk::Kind::False => false,
            _ => return self.wrong(what, "true or false"),
        };
        self.skip()?;
        Ok(value)
    }

    fn number(&mut self, what: &str, expected: &str) -> Result<Number> {
        if walk::kind(self.json, self.at) != walk::Kind::Number {
            return self.wrong(what, expected);
        }
        let start = self.at;
        self.at = number::check(self.json, start).map_err(Self::syntax)?;
        Ok(number::value(&self.json[start..self.at]))
    }

    /// An integer.
    pub(super) fn integer(&mut self, what: &str) -> Result<i64> {
        let before = *self;
        match self.number(what, "an integer")?.as_i64() {
            Some(value) => Ok(value),
            None => before.wrong(what, "an integer"),
        }
    }

    /// An integer that is not negative.
    pub(super) fn natural(&mut self, what: &str) -> Result<u64> {
        let before = *self;
        match self.number(what, "an integer from 0 on")?.as_u64() {
            Some(value) => Ok(value),
            None => before.wrong(what, "an integer from 0 on"),
        }
    }

    /// Whether the value here says something: anything but `null`, `false`, 0 and an empty string.
    pub(super) fn is_set(&mut self) -> Result<bool> {
        let start = self.at;
        self.skip()?;
        Ok(!matches!(
            &self.json[start..self.at],
            b"null" | b"false" | b"0" | b"\"\""
        ))
    }

    /// Reads elements, nested in whatever way, row by row behind what is in `values`.
    pub(super) fn elements(
        &mut self,
        values: &mut Values,
        (input, datatype): (&str, &str),
    ) -> Result<()> {
        let before = values.len();
        if let Some((_, end)) = fill(self.json, self.at, values, false) {
            self.at = end;
            return Ok(());
        }
        // Something is unusual: again, element by element.
        values.truncate(before);
        let mut depth = 0usize;
        loop {
            if peek(self.json, self.at) == b'[' {
                self.at = skip_whitespace(self.json, self.at + 1);
                depth += 1;
                if peek(self.json, self.at) != b']' {
                    continue;
                }
                self.at += 1;
                depth -= 1;
            } else {
                let Some(end) = values.read_one(self.json, self.at) else {
                    let index = values.len();
                    let what = format!("the element {index} of the data of the input '{input}'");
                    return self.wrong(&what, &format!("one of the datatype {datatype}"));
                };
                self.at = end;
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.at = skip_whitespace(self.json, self.at);
                match peek(self.json, self.at) {
                    b',' => {
                        self.at = skip_whitespace(self.json, self.at + 1);
                        break;
                    }
                    b']' => {
                        self.at += 1;
                        depth -= 1;
                    }
                    _ => return self.missing("Missing a comma or ']' after an array element."),
                }
            }
        }
    }
}
