//! Numbers, straight from bytes to elements, eight digits at a time.
//!
//! Every function returns the value and the position behind it, or nothing: whatever is unusual
//! (or wrong) is left to the exact code. Written for a sandbox that checks its deadline at every
//! turn of a loop: the usual number is read without one.

use crate::json::decimal::POWERS;
use crate::json::number::{self, Number};

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Powers of ten by how many digits a word held.
const SHIFTS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// The digits at the start of eight bytes: their value and their number.
#[inline(always)]
fn digits_of(word: u64) -> (u64, usize) {
    let values = word ^ ZEROS;
    // Bytes above 9 carry into their top bit. A carry out of one only spoils those behind the
    // first that is no digit.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & HIGH;
    let count = (others.trailing_zeros() / 8) as usize;
    // Zeros in front, so that there are eight digits in any case (in two steps: there may be
    // none, and 64 is too far for one); then pairs, fours, eight.
    let values = values << (32 - 4 * count) << (32 - 4 * count);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF;
    (eight, count)
}

/// The digits at the start of the eight bytes at `at`: their value and their number.
#[inline(always)]
fn digits(json: &[u8], at: usize) -> Option<(u64, usize)> {
    let word: &[u8; 8] = json.get(at..at + 8)?.try_into().ok()?;
    Some(digits_of(u64::from_le_bytes(*word)))
}

/// What a number and what stands behind it fit in, mostly. One look at the length of the body
/// is enough for all of it.
pub(super) const WINDOW: usize = 32;

#[inline(always)]
fn word_of(window: &[u8; WINDOW], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(word)
}

/// A number of the commonest form: `0.1234567`, with one digit before the point and not more
/// than 18 behind it. Its mantissa and power, whether it is negative, and its length.
#[inline(always)]
fn common(window: &[u8; WINDOW]) -> Option<(u64, usize, bool, usize)> {
    let negative = window[0] == b'-';
    let at = usize::from(negative);
    let whole = window[at].wrapping_sub(b'0');
    if whole > 9 || window[at + 1] != b'.' {
        return None;
    }
    let (fraction, count) = digits_of(word_of(window, at + 2));
    let mut mantissa = u64::from(whole) * SHIFTS[count] + fraction;
    let mut power = count;
    if count == 8 {
        let (fraction, count) = digits_of(word_of(window, at + 10));
        mantissa = mantissa * SHIFTS[count] + fraction;
        power += count;
        if count == 8 {
            let (fraction, count) = digits_of(word_of(window, at + 18));
            // Two more, and 9.99 with 18 digits is still below 2^64; the sign bit must be free.
            if count > 2 {
                return None;
            }
            mantissa = mantissa * SHIFTS[count] + fraction;
            power += count;
        }
    }
    let end = at + 2 + power;
    (power > 0 && window[end] | 0x20 != b'e' && mantissa < 1 << 63)
        .then_some((mantissa, power, negative, end))
}

/// A float of the commonest form, and its length.
#[inline(always)]
pub(super) fn common_float(window: &[u8; WINDOW]) -> Option<(f32, usize)> {
    let (mantissa, power, negative, length) = common(window)?;
    let magnitude = mantissa as i64 as f64 / POWERS[power];
    let is_sure = mantissa <= EXACT || !is_near_the_middle(magnitude);
    is_sure.then_some((with_sign(magnitude, negative) as f32, length))
}

/// A double of the commonest form, and its length.
#[inline(always)]
pub(super) fn common_double(window: &[u8; WINDOW]) -> Option<(f64, usize)> {
    let (mantissa, power, negative, length) = common(window)?;
    let magnitude = if mantissa <= EXACT {
        mantissa as i64 as f64 / POWERS[power]
    } else {
        number::decimal(&window[usize::from(negative)..length])
    };
    Some((with_sign(magnitude, negative), length))
}

/// An integer of up to seven digits, and its length.
#[inline(always)]
pub(super) fn common_integer(window: &[u8; WINDOW]) -> Option<(i32, usize)> {
    let negative = window[0] == b'-';
    let at = usize::from(negative);
    let (value, count) = digits_of(word_of(window, at));
    let end = at + count;
    if count == 0
        || count == 8
        || (window[at] == b'0' && count > 1)
        || matches!(window[end], b'.' | b'e' | b'E')
    {
        return None;
    }
    let value = value as i32;
    Some((if negative { -value } else { value }, end))
}

