//! Floating-point numbers as TensorFlow Serving prints them: `%g` where six digits are enough to
//! read the same value back, `%.9g` (float) or `%.17g` (double) where they are not, and `.0`
//! behind whatever would look like an integer.
//!
//! A number is scaled to an integer of as many digits as are wanted, in double arithmetic, whose
//! error is known; where that error could matter (near a half, far from 1) the standard library's
//! exact formatting decides.

use super::digits;

/// Powers of ten that a double holds exactly.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// `%g` without a precision.
const SHORT: u32 = 6;
/// Digits that tell any two floats apart.
const FLOAT: u32 = 9;
/// Digits that tell any two doubles apart.
const DOUBLE: u32 = 17;

/// `mantissa`, which has `precision` digits, times ten to the `exponent` of its first digit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Decimal {
    mantissa: u64,
    exponent: i32,
    precision: u32,
}

/// Appends a float.
pub(crate) fn push_f32(value: f32, out: &mut Vec<u8>) {
    if push_sign_and_special(f64::from(value), out) {
        return;
    }
    let magnitude = value.abs();
    let long = scaled(f64::from(magnitude), FLOAT);
    // A float (if not subnormal) is within 2^-24 of what six digits can say, or six digits will
    // not do: that is 60 units of the ninth digit.
    let is_long = |decimal: &Decimal| {
        magnitude >= f32::MIN_POSITIVE && (64..936).contains(&(decimal.mantissa % 1000))
    };
    if let Some(long) = long.filter(is_long) {
        return push_general(long, out);
    }
    let short = short_f32(magnitude).unwrap_or_else(|| {
        let text = format!("{magnitude:.5e}");
        (text.parse() == Ok(magnitude)).then(|| exact(&text, SHORT))
    });
    let decimal = short
        .or(long)
        .unwrap_or_else(|| exact(&format!("{magnitude:.8e}"), FLOAT));
    push_general(decimal, out);
}

/// Appends a double.
pub(crate) fn push_f64(value: f64, out: &mut Vec<u8>) {
    if push_sign_and_special(value, out) {
        return;
    }
    let magnitude = value.abs();
    let short = short_f64(magnitude).unwrap_or_else(|| {
        let text = format!("{magnitude:.5e}");
        (text.parse() == Ok(magnitude)).then(|| exact(&text, SHORT))
    });
    let decimal = short.unwrap_or_else(|| exact(&format!("{magnitude:.16e}"), DOUBLE));
    push_general(decimal, out);
}

/// Appends what needs no digits; says whether that was all.
fn push_sign_and_special(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return true;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(b"Infinity");
    } else if value == 0.0 {
        out.extend_from_slice(b"0.0");
    } else {
        return false;
    }
    true
}

/// Six digits if they read back as `value`; the outer `None` when this arithmetic cannot tell.
fn short_f32(value: f32) -> Option<Option<Decimal>> {
    // Subnormal floats have their halves elsewhere.
    if value < f32::MIN_POSITIVE {
        return None;
    }
    let decimal = scaled(f64::from(value), SHORT)?;
    let back = scale(decimal.mantissa as f64, decimal.exponent + 1 - SHORT as i32)?;
    // The low 29 bits of the double are what a float lacks: near the half, an error of a few
    // units in the double could tip the float over.
    if (back.to_bits() & 0x1FFF_FFFF).abs_diff(0x1000_0000) < 16 {
        return None;
    }
    Some((back as f32 == value).then_some(decimal))
}

/// As [`short_f32`]. A double has no digits to spare, so only exact scaling will do on the way
/// back; on the way there the candidate is right or none is.
fn short_f64(value: f64) -> Option<Option<Decimal>> {
    let (mantissa, exponent) = round_scaled(value, SHORT)?;
    let power = exponent + 1 - SHORT as i32;
    if power.unsigned_abs() as usize >= POWERS.len() {
        return None;
    }
    let rounded = (mantissa + 0.5).floor();
    let back = scale(rounded, power)?;
    Some((back == value).then(|| normalized(rounded, exponent, SHORT)))
}

/// `value` times ten to the `power`, with an error of at most one rounding for each 22 of it.
fn scale(mut value: f64, power: i32) -> Option<f64> {
    let mut left = power.unsigned_abs() as usize;
    // A float needs three steps at the most; more is for the exact way.
    if left > 66 {
        return None;
    }
    loop {
        let step = POWERS[left.min(22)];
        value = if power < 0 {
            value / step
        } else {
            value * step
        };
        if left <= 22 {
            return Some(value);
        }
        left -= 22;
    }
}

