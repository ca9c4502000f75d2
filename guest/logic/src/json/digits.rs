//! Digits of small numbers, without loops.
//!
//! An answer is mostly digits, and a sandbox charges for every turn of a loop and for every copy
//! of a length that is not known beforehand. So eight digits are made in one register, and text
//! is appended as a block of fixed size that is then cut to its length.

/// The decimal digits of `value`, which is below 10^8, one a byte, the first in the lowest.
fn eight_digits(value: u32) -> u64 {
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    // n / 100 for n below 10^4, and n / 10 for n below 100, by multiplication.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    tens | (twos - tens * 10) << 8
}

const ASCII: u64 = 0x3030_3030_3030_3030;

/// Appends an integer.
pub(crate) fn push_integer(negative: bool, magnitude: u64, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if magnitude >= 100_000_000 {
        push_integer(false, magnitude / 100_000_000, out);
        let digits = eight_digits((magnitude % 100_000_000) as u32) | ASCII;
        out.extend_from_slice(&digits.to_le_bytes());
        return;
    }
    let digits = eight_digits(magnitude as u32);
    // The last digit stays, whatever it is.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = ((digits | ASCII) >> (8 * zeros)).to_le_bytes();
    let end = out.len() + 8 - zeros as usize;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Appends `mantissa`, nine digits, with a point behind the first `exponent + 1` of them
/// (`exponent` from -4 to 8), without zeros at the end but with one digit behind the point.
pub(crate) fn push_fixed(mantissa: u32, exponent: i32, out: &mut Vec<u8>) {
    /// Nine digits and a point, or as many zeros as may stand before them; and eight bytes more,
    /// because the digits behind the point are written as eight, however many there are.
    const BLOCK: usize = 20;
    let first = (mantissa / 100_000_000) as u8 | b'0';
    let rest = eight_digits(mantissa % 100_000_000);
    // One digit, and as many of the rest as there are up to the last that is no zero.
    let used = 9 - (rest.leading_zeros() / 8) as usize;
    let rest = rest | ASCII;
    let from = out.len();
    out.extend_from_slice(&[b'0'; BLOCK]);
    // Written over in place, and never read: the processor would wait for what was just written.
    let Some(text) = out.last_chunk_mut::<BLOCK>() else {
        return;
    };
    let length = if exponent < 0 {
        // 2 to 5: `0.` and the zeros.
        let start = (1 - exponent) as usize & 7;
        text[1] = b'.';
        text[start] = first;
        text[start + 1..start + 9].copy_from_slice(&rest.to_le_bytes());
        start + used
    } else {
        let before = exponent as usize & 15;
        text[0] = first;
        text[1..9].copy_from_slice(&rest.to_le_bytes());
        // In two steps, since all eight may stand before the point.
        let behind = rest >> (4 * before) >> (4 * before) | ASCII;
        text[before + 1] = b'.';
        text[before + 2..before + 10].copy_from_slice(&behind.to_le_bytes());
        used.max(before + 2) + 1
    };
    out.truncate(from + length);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(negative: bool, magnitude: u64) -> String {
        let mut out = Vec::new();
        push_integer(negative, magnitude, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn fixed(mantissa: u32, exponent: i32) -> String {
        let mut out = Vec::new();
        push_fixed(mantissa, exponent, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_have_all_their_digits() {
        let mut value = 1u64;
        for digits in 1..20 {
            for value in [value, value * 10 - 1, value * 7 / 3, value + 1] {
                assert_eq!(integer(false, value), value.to_string(), "{digits} digits");
            }
            value *= 10;
        }
        assert_eq!(integer(false, 0), "0");
        assert_eq!(integer(true, 1 << 63), "-9223372036854775808");
        assert_eq!(integer(false, u64::MAX), "18446744073709551615");
        for value in (0..100_000_000).step_by(9_973) {
            assert_eq!(integer(false, value), value.to_string());
        }
    }

    #[test]
    fn points_stand_where_the_exponent_says() {
        for (exponent, long, short) in [
            (-4, "0.000123456789", "0.0001"),
            (-1, "0.123456789", "0.1"),
            (0, "1.23456789", "1.0"),
            (1, "12.3456789", "10.0"),
            (7, "12345678.9", "10000000.0"),
            (8, "123456789.0", "100000000.0"),
        ] {
            assert_eq!(fixed(123_456_789, exponent), long);
            assert_eq!(fixed(100_000_000, exponent), short);
        }
        assert_eq!(fixed(120_000_000, 3), "1200.0");
        assert_eq!(fixed(123_400_000, 1), "12.34");
    }
}