/// A decimal: `mantissa` over ten to the `power`.
struct Plain {
    mantissa: u64,
    power: usize,
    negative: bool,
    end: usize,
}

/// A number without an exponent and with not too many digits.
#[inline(always)]
fn plain(json: &[u8], start: usize) -> Option<Plain> {
    let negative = *json.get(start)? == b'-';
    let at = start + usize::from(negative);
    let (whole, count) = digits(json, at)?;
    if count == 0 || count == 8 || (json[at] == b'0' && count > 1) {
        return None;
    }
    let mut end = at + count;
    let (mut mantissa, mut power) = (whole, 0);
    if *json.get(end)? == b'.' {
        let (fraction, count) = digits(json, end + 1)?;
        if count == 0 {
            return None;
        }
        mantissa = mantissa * SHIFTS[count] + fraction;
        power = count;
        end += 1 + count;
        if count == 8 {
            (mantissa, power, end) = long_fraction(json, mantissa, end)?;
        }
    }
    // An exponent is for the exact code.
    if json.get(end)? | 0x20 == b'e' {
        return None;
    }
    Some(Plain {
        mantissa,
        power,
        // `-0` is an integer, and no integer is a negative zero.
        negative: negative & (mantissa | power as u64 != 0),
        end,
    })
}

/// The rest of a fraction of more than eight digits, as far as the mantissa has room for it.
#[inline]
fn long_fraction(json: &[u8], mut mantissa: u64, mut end: usize) -> Option<(u64, usize, usize)> {
    let mut power = 8;
    for _ in 0..2 {
        let (fraction, count) = digits(json, end)?;
        mantissa = mantissa.checked_mul(SHIFTS[count])?.checked_add(fraction)?;
        power += count;
        end += count;
        if count < 8 {
            return (mantissa < 1 << 63 && power < POWERS.len()).then_some((mantissa, power, end));
        }
    }
    None
}

#[inline(always)]
fn with_sign(magnitude: f64, negative: bool) -> f64 {
    f64::from_bits(magnitude.to_bits() | u64::from(negative) << 63)
}

/// Whether a double that may be off by a unit or two (a mantissa beyond 2^53 makes two roundings)
/// could become the wrong float: only near the middle between two floats.
#[inline(always)]
fn is_near_the_middle(magnitude: f64) -> bool {
    (magnitude.to_bits() & 0x1FFF_FFFF).abs_diff(0x1000_0000) < 8
}

/// Doubles hold integers up to here.
const EXACT: u64 = 1 << 53;

/// A double, rounded correctly.
#[inline(always)]
pub(super) fn double(json: &[u8], at: usize) -> Option<(f64, usize)> {
    if let Some(plain) = plain(json, at)
        && plain.mantissa <= EXACT
    {
        // One rounding: both operands are exact.
        let magnitude = plain.mantissa as i64 as f64 / POWERS[plain.power];
        return Some((with_sign(magnitude, plain.negative), plain.end));
    }
    let (number, end) = any_number(json, at)?;
    Some((number.as_f64(), end))
}

/// What a correctly rounded double becomes as a float.
#[inline(always)]
pub(super) fn float(json: &[u8], at: usize) -> Option<(f32, usize)> {
    if let Some(plain) = plain(json, at) {
        let magnitude = plain.mantissa as i64 as f64 / POWERS[plain.power];
        if plain.mantissa <= EXACT || !is_near_the_middle(magnitude) {
            return Some((with_sign(magnitude, plain.negative) as f32, plain.end));
        }
    }
    let (number, end) = any_number(json, at)?;
    Some((number.as_f64() as f32, end))
}

/// An integer that fits 64 bits.
#[inline(always)]
pub(super) fn integer(json: &[u8], at: usize) -> Option<(Number, usize)> {
    let negative = *json.get(at)? == b'-';
    if let Some((value, count)) = digits(json, at + usize::from(negative)) {
        let first = at + usize::from(negative);
        let end = first + count;
        let is_plain = count > 0 && count < 8 && (json[first] != b'0' || count == 1);
        if is_plain && !matches!(json.get(end)?, b'.' | b'e' | b'E') {
            let number = if negative && value > 0 {
                Number::Negative(-(value as i64))
            } else {
                Number::Natural(value)
            };
            return Some((number, end));
        }
    }
    any_number(json, at)
}

