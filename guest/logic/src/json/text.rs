//! JSON strings: checking, decoding, comparing.

use super::syntax::{Checked, fail, peek};

const BAD_HEX: &str = "Incorrect hex digit after \\u escape in string.";
const BAD_SURROGATE: &str = "The surrogate pair in string is invalid.";
const BAD_ESCAPE: &str = "Invalid escape character in string.";
const UNCLOSED: &str = "Missing a closing quotation mark in string.";

/// Whether a byte inside a string needs a second look.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The number of bytes from `at` on that stand for themselves.
///
/// Eight at a time: a base64 image is one string of megabytes.
pub(crate) fn plain_run(json: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let rest = json.get(at..).unwrap_or_default();
    let (words, _) = rest.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        // The classic zero-byte test; a false alarm only costs a slower step.
        let hit = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash);
        if hit & HIGH != 0 {
            break;
        }
        run += 8;
    }
    run + rest[run..]
        .iter()
        .take_while(|byte| !is_special(**byte))
        .count()
}

/// Checks the string whose opening quote is at `at`. Returns the position behind its end.
pub(crate) fn check(json: &[u8], at: usize) -> Checked {
    let mut at = at + 1;
    loop {
        at += plain_run(json, at);
        match peek(json, at) {
            b'"' => return Ok(at + 1),
            b'\\' => at = check_escape(json, at)?,
            0 => return fail(UNCLOSED, at),
            _ => return fail(BAD_ESCAPE, at),
        }
    }
}

fn check_escape(json: &[u8], at: usize) -> Checked {
    match peek(json, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
        b'u' => {
            let Some(first) = hex4(json, at + 2) else {
                return fail(BAD_HEX, at);
            };
            // A low half alone passes and is written as three bytes; only a high one needs company.
            if !(0xD800..=0xDBFF).contains(&first) {
                return Ok(at + 6);
            }
            if peek(json, at + 6) != b'\\' || peek(json, at + 7) != b'u' {
                return fail(BAD_SURROGATE, at);
            }
            match hex4(json, at + 8) {
                None => fail(BAD_HEX, at),
                Some(0xDC00..=0xDFFF) => Ok(at + 12),
                Some(_) => fail(BAD_SURROGATE, at),
            }
        }
        _ => fail(BAD_ESCAPE, at),
    }
}

fn hex4(json: &[u8], at: usize) -> Option<u32> {
    (0..4).try_fold(0, |value, index| {
        let digit = char::from(peek(json, at + index)).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

/// Appends the content of the string at `at` (which has been checked) to `out`. Returns the
/// position behind its closing quote.
pub(crate) fn decode(json: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let mut at = at + 1;
    loop {
        let run = plain_run(json, at);
        out.extend_from_slice(&json[at..at + run]);
        at += run;
        if peek(json, at) != b'\\' {
            return at + 1;
        }
        at = decode_escape(json, at, out);
    }
}

fn decode_escape(json: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let byte = match peek(json, at + 1) {
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = hex4(json, at + 2).unwrap_or_default();
            let is_pair = (0xD800..=0xDBFF).contains(&first);
            let code = if is_pair {
                let second = hex4(json, at + 8).unwrap_or_default();
                ((first & 0x3FF) << 10 | second & 0x3FF) + 0x10000
            } else {
                first
            };
            push_utf8(code, out);
            return at + if is_pair { 12 } else { 6 };
        }
        other => other,
    };
    out.push(byte);
    at + 2
}

/// UTF-8, and the same pattern for a surrogate half, which is not UTF-8.
fn push_utf8(code: u32, out: &mut Vec<u8>) {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3F) as u8;
    match code {
        0..0x80 => out.push(code as u8),
        0x80..0x800 => out.extend([0xC0 | (code >> 6) as u8, tail(0)]),
        0x800..0x1_0000 => out.extend([0xE0 | (code >> 12) as u8, tail(6), tail(0)]),
        _ => out.extend([0xF0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

/// The content of the checked string `token`, quotes included.
pub(crate) fn decoded(token: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(token.len());
    decode(token, 0, &mut out);
    out
}

/// Whether the checked string `token` (quotes included) says `name`.
pub(crate) fn equals(token: &[u8], name: &[u8]) -> bool {
    let content = &token[1..token.len() - 1];
    if content.contains(&b'\\') {
        decoded(token) == name
    } else {
        content == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes() {
        for (token, bytes) in [
            (&br#""""#[..], &b""[..]),
            (br#""abc""#, b"abc"),
            (br#""\"\\\/\b\f\n\r\t""#, b"\"\\/\x08\x0c\n\r\t"),
            (br#""\u0041\u00e9\u20AC""#, "A\u{e9}\u{20ac}".as_bytes()),
            (br#""\ud83d\ude00""#, "\u{1f600}".as_bytes()),
            (br#""\udc00x""#, b"\xed\xb0\x80x"),
            (br#""\u0000""#, b"\0"),
            (b"\"\xff\x80 raw bytes pass\"", b"\xff\x80 raw bytes pass"),
        ] {
            assert_eq!(check(token, 0), Ok(token.len()));
            assert_eq!(decoded(token), bytes);
            assert!(equals(token, bytes));
            assert!(!equals(token, b"something else"));
        }
    }

    #[test]
    fn long_strings_end_where_they_should() {
        for len in 0..40 {
            let token = format!("\"{}\"rest", "é".repeat(len));
            assert_eq!(check(token.as_bytes(), 0), Ok(token.len() - 4));
            let control = format!("\"{}\u{1f}\"", "a".repeat(len));
            assert_eq!(check(control.as_bytes(), 0).unwrap_err().offset, len + 1);
        }
    }
}
