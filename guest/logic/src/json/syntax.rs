//! What RapidJSON 1.1.0 accepts, and its errors: text and offset.
//!
//! The flags are TensorFlow Serving's: iterative (any depth), NaN and infinities, stop when the
//! root value is done (whatever follows is ignored). A NUL byte is the end of the text, there as
//! here. Each function reads from a position and returns the one behind what it has read.
//!
//! **Invariant:** the stack of open containers is a bit each, so depth costs next to nothing.

use super::number;
use super::text;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) text: &'static str,
    pub(crate) offset: usize,
}

pub(crate) type Checked = Result<usize, SyntaxError>;

pub(crate) const EMPTY: &str = "The document is empty.";
pub(crate) const INVALID_VALUE: &str = "Invalid value.";
const MISSING_NAME: &str = "Missing a name for object member.";
const MISSING_COLON: &str = "Missing a colon after a name of object member.";
const MISSING_IN_OBJECT: &str = "Missing a comma or '}' after an object member.";
const MISSING_IN_ARRAY: &str = "Missing a comma or ']' after an array element.";

pub(crate) fn fail<T>(text: &'static str, offset: usize) -> Result<T, SyntaxError> {
    Err(SyntaxError { text, offset })
}

/// The byte at `at`; NUL behind the end.
pub(crate) fn peek(json: &[u8], at: usize) -> u8 {
    json.get(at).copied().unwrap_or(0)
}