/// `value` scaled to `precision` digits before the point, not rounded, and the exponent of its
/// first digit.
fn round_scaled(value: f64, precision: u32) -> Option<(f64, i32)> {
    let binary = (value.to_bits() >> 52) as i32 - 1023;
    // The binary exponent times log10(2), rounded down: right, or one too small.
    let mut exponent = ((i64::from(binary) * 78_913) >> 18) as i32;
    let mut mantissa = scale(value, precision as i32 - 1 - exponent)?;
    if mantissa >= POWERS[precision as usize] {
        exponent += 1;
        mantissa = scale(value, precision as i32 - 1 - exponent)?;
    }
    Some((mantissa, exponent))
}

fn normalized(mantissa: f64, exponent: i32, precision: u32) -> Decimal {
    let carries = mantissa >= POWERS[precision as usize];
    Decimal {
        mantissa: if carries { mantissa / 10.0 } else { mantissa } as u64,
        exponent: exponent + i32::from(carries),
        precision,
    }
}

/// `value` rounded to `precision` (at most 9) digits; `None` when a rounding error could have
/// decided.
fn scaled(value: f64, precision: u32) -> Option<Decimal> {
    let (mantissa, exponent) = round_scaled(value, precision)?;
    let whole = mantissa.floor();
    // Three roundings of at most 1e9 * 2^-53 each are well below this.
    if (mantissa - whole - 0.5).abs() < 1e-6 {
        return None;
    }
    let rounded = if mantissa - whole > 0.5 {
        whole + 1.0
    } else {
        whole
    };
    Some(normalized(rounded, exponent, precision))
}

/// The digits of `1.2345e-6`.
fn exact(text: &str, precision: u32) -> Decimal {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Decimal {
        mantissa,
        exponent: exponent.parse().unwrap_or_default(),
        precision,
    }
}

/// Appends as C's `%g` does, and `.0` if that leaves neither a point nor an exponent.
fn push_general(decimal: Decimal, out: &mut Vec<u8>) {
    let places = match decimal.precision {
        SHORT => Some(1000),
        FLOAT => Some(1),
        _ => None,
    };
    if let Some(places) = places
        && (-4..decimal.precision as i32).contains(&decimal.exponent)
    {
        // Six or nine digits, the usual case, made into nine.
        return digits::push_fixed(decimal.mantissa as u32 * places, decimal.exponent, out);
    }
    let start = out.len();
    push_plain(decimal, out);
    if !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Appends a float as protobuf prints one in JSON: `%.6g` or `%.9g`, names in quotes.
pub(crate) fn push_proto_f32(value: f32, out: &mut Vec<u8>) {
    push_proto(
        f64::from(value),
        [6, 9],
        |text| text.parse() == Ok(value),
        out,
    );
}

/// Appends a double as protobuf prints one in JSON: `%.15g` or `%.17g`, names in quotes.
pub(crate) fn push_proto_f64(value: f64, out: &mut Vec<u8>) {
    push_proto(value, [15, 17], |text| text.parse() == Ok(value), out);
}

fn push_proto(value: f64, digits: [u32; 2], reads_back: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.push(b'"');
        push_sign_and_special(value, out);
        out.push(b'"');
        return;
    }
    let [short, long] = digits.map(|digits| {
        let text = format!("{value:.*e}", digits as usize - 1);
        let decimal = exact(&text, digits);
        (text, decimal)
    });
    let decimal = if reads_back(&short.0) {
        short.1
    } else {
        long.1
    };
    if value.is_sign_negative() {
        out.push(b'-');
    }
    push_plain(decimal, out);
}

/// Appends as C's `%g` does.
fn push_plain(decimal: Decimal, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; DOUBLE as usize];
    let mut mantissa = decimal.mantissa;
    let all = &mut buffer[..decimal.precision as usize];
    for place in all.iter_mut().rev() {
        *place = b'0' + (mantissa % 10) as u8;
        mantissa /= 10;
    }
    let used = all.iter().rposition(|digit| *digit != b'0').unwrap_or(0) + 1;
    let digits = &all[..used];
    let exponent = decimal.exponent;
    if exponent < -4 || exponent >= decimal.precision as i32 {
        push_scientific(digits, exponent, out);
    } else if exponent < 0 {
        out.extend_from_slice(&b"0.000"[..(1 - exponent) as usize]);
        out.extend_from_slice(digits);
    } else {
        let point = exponent as usize + 1;
        if used <= point {
            out.extend_from_slice(digits);
            out.resize(out.len() + point - used, b'0');
        } else {
            out.extend_from_slice(&digits[..point]);
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
    }
}

fn push_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let size = exponent.unsigned_abs();
    if size >= 100 {
        out.push(b'0' + (size / 100) as u8);
    }
    out.push(b'0' + (size / 10 % 10) as u8);
    out.push(b'0' + (size % 10) as u8);
}

#[cfg(test)]
#[path = "decimal_tests.rs"]
mod tests;
