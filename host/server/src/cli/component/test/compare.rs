//! What came, held against what was expected: the places in which they differ, in words.
//!
//! JSON is compared as JSON: spaces and the order of keys are nothing, and numbers that are no
//! whole ones may differ by a tolerance. Everything else is compared byte for byte.
//!
//! **Invariant:** however much differs, what is said of it has an end.

use std::fmt::Write as _;

use serde_json::Value;

/// Differences that are listed; the others are counted.
const MAX_LISTED: usize = 20;

/// Letters of one value that are shown.
const MAX_SHOWN: usize = 80;

/// The differences between two values of JSON, each with its place.
pub(super) fn json(expected: &Value, got: &Value, tolerance: f64) -> Vec<String> {
    let mut found = Differences {
        tolerance,
        listed: Vec::new(),
        more: 0,
    };
    found.compare("$", expected, got);
    if found.more > 0 {
        let more = found.more;
        found.listed.push(format!("and {more} more differences"));
    }
    found.listed
}

struct Differences {
    tolerance: f64,
    listed: Vec<String>,
    more: usize,
}

impl Differences {
    fn add(&mut self, text: String) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(text);
        } else {
            self.more += 1;
        }
    }

    fn compare(&mut self, place: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => {
                for (key, value) in expected {
                    let place = format!("{place}{}", step(key));
                    match got.get(key) {
                        Some(got) => self.compare(&place, value, got),
                        None => self.add(format!(
                            "{place}: expected {}, got nothing of that name",
                            shown(value)
                        )),
                    }
                }
                for (key, value) in got.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                    self.add(format!(
                        "{place}{}: expected nothing of that name, got {}",
                        step(key),
                        shown(value)
                    ));
                }
            }
            (Value::Array(expected), Value::Array(got)) => {
                if expected.len() != got.len() {
                    self.add(format!(
                        "{place}: expected {} elements, got {}",
                        expected.len(),
                        got.len()
                    ));
                }
                for (at, (expected, got)) in expected.iter().zip(got).enumerate() {
                    self.compare(&format!("{place}[{at}]"), expected, got);
                }
            }
            (Value::Number(one), Value::Number(other)) => {
                if let Some(difference) = self.apart(one, other) {
                    self.add(format!("{place}: expected {one}, got {other}{difference}"));
                }
            }
            _ if expected == got => {}
            _ => self.add(format!(
                "{place}: expected {}, got {}",
                shown(expected),
                shown(got)
            )),
        }
    }

    /// What is to be said of two numbers that are not the same.
    fn apart(&self, expected: &serde_json::Number, got: &serde_json::Number) -> Option<String> {
        let whole = |number: &serde_json::Number| {
            number
                .as_i64()
                .map(i128::from)
                .or(number.as_u64().map(i128::from))
        };
        if let (Some(expected), Some(got)) = (whole(expected), whole(got)) {
            return (expected != got).then(String::new);
        }
        let (Some(expected), Some(got)) = (expected.as_f64(), got.as_f64()) else {
            return (expected != got).then(String::new);
        };
        let apart = (expected - got).abs();
        let allowed = self.tolerance * expected.abs().max(1.0);
        (apart > allowed).then(|| format!(" (apart by {apart:.3e}, allowed {allowed:.3e})"))
    }
}

