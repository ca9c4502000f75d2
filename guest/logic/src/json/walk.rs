//! Walking JSON that has been checked: skipping values, listing members, measuring arrays.
//!
//! **Invariant:** every function trusts the syntax; positions are at the first byte of a value
//! unless said otherwise.

use super::number;
use super::syntax::{peek, skip_whitespace};
use super::text;

/// What a value is, as RapidJSON names types in TensorFlow Serving's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    False,
    True,
    Object,
    Array,
    String,
    Number,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::False => "False",
            Self::True => "True",
            Self::Object => "Object",
            Self::Array => "Array",
            Self::String => "String",
            Self::Number => "Number",
        }
    }
}

pub(crate) fn kind(json: &[u8], at: usize) -> Kind {
    match peek(json, at) {
        b'n' => Kind::Null,
        b'f' => Kind::False,
        b't' => Kind::True,
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        b'"' => Kind::String,
        _ => Kind::Number,
    }
}

/// The position behind the string at `at`.
fn skip_string(json: &[u8], at: usize) -> usize {
    // It has been checked, so there is no error to lose.
    text::check(json, at).unwrap_or(json.len())
}

fn skip_word(json: &[u8], mut at: usize) -> usize {
    while !matches!(
        peek(json, at),
        b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t' | 0
    ) {
        at += 1;
    }
    at
}

/// The position behind the value at `at`.
pub(crate) fn skip_value(json: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    loop {
        match peek(json, at) {
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth -= 1;
                at += 1;
            }
            b'"' => at = skip_string(json, at),
            b',' | b':' => {
                at = skip_whitespace(json, at + 1);
                continue;
            }
            _ => at = skip_word(json, at),
        }
        if depth == 0 {
            return at;
        }
        at = skip_whitespace(json, at);
    }
}

/// The members of the object at `at`: where each name and each value is.
pub(crate) fn members(json: &[u8], at: usize) -> Members<'_> {
    Members {
        json,
        at: skip_whitespace(json, at + 1),
    }
}

/// See [`members`].
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    json: &'a [u8],
    at: usize,
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    /// The name as it stands there, quotes included.
    pub(crate) name: &'a [u8],
    /// Where the value starts.
    pub(crate) value: usize,
}

impl Members<'_> {
    /// The position behind the object, once there are no more members.
    pub(crate) fn end(&self) -> usize {
        self.at + 1
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        if peek(self.json, self.at) == b',' {
            self.at = skip_whitespace(self.json, self.at + 1);
        }
        if peek(self.json, self.at) != b'"' {
            return None;
        }
        let name_end = skip_string(self.json, self.at);
        let name = &self.json[self.at..name_end];
        let colon = skip_whitespace(self.json, name_end);
        let value = skip_whitespace(self.json, colon + 1);
        self.at = skip_whitespace(self.json, skip_value(self.json, value));
        Some(Member { name, value })
    }
}

/// The first member of this name: where its value starts.
pub(crate) fn find_member(json: &[u8], object: usize, name: &str) -> Option<usize> {
    members(json, object)
        .find(|member| text::equals(member.name, name.as_bytes()))
        .map(|member| member.value)
}

/// Where the first element of the array at `at` starts; `None` when it is empty.
pub(crate) fn first_element(json: &[u8], at: usize) -> Option<usize> {
    let first = skip_whitespace(json, at + 1);
    (peek(json, first) != b']').then_some(first)
}

/// Where the next element starts, `end` being the end of one; `None` when that was the last.
pub(crate) fn next_element(json: &[u8], end: usize) -> Option<usize> {
    let at = skip_whitespace(json, end);
    (peek(json, at) == b',').then(|| skip_whitespace(json, at + 1))
}

/// The text of the value at `at`, which is no container.
pub(crate) fn scalar_token(json: &[u8], at: usize) -> &[u8] {
    let end = match kind(json, at) {
        Kind::String => skip_string(json, at),
        Kind::Null | Kind::True => at + 4,
        Kind::False => at + 5,
        // A root may have anything behind it, so that only the grammar knows where it ends.
        _ => number::check(json, at).unwrap_or(json.len()),
    };
    &json[at..end]
}