/// Any number, by the exact code.
#[cold]
#[inline(never)]
pub(super) fn any_number(json: &[u8], at: usize) -> Option<(Number, usize)> {
    let end = number::check(json, at).ok()?;
    Some((number::value(&json[at..end]), end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As it would stand in a list; the padding is what lets eight bytes be read.
    fn in_list(text: &str) -> Vec<u8> {
        format!("{text}, 1, 2, 3, 4, 5]").into_bytes()
    }

    fn agree(text: &str) {
        let json = in_list(text);
        let exact = any_number(&json, 0);
        assert_eq!(exact.map(|(_, end)| end), Some(text.len()), "{text}");
        let exact = exact.unwrap().0;
        let (value, end) = double(&json, 0).unwrap();
        assert_eq!(
            (value.to_bits(), end),
            (exact.as_f64().to_bits(), text.len()),
            "{text}"
        );
        let (value, end) = float(&json, 0).unwrap();
        let expected = exact.as_f64() as f32;
        assert_eq!(
            (value.to_bits(), end),
            (expected.to_bits(), text.len()),
            "{text}"
        );
        assert_eq!(integer(&json, 0), Some((exact, text.len())), "{text}");
        common_forms_agree(&json, exact, text.len());
        // And where there is nothing behind it.
        assert_eq!(
            double(text.as_bytes(), 0).map(|(_, end)| end),
            Some(text.len())
        );
    }

    fn common_forms_agree(json: &[u8], exact: Number, length: usize) {
        let mut window = [b' '; WINDOW];
        let taken = json.len().min(WINDOW);
        window[..taken].copy_from_slice(&json[..taken]);
        if let Some((value, end)) = common_float(&window) {
            let expected = exact.as_f64() as f32;
            assert_eq!((value.to_bits(), end), (expected.to_bits(), length));
        }
        if let Some((value, end)) = common_double(&window) {
            assert_eq!((value.to_bits(), end), (exact.as_f64().to_bits(), length));
        }
        if let Some((value, end)) = common_integer(&window) {
            assert_eq!((Some(i64::from(value)), end), (exact.as_i64(), length));
        }
    }

    #[test]
    fn what_clients_send_has_the_common_form() {
        let window = |text: &str| {
            let mut window = [b' '; WINDOW];
            window[..text.len()].copy_from_slice(text.as_bytes());
            window
        };
        for text in ["0.5", "-1.25", "0.12345678901234567", "3.141592653589793"] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(common_double(&window(text)), Some((expected, text.len())));
            assert_eq!(
                common_float(&window(text)),
                Some((expected as f32, text.len()))
            );
        }
        assert_eq!(common_integer(&window("-255")), Some((-255, 4)));
        assert_eq!(common_integer(&window("0")), Some((0, 1)));
    }

    #[test]
    fn every_length_of_number_is_read_as_the_exact_code_reads_it() {
        for whole in [
            "0",
            "7",
            "12",
            "1234567",
            "12345678",
            "123456789012345678901",
        ] {
            for sign in ["", "-"] {
                agree(&format!("{sign}{whole}"));
                for length in 1..24 {
                    let fraction = &"98765432109876543210987654"[..length];
                    agree(&format!("{sign}{whole}.{fraction}"));
                    agree(&format!("{sign}{whole}.{}1", "0".repeat(length)));
                }
                agree(&format!("{sign}{whole}e-3"));
                agree(&format!("{sign}{whole}.5E+2"));
            }
        }
        for special in ["NaN", "-Infinity", "Inf"] {
            let json = in_list(special);
            let (value, end) = float(&json, 0).unwrap();
            assert_eq!(end, special.len());
            assert!(!value.is_finite());
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", "01", ".5", "1.", "1.x", "+1", "x", "1e", "[1]"] {
            let json = in_list(text);
            let read = double(&json, 0).map(|(_, end)| end);
            // `01` is a zero with something behind it, which the list will not like.
            assert!(read.is_none() || text == "01" && read == Some(1), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn random_numbers_are_read_as_the_exact_code_reads_them(
            text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,22})?([eE][-+]?[0-9]{1,2})?"
        ) {
            agree(&text);
        }

        #[test]
        fn floats_near_the_middle_round_as_their_doubles_do(
            // From a millionth to a million.
            bits in 0x3586_37BDu32..0x4974_2400,
            nudge in -3i64..4,
        ) {
            let value = f32::from_bits(bits);
            let middle = (f64::from(value).to_bits() + 0x1000_0000).wrapping_add_signed(nudge);
            let text = format!("{:.17}", f64::from_bits(middle));
            agree(&text);
        }
    }
}