/// The position of the first byte from `at` on that is not whitespace.
pub(crate) fn skip_whitespace(json: &[u8], mut at: usize) -> usize {
    while matches!(peek(json, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Where the root value starts: behind a byte order mark (RapidJSON skips each of its three bytes
/// by itself, if it is there) and whitespace.
pub(crate) fn root_start(json: &[u8]) -> usize {
    let mut at = 0;
    for mark in [0xEF, 0xBB, 0xBF] {
        at += usize::from(peek(json, at) == mark);
    }
    skip_whitespace(json, at)
}

/// Checks a document. Returns where its root value ends.
pub(crate) fn check_document(json: &[u8]) -> Checked {
    let start = root_start(json);
    match peek(json, start) {
        0 | b']' | b'}' | b',' | b':' => fail(EMPTY, start),
        _ => check_value(json, start),
    }
}

/// The open containers, a bit each: set for an object.
#[derive(Default)]
struct Nesting {
    words: Vec<u64>,
    depth: usize,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
    }

    /// Closes the innermost container; whether one is left, and whether it is an object.
    fn pop(&mut self) -> Option<bool> {
        self.depth -= 1;
        let inner = self.depth.checked_sub(1)?;
        Some(self.words[inner / 64] >> (inner % 64) & 1 == 1)
    }
}

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    FirstElement,
    FirstName,
    Value,
    Name,
    AfterValue,
}

/// Checks the value that starts at `at`, where there is no whitespace. Returns its end.
pub(crate) fn check_value(json: &[u8], mut at: usize) -> Checked {
    let mut nesting = Nesting::default();
    let mut expect = Expect::Value;
    let mut in_object = false;
    loop {
        let byte = peek(json, at);
        let closes = match expect {
            Expect::FirstElement => byte == b']',
            Expect::FirstName => byte == b'}',
            Expect::AfterValue => byte == if in_object { b'}' } else { b']' },
            Expect::Value | Expect::Name => false,
        };
        match expect {
            _ if closes => {
                at += 1;
                match nesting.pop() {
                    None => return Ok(at),
                    Some(outer_is_object) => in_object = outer_is_object,
                }
                expect = Expect::AfterValue;
            }
            Expect::FirstName | Expect::Name => {
                at = check_name_and_colon(json, at)?;
                expect = Expect::Value;
            }
            Expect::FirstElement | Expect::Value if matches!(byte, b'[' | b'{') => {
                in_object = byte == b'{';
                nesting.push(in_object);
                at += 1;
                expect = if in_object {
                    Expect::FirstName
                } else {
                    Expect::FirstElement
                };
            }
            Expect::FirstElement | Expect::Value => {
                at = check_scalar(json, at)?;
                if nesting.depth == 0 {
                    return Ok(at);
                }
                expect = Expect::AfterValue;
            }
            Expect::AfterValue if byte == b',' => {
                at += 1;
                expect = if in_object {
                    Expect::Name
                } else {
                    Expect::Value
                };
            }
            Expect::AfterValue if in_object => return fail(MISSING_IN_OBJECT, at),
            Expect::AfterValue => return fail(MISSING_IN_ARRAY, at),
        }
        at = skip_whitespace(json, at);
    }
}

fn check_name_and_colon(json: &[u8], at: usize) -> Checked {
    if peek(json, at) != b'"' {
        return fail(MISSING_NAME, at);
    }
    let at = skip_whitespace(json, text::check(json, at)?);
    if peek(json, at) == b':' {
        Ok(at + 1)
    } else {
        fail(MISSING_COLON, at)
    }
}

fn check_scalar(json: &[u8], at: usize) -> Checked {
    match peek(json, at) {
        b'"' => text::check(json, at),
        b'n' => check_word(json, at, b"null"),
        b't' => check_word(json, at, b"true"),
        b'f' => check_word(json, at, b"false"),
        _ => number::check(json, at),
    }
}

fn check_word(json: &[u8], at: usize, word: &[u8]) -> Checked {
    for (index, expected) in word.iter().enumerate() {
        if peek(json, at + index) != *expected {
            return fail(INVALID_VALUE, at + index);
        }
    }
    Ok(at + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> (&'static str, usize) {
        let error = check_document(json.as_bytes()).unwrap_err();
        (error.text, error.offset)
    }

    #[test]
    fn errors_are_those_of_rapidjson() {
        for (json, text, offset) in [
            ("", EMPTY, 0),
            ("   ", EMPTY, 3),
            ("]", EMPTY, 0),
            ("instances = [1, 2]", INVALID_VALUE, 0),
            ("{\"a\":1", MISSING_IN_OBJECT, 6),
            ("[1 2]", MISSING_IN_ARRAY, 3),
            ("[1,]", INVALID_VALUE, 3),
            ("{\"a\":1,}", MISSING_NAME, 7),
            ("{,}", MISSING_NAME, 1),
            ("{\"a\" 1}", MISSING_COLON, 5),
            ("{\"a\":,}", INVALID_VALUE, 5),
            ("{\"a\":", INVALID_VALUE, 5),
            ("[nul]", INVALID_VALUE, 4),
            ("[01]", MISSING_IN_ARRAY, 2),
            ("[.5]", INVALID_VALUE, 1),
            ("[+1]", INVALID_VALUE, 1),
            ("[1.]", "Miss fraction part in number.", 3),
            ("[1e]", "Miss exponent in number.", 3),
            ("[1e400]", "Number too big to be stored in double.", 1),
            ("['a']", INVALID_VALUE, 1),
            ("[Nan]", INVALID_VALUE, 3),
            ("[\"a", "Missing a closing quotation mark in string.", 3),
            ("[\"\\x\"]", "Invalid escape character in string.", 2),
            (
                "[\"\\u12g4\"]",
                "Incorrect hex digit after \\u escape in string.",
                2,
            ),
            (
                "[\"\\ud800\"]",
                "The surrogate pair in string is invalid.",
                2,
            ),
            ("[1\0]", MISSING_IN_ARRAY, 2),
        ] {
            assert_eq!(error(json), (text, offset), "{json:?}");
        }
    }

    #[test]
    fn accepts_what_rapidjson_accepts() {
        for json in [
            "{}",
            "[]",
            " [ ] x",
            "{\"a\":[1,{\"b\":null}],\"a\":true} trailing",
            "\u{feff}[1]",
            "[NaN,-NaN,Inf,-Inf,Infinity,-Infinity,-0,1e-400]",
            "[\"\\ud83d\\ude00 \\udc00 \\/\"]",
            "12",
        ] {
            assert!(check_document(json.as_bytes()).is_ok(), "{json:?}");
        }
        assert!(check_document(b"[\"\xff\xfe\"]").is_ok());
    }

    #[test]
    fn depth_is_no_limit() {
        let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        assert_eq!(check_document(deep.as_bytes()), Ok(1_000_000));
        let open = "{\"a\":[".repeat(500_000);
        assert_eq!(error(&open), (INVALID_VALUE, open.len()));
    }
}