/// A key as part of a place.
fn step(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !key.is_empty() && key.bytes().all(is_plain) {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}

fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

/// A text of one line, with an end.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// The first difference between two bodies, where they are not the same.
pub(super) fn bytes(expected: &[u8], got: &[u8]) -> Option<String> {
    if expected == got {
        return None;
    }
    let texts = (str::from_utf8(expected), str::from_utf8(got));
    if let (Ok(expected), Ok(got)) = texts {
        return Some(lines(expected, got));
    }
    let same = expected
        .iter()
        .zip(got)
        .take_while(|(one, other)| one == other);
    let at = same.count();
    let (expected_length, got_length) = (expected.len(), got.len());
    Some(format!(
        "from byte {at} on: expected {}, got {} ({expected_length} bytes expected, {got_length} \
         came)",
        hex(&expected[at..]),
        hex(&got[at..])
    ))
}

/// The first line in which two texts differ that are not the same.
fn lines(expected: &str, got: &str) -> String {
    let mut pairs = (1..).zip(expected.split('\n').zip(got.split('\n')));
    if let Some((number, (expected, got))) = pairs.find(|(_, (one, other))| one != other) {
        return format!(
            "line {number}: expected {:?}, got {:?}",
            shortened(expected),
            shortened(got)
        );
    }
    let count = |text: &str| text.split('\n').count();
    format!("expected {} lines, got {}", count(expected), count(got))
}

fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 8;
    if bytes.is_empty() {
        return "its end".to_owned();
    }
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN) {
        // Infallible: a String takes everything.
        let _ = write!(text, "{byte:02x} ");
    }
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(expected: &str, got: &str, tolerance: f64) -> Vec<String> {
        let value = |text: &str| serde_json::from_str(text).unwrap();
        json(&value(expected), &value(got), tolerance)
    }

    #[test]
    fn what_is_the_same_differs_in_nothing() {
        for (expected, got) in [
            (r#"{"a": [1, 2.0], "b": null}"#, r#"{"b":null,"a":[1,2]}"#),
            ("[0.1]", "[0.1000000001]"),
            ("[1e10]", "[10000000000.01]"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(differ(expected, got, 1e-6), [""; 0], "{expected}");
        }
    }

    #[test]
    fn each_difference_has_its_place() {
        for (expected, got, differences) in [
            (
                r#"{"rows": [{"y": 2.5}, {"y": 3}]}"#,
                r#"{"rows": [{"y": 2.5}, {"y": 3.5}]}"#,
                &["$.rows[1].y: expected 3, got 3.5 (apart by 5.000e-1, allowed 3.000e-6)"][..],
            ),
            (
                r#"{"a": 1, "b c": "x"}"#,
                r#"{"a": 2, "d": []}"#,
                &[
                    "$.a: expected 1, got 2",
                    r#"$["b c"]: expected "x", got nothing of that name"#,
                    "$.d: expected nothing of that name, got []",
                ],
            ),
            ("[1, 2]", "[1]", &["$: expected 2 elements, got 1"]),
            ("[1]", "[true]", &["$[0]: expected 1, got true"]),
            // Whole numbers have no tolerance.
            (
                "9007199254740993",
                "9007199254740992",
                &["$: expected 9007199254740993, got 9007199254740992"],
            ),
        ] {
            assert_eq!(differ(expected, got, 1e-6), differences, "{expected}");
        }
    }

    #[test]
    fn many_differences_have_an_end() {
        let expected = format!("[{}0]", "1,".repeat(100));
        let got = format!("[{}0]", "2,".repeat(100));
        let differences = differ(&expected, &got, 0.0);
        assert_eq!(differences.len(), MAX_LISTED + 1);
        assert_eq!(differences[MAX_LISTED], "and 80 more differences");
        let long = format!("\"{}\"", "ä".repeat(1000));
        let differences = differ(&long, "1", 0.0);
        assert!(
            differences[0].contains("… (2002 bytes), got 1"),
            "{differences:?}"
        );
    }

    #[test]
    fn bodies_are_compared_to_the_byte() {
        assert_eq!(bytes(b"a\nb", b"a\nb"), None);
        for (expected, got, difference) in [
            (
                &b"a\nb"[..],
                &b"a\nc"[..],
                "line 2: expected \"b\", got \"c\"",
            ),
            (b"a", b"a\nb", "expected 1 lines, got 2"),
            (
                b"\xff\x01",
                b"\xff\x02\x03",
                "from byte 1 on: expected 01, got 02 03 (2 bytes expected, 3 came)",
            ),
            (
                b"\xff",
                b"\xff\x02",
                "from byte 1 on: expected its end, got 02 (1 bytes expected, 2 came)",
            ),
        ] {
            assert_eq!(bytes(expected, got).as_deref(), Some(difference));
        }
    }
}
