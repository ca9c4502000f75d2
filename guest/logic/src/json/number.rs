//! Numbers: RapidJSON's grammar with its quirks, its classes, and values rounded correctly.
//!
//! RapidJSON's own value of a long decimal can be off in the last place (it is built without its
//! full-precision flag); here it is the nearest. What is accepted, and as which class, is the
//! same.

use super::syntax::{Checked, INVALID_VALUE, fail, peek};

const TOO_BIG: &str = "Number too big to be stored in double.";
const NO_FRACTION: &str = "Miss fraction part in number.";
const NO_EXPONENT: &str = "Miss exponent in number.";

/// A number, by class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// Below zero, and an integer.
    Negative(i64),
    /// An integer, zero (also `-0`) or more.
    Natural(u64),
    /// Everything with a fraction or an exponent, and integers that are too large.
    Double(f64),
}

impl Number {
    /// As a double.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Negative(value) => value as f64,
            Self::Natural(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// As an `int64`, if it is of an integer class that fits.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self {
            Self::Negative(value) => Some(value),
            Self::Natural(value) => i64::try_from(value).ok(),
            Self::Double(_) => None,
        }
    }

    /// As a `uint64`, if it is of an integer class that fits.
    pub(crate) fn as_u64(self) -> Option<u64> {
        match self {
            Self::Natural(value) => Some(value),
            Self::Negative(_) | Self::Double(_) => None,
        }
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn skip_digits(json: &[u8], mut at: usize) -> usize {
    while is_digit(peek(json, at)) {
        at += 1;
    }
    at
}

/// What the integer part leaves behind: RapidJSON counts digits to decide which exponents are too
/// large, and so must we.
struct Significand {
    mantissa: u64,
    digits: u32,
    is_double: bool,
}

/// Checks the number at `at`. Returns the position behind it.
pub(crate) fn check(json: &[u8], start: usize) -> Checked {
    let negative = peek(json, start) == b'-';
    let mut at = start + usize::from(negative);
    let mut significand = Significand {
        mantissa: 0,
        digits: 0,
        is_double: false,
    };
    match peek(json, at) {
        b'0' => at += 1,
        b'1'..=b'9' => at = check_integer(json, start, at, negative, &mut significand)?,
        b'I' | b'N' => at = check_special(json, at)?,
        _ => return fail(INVALID_VALUE, at),
    }
    let mut fraction_digits = 0;
    if peek(json, at) == b'.' {
        at += 1;
        if !is_digit(peek(json, at)) {
            return fail(NO_FRACTION, at);
        }
        (at, fraction_digits) = check_fraction(json, at, &mut significand);
    }
    if matches!(peek(json, at), b'e' | b'E') {
        at = check_exponent(json, start, at + 1, 308 + fraction_digits)?;
    }
    Ok(at)
}

fn check_integer(
    json: &[u8],
    start: usize,
    mut at: usize,
    negative: bool,
    out: &mut Significand,
) -> Checked {
    let limit = if negative { 1 << 63 } else { u64::MAX };
    out.mantissa = u64::from(peek(json, at) - b'0');
    at += 1;
    while is_digit(peek(json, at)) {
        let digit = u64::from(peek(json, at) - b'0');
        let next = out
            .mantissa
            .checked_mul(10)
            .and_then(|value| value.checked_add(digit))
            .filter(|value| *value <= limit);
        let Some(next) = next else {
            out.is_double = true;
            break;
        };
        out.mantissa = next;
        out.digits += 1;
        at += 1;
    }
    // Too long for 64 bits: summed up as a double, whose range is the limit.
    let mut sum = out.mantissa as f64;
    while is_digit(peek(json, at)) {
        if sum >= 1.797_693_134_862_315_7e307 {
            return fail(TOO_BIG, start);
        }
        sum = sum * 10.0 + f64::from(peek(json, at) - b'0');
        at += 1;
    }
    Ok(at)
}

/// `NaN`, `Inf` and `Infinity`; also `NInf` and `NaInf`, because RapidJSON goes on to the second
/// word where the first stopped to match.
fn check_special(json: &[u8], at: usize) -> Checked {
    let (at, is_nan) = match_word(json, at, b"NaN");
    if is_nan {
        return Ok(at);
    }
    let (at, is_infinity) = match_word(json, at, b"Inf");
    if !is_infinity {
        return fail(INVALID_VALUE, at);
    }
    let (at, is_whole) = match_word(json, at, b"inity");
    if is_whole || peek(json, at - 1) == b'f' {
        Ok(at)
    } else {
        fail(INVALID_VALUE, at)
    }
}

/// How far `word` goes on at `at`, and whether that is all of it.
fn match_word(json: &[u8], at: usize, word: &[u8]) -> (usize, bool) {
    let hits = (0..word.len())
        .take_while(|index| peek(json, at + index) == word[*index])
        .count();
    (at + hits, hits == word.len())
}

/// Returns the end of the fraction and how many of its digits RapidJSON keeps.
fn check_fraction(json: &[u8], mut at: usize, significand: &mut Significand) -> (usize, u64) {
    let mut kept = 0;
    if !significand.is_double {
        // 2^53 - 1: up to here it counts in integers.
        while is_digit(peek(json, at)) && significand.mantissa <= 0x1F_FFFF_FFFF_FFFF {
            let digit = u64::from(peek(json, at) - b'0');
            significand.mantissa = significand.mantissa * 10 + digit;
            significand.digits += u32::from(significand.mantissa != 0);
            kept += 1;
            at += 1;
        }
    }
    while is_digit(peek(json, at)) {
        if significand.digits < 17 {
            significand.digits += 1;
            kept += 1;
        }
        at += 1;
    }
    (at, kept)
}

fn check_exponent(json: &[u8], start: usize, mut at: usize, limit: u64) -> Checked {
    let negative = peek(json, at) == b'-';
    at += usize::from(negative || peek(json, at) == b'+');
    if !is_digit(peek(json, at)) {
        return fail(NO_EXPONENT, at);
    }
    if negative {
        return Ok(skip_digits(json, at));
    }
    let mut exponent = u64::from(peek(json, at) - b'0');
    at += 1;
    while is_digit(peek(json, at)) {
        exponent = exponent * 10 + u64::from(peek(json, at) - b'0');
        if exponent > limit {
            return fail(TOO_BIG, start);
        }
        at += 1;
    }
    Ok(at)
}

/// The value of `token`, which has been checked.
pub(crate) fn value(token: &[u8]) -> Number {
    let (negative, body) = match token {
        [b'-', body @ ..] => (true, body),
        body => (false, body),
    };
    if body.iter().all(u8::is_ascii_digit) {
        return integer(negative, body);
    }
    let magnitude = match body[0] {
        b'N' | b'I' => special(body),
        _ => decimal(body),
    };
    Number::Double(if negative { -magnitude } else { magnitude })
}

fn integer(negative: bool, digits: &[u8]) -> Number {
    let magnitude = digits.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    match magnitude {
        Some(0) => Number::Natural(0),
        Some(value) if !negative => Number::Natural(value),
        Some(value) if value <= 1 << 63 => Number::Negative((value as i64).wrapping_neg()),
        _ => {
            let value = decimal(digits);
            Number::Double(if negative { -value } else { value })
        }
    }
}

/// NaN or infinity. A fraction or an exponent behind it makes it a plain number again, with
/// nothing before the point: one more quirk.
fn special(body: &[u8]) -> f64 {
    match body
        .iter()
        .position(|byte| matches!(byte, b'.' | b'e' | b'E'))
    {
        Some(rest) => decimal(&[b"0", &body[rest..]].concat()),
        None if body.ends_with(b"NaN") => f64::NAN,
        None => f64::INFINITY,
    }
}

/// From this length on, digits behind the point can make up for an exponent that is larger than
/// the library counts (2^16 and a little).
const LONG: usize = 1 << 15;

/// Digits that decide how a double is rounded: with this many, one more stands for all others.
const DECISIVE: usize = 800;

/// The nearest double to a decimal; infinity when there is none.
pub(crate) fn decimal(text: &[u8]) -> f64 {
    if text.len() < LONG {
        fast_float2::parse(text).unwrap_or(f64::NAN)
    } else {
        fast_float2::parse(shortened(text)).unwrap_or(f64::NAN)
    }
}

/// The same value without leading zeros and with no more digits than decide it:
/// `0.0001230e7` as `0.123e4`.
fn shortened(text: &[u8]) -> Vec<u8> {
    let (mantissa, exponent) = match text.iter().position(|byte| byte | 0x20 == b'e') {
        Some(at) => (&text[..at], exponent(&text[at + 1..])),
        None => (text, 0),
    };
    let whole = mantissa.iter().position(|byte| *byte == b'.');
    let whole = whole.unwrap_or(mantissa.len());
    let digits = || mantissa.iter().copied().filter(u8::is_ascii_digit);
    let zeros = digits().take_while(|digit| *digit == b'0').count();
    let mut significant = digits().skip(zeros);
    let mut short = b"0.".to_vec();
    short.extend(significant.by_ref().take(DECISIVE));
    short.push(if significant.any(|digit| digit != b'0') {
        b'1'
    } else {
        b'0'
    });
    let exponent = exponent + whole as i64 - zeros as i64;
    // Far outside what a double holds, either way.
    let exponent = exponent.clamp(-9_999, 9_999);
    short.extend_from_slice(format!("e{exponent}").as_bytes());
    short
}

/// What stands behind the `e`, as far as it can matter for a text that fits in memory.
fn exponent(text: &[u8]) -> i64 {
    let magnitude = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0i64, |value, digit| {
            (value * 10 + i64::from(digit - b'0')).min(1 << 50)
        });
    if text.first() == Some(&b'-') {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Number {
        assert_eq!(check(text.as_bytes(), 0), Ok(text.len()), "{text}");
        value(text.as_bytes())
    }

    #[test]
    fn classes_are_those_of_rapidjson() {
        use Number::{Double, Natural, Negative};
        for (text, number) in [
            ("0", Natural(0)),
            ("-0", Natural(0)),
            ("-0.0", Double(-0.0)),
            ("1.0", Double(1.0)),
            ("1e2", Double(100.0)),
            ("-1", Negative(-1)),
            ("18446744073709551615", Natural(u64::MAX)),
            ("18446744073709551616", Double(18_446_744_073_709_551_616.0)),
            ("-9223372036854775808", Negative(i64::MIN)),
            ("-9223372036854775809", Double(-9_223_372_036_854_775_808.0)),
            ("0.1", Double(0.1)),
            ("1e-400", Double(0.0)),
            ("123456e305", Double(f64::INFINITY)),
            ("-Inf", Double(f64::NEG_INFINITY)),
            ("Infinity", Double(f64::INFINITY)),
            ("NaInf", Double(f64::INFINITY)),
            ("Inf.5", Double(0.5)),
            ("-NaNe3", Double(0.0)),
        ] {
            assert_eq!(parse(text), number, "{text}");
        }
        assert!(parse("NaN").as_f64().is_nan());
        assert!(parse("-NaN").as_f64().is_nan());
    }

    #[test]
    fn zeros_and_exponents_without_end_make_up_for_each_other() {
        let zeros = "0".repeat(700_000);
        for (text, number) in [
            (format!("0.{zeros}1e700001"), 1.0),
            (format!("-0.{zeros}125E+700003"), -125.0),
            (format!("0.{zeros}1e700309"), 1e308),
            (format!("0.{zeros}1"), 0.0),
            (format!("0.{zeros}e700308"), 0.0),
            (format!("12.5{zeros}e-1"), 1.25),
            (format!("12.5{zeros}1"), 12.5),
            (format!("1.5e-{zeros}3"), 0.0015),
            (format!("1e-{zeros}99999999999999999999"), 0.0),
            // A half, and what is left of it decides.
            (
                format!("9007199254740993.{zeros}0"),
                9_007_199_254_740_992.0,
            ),
            (
                format!("9007199254740993.{zeros}1"),
                9_007_199_254_740_994.0,
            ),
        ] {
            assert_eq!(parse(&text).as_f64(), number, "{} bytes", text.len());
        }
        let text = format!("0.{zeros}1e700310");
        assert_eq!(check(text.as_bytes(), 0).unwrap_err().text, TOO_BIG);
    }

    #[test]
    fn too_large_exponents_are_errors_where_rapidjson_says_so() {
        for text in ["1e309", "0e400", "0.1e310", "1e99999999999999999999"] {
            assert_eq!(check(text.as_bytes(), 0).unwrap_err().text, TOO_BIG);
        }
        for text in ["1e308", "0.1e309", "0.01e310", "1e-99999999999999999999"] {
            assert_eq!(check(text.as_bytes(), 0), Ok(text.len()));
        }
        let digits = "9".repeat(309);
        assert_eq!(check(digits.as_bytes(), 0).unwrap_err().text, TOO_BIG);
        assert_eq!(check(&digits.as_bytes()[1..], 0), Ok(308));
    }
}