/// The string under `b64` if the value at `at` is an object of just that one.
pub(crate) fn base64_member(json: &[u8], at: usize) -> Option<&[u8]> {
    if peek(json, at) != b'{' {
        return None;
    }
    let mut members = members(json, at);
    let member = members.next()?;
    let fits = text::equals(member.name, b"b64") && peek(json, member.value) == b'"';
    (fits && members.next().is_none()).then(|| scalar_token(json, member.value))
}

/// The sizes of nested arrays.
#[derive(Debug)]
pub(crate) struct Measure {
    /// The size of every array in the value, in the order in which they open. Arrays within
    /// objects do not count.
    pub(crate) sizes: Vec<u32>,
    /// How many of the first of them are each the first element of the one before: the sizes of
    /// these are the dense shape.
    pub(crate) rank: usize,
}

/// Measures the value at `at` in one pass.
pub(crate) fn measure(json: &[u8], mut at: usize) -> Measure {
    let mut sizes: Vec<u32> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    let mut rank = None;
    loop {
        if peek(json, at) == b'[' {
            open.push(sizes.len() as u32);
            sizes.push(0);
            if let Some(first) = first_element(json, at) {
                at = first;
                if let Some(size) = sizes.last_mut() {
                    *size = 1;
                }
                continue;
            }
            rank.get_or_insert(sizes.len());
            open.pop();
            at = skip_whitespace(json, at + 1) + 1;
        } else {
            rank.get_or_insert(sizes.len());
            at = skip_value(json, at);
        }
        loop {
            let Some(array) = open.last() else {
                return Measure {
                    sizes,
                    rank: rank.unwrap_or_default(),
                };
            };
            if let Some(next) = next_element(json, at) {
                sizes[*array as usize] += 1;
                at = next;
                break;
            }
            open.pop();
            at = skip_whitespace(json, at) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_whole_values() {
        for (json, end) in [
            ("12 ,", 2),
            ("\"a]\" ", 4),
            ("[1, [2, {\"a\": [\"}\"]}], 3] x", 25),
            ("{}", 2),
            ("[ ]", 3),
            ("-NaN]", 4),
        ] {
            assert_eq!(skip_value(json.as_bytes(), 0), end, "{json}");
        }
    }

    #[test]
    fn finds_the_first_of_equal_names() {
        let json = br#"{ "a" : 1 , "\u0062": {"b": 3}, "b": 4, "c": [] }"#;
        assert_eq!(find_member(json, 0, "a"), Some(8));
        assert_eq!(find_member(json, 0, "b"), Some(22));
        assert_eq!(find_member(json, 0, "c"), Some(45));
        assert_eq!(find_member(json, 0, "d"), None);
        assert_eq!(find_member(b"{}", 0, "d"), None);
    }

    #[test]
    fn measures_ragged_arrays() {
        let cases: &[(&str, &[u32], usize)] = &[
            ("5", &[], 0),
            ("[]", &[0], 1),
            ("[[]]", &[1, 0], 2),
            ("[[1,2],[3],[[4]]]", &[3, 2, 1, 1, 1], 2),
            ("[1,[2]]", &[2, 1], 1),
            ("[{\"a\":[1,2]}, 2]", &[2], 1),
            ("[ [ ] , [ 1 ] ]", &[2, 0, 1], 2),
        ];
        for (json, sizes, rank) in cases {
            let measure = measure(json.as_bytes(), 0);
            assert_eq!(
                (&measure.sizes[..], measure.rank),
                (*sizes, *rank),
                "{json}"
            );
        }
    }

    #[test]
    fn only_a_lone_string_member_is_base64() {
        assert_eq!(
            base64_member(br#"{"b64": "eA=="}"#, 0),
            Some(&b"\"eA==\""[..])
        );
        for json in [
            r#"{"b64": 1}"#,
            r#"{"b64":"","a":1}"#,
            "{}",
            "[]",
            r#"{"a":""}"#,
        ] {
            assert_eq!(base64_member(json.as_bytes(), 0), None, "{json}");
        }
    }
}
