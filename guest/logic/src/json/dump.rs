//! A value printed for an error message: pretty, arrays on one line, cut once it is long.

use super::decimal;
use super::digits::push_integer;
use super::number::{self, Number};
use super::syntax::{peek, skip_whitespace};
use super::text;
use super::walk::scalar_token;
use super::write::Pretty;

/// Nothing more is printed once this many bytes are. Looked at between tokens, so that one long
/// string is printed whole.
const ENOUGH: usize = 256;

/// Prints the checked value at `at`.
pub(crate) fn dump(json: &[u8], mut at: usize) -> String {
    let mut writer = Pretty::new();
    writer.set_single_line_arrays(true);
    while writer.len() < ENOUGH {
        match peek(json, at) {
            b',' | b':' => {
                at = skip_whitespace(json, at + 1);
                continue;
            }
            b'[' => writer.start_array(),
            b'{' => writer.start_object(),
            b']' => writer.end_array(),
            b'}' => writer.end_object(),
            _ => {
                let token = scalar_token(json, at);
                at += token.len() - 1;
                dump_scalar(token, &mut writer);
            }
        }
        if writer.depth() == 0 {
            break;
        }
        at = skip_whitespace(json, at + 1);
    }
    String::from_utf8_lossy(&writer.into_bytes()).into_owned()
}

fn dump_scalar(token: &[u8], writer: &mut Pretty) {
    match token[0] {
        b'"' => writer.string(&text::decoded(token)),
        b'n' | b't' | b'f' => writer.value().extend_from_slice(token),
        _ => dump_number(number::value(token), writer.value()),
    }
}

fn dump_number(value: Number, out: &mut Vec<u8>) {
    match value {
        Number::Natural(value) => push_integer(false, value, out),
        Number::Negative(value) => push_integer(true, value.unsigned_abs(), out),
        // Whatever a float can hold is printed as one.
        Number::Double(value) if value.abs() <= 3.402_823_4e38 => {
            decimal::push_f32(value as f32, out);
        }
        Number::Double(value) => decimal::push_f64(value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_in_the_style_of_tensorflow_serving() {
        for (json, expected) in [
            ("\"x\"", "\"x\""),
            (
                "[1,[2.50, 1e3],\"a\\n\", null]",
                "[1, [2.5, 1000.0], \"a\\n\", null]",
            ),
            (
                "{\"a\":[1],\"b\":{ }}",
                "{\n    \"a\": [1],\n    \"b\": {}\n}",
            ),
            ("0.1234567890", "0.123456791"),
            ("1e300", "1e+300"),
            ("[NaN,-Inf,-0,-0.0]", "[NaN, -Infinity, 0, -0.0]"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(dump(json.as_bytes(), 0), expected);
        }
    }

    #[test]
    fn stops_between_tokens_once_it_is_long() {
        let numbers = format!("[{}]", vec!["1"; 500].join(","));
        let printed = dump(numbers.as_bytes(), 0);
        assert_eq!(printed.len(), 257);
        assert!(printed.starts_with("[1, 1, "));
        let long = format!("[\"{}\", 1]", "a".repeat(300));
        assert_eq!(
            dump(long.as_bytes(), 0),
            format!("[\"{}\"", "a".repeat(300))
        );
        let deep = "[".repeat(500_000) + &"]".repeat(500_000);
        assert_eq!(dump(deep.as_bytes(), 0), "[".repeat(256));
    }
}
