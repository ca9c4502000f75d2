//! Base64 as absl reads and writes it: the standard alphabet, whitespace skipped, padding (`=` or
//! `.`) right or left out.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const INVALID: u8 = 0xFF;

/// Digit values by byte. 256 bytes, so that an image of megabytes costs one load a byte.
const VALUES: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        table[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    table
};

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0D)
}

/// Appends what `text` encodes to `out`; `None` when it is not base64.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.reserve(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0);
    let mut at = 0;
    while at < text.len() {
        // Four digits at a time while there is nothing else.
        if count == 0 {
            at += decode_quads(&text[at..], out);
            if at == text.len() {
                break;
            }
        }
        let byte = text[at];
        let value = VALUES[usize::from(byte)];
        if value == INVALID {
            if !is_space(byte) {
                break;
            }
        } else {
            bits = bits << 6 | u32::from(value);
            count += 1;
            if count == 4 {
                out.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, count) = (0, 0);
            }
        }
        at += 1;
    }
    let expected_padding = match count {
        0 => 0,
        2 => {
            out.push((bits >> 4) as u8);
            2
        }
        3 => {
            out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes());
            1
        }
        _ => return None,
    };
    let mut padding = 0;
    for byte in &text[at..] {
        match byte {
            b'=' | b'.' => padding += 1,
            byte if is_space(*byte) => {}
            _ => return None,
        }
    }
    (padding == 0 || padding == expected_padding).then_some(())
}

/// Decodes the leading groups of four digits; returns how many bytes of `text` that took.
fn decode_quads(text: &[u8], out: &mut Vec<u8>) -> usize {
    let (quads, _) = text.as_chunks::<4>();
    let mut taken = 0;
    for quad in quads {
        let values = quad.map(|byte| u32::from(VALUES[usize::from(byte)]));
        if values.iter().any(|value| *value == u32::from(INVALID)) {
            break;
        }
        let bits = values[0] << 18 | values[1] << 12 | values[2] << 6 | values[3];
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
        taken += 4;
    }
    taken
}

/// Appends `bytes` as padded base64 to `out`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |bits: u32| ALPHABET[(bits & 0x3F) as usize];
    let (triples, rest) = bytes.as_chunks::<3>();
    out.reserve(bytes.len().div_ceil(3) * 4);
    for [a, b, c] in triples {
        let bits = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
        out.extend([
            digit(bits >> 18),
            digit(bits >> 12),
            digit(bits >> 6),
            digit(bits),
        ]);
    }
    match rest {
        [a] => {
            let bits = u32::from(*a) << 16;
            out.extend([digit(bits >> 18), digit(bits >> 12), b'=', b'=']);
        }
        [a, b] => {
            let bits = u32::from(*a) << 16 | u32::from(*b) << 8;
            out.extend([digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), b'=']);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn padding_is_right_or_absent() {
        for text in [
            "aGVsbG8=",
            "aGVsbG8",
            "aGVs bG8=\n",
            " a G V s b G 8 = ",
            "aGVsbG8.",
        ] {
            assert_eq!(decoded(text).as_deref(), Some(&b"hello"[..]), "{text}");
        }
        for text in ["a", "aGVsbG8==", "aGVs=", "aGVsbG8=x", "aGV-", "=", "aGVs!"] {
            assert_eq!(decoded(text), None, "{text}");
        }
        assert_eq!(decoded("").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn encoding_and_decoding_are_inverse() {
        for len in 0..20u8 {
            let bytes: Vec<u8> = (0..len).map(|i| i.wrapping_mul(89) ^ 0xA5).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            assert_eq!(text.len() % 4, 0);
            let mut back = Vec::new();
            decode(&text, &mut back).unwrap();
            assert_eq!(back, bytes);
        }
        let mut text = Vec::new();
        encode(b"hello", &mut text);
        assert_eq!(text, b"aGVsbG8=");
    }
}
