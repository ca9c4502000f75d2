//! Header blocks: the one that a call sends, and of those that come back the two fields that say
//! how it went.
//!
//! Invariant: there is no dynamic table. The peer is told so in the settings, and blocks of ours
//! use none; so every block is understood by itself.

use anyhow::{Context as _, Result, bail, ensure};

/// The two fields that matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether `:status` is 200; absent where there was none.
    is_ok: Option<bool>,
    grpc_status: Option<String>,
}

impl Fields {
    /// How the call went.
    ///
    /// # Errors
    /// When the server does not say it.
    pub(super) fn outcome(self) -> Result<Result<(), String>> {
        if self.is_ok == Some(false) {
            return Ok(Err("an HTTP status other than 200".to_owned()));
        }
        let status = self.grpc_status.context("an answer without a status")?;
        Ok(match status.as_str() {
            "0" => Ok(()),
            other => Err(format!("status {other}")),
        })
    }
}

/// The block of a gRPC call to this method.
pub(super) fn call(method: &str) -> Vec<u8> {
    // In the static table: 3 is `:method: POST`, 6 is `:scheme: http`.
    let mut block = vec![0x83, 0x86];
    // Names in the static table: 4 is `:path`, 1 is `:authority`, 31 is `content-type`.
    literal(&mut block, 4, method);
    literal(&mut block, 1, "localhost");
    literal(&mut block, 31, "application/grpc");
    // A literal without indexing, whose name follows.
    block.push(0);
    text(&mut block, "te");
    text(&mut block, "trailers");
    block
}

fn literal(block: &mut Vec<u8>, name: usize, value: &str) {
    integer(block, 0, 4, name);
    text(block, value);
}

fn text(block: &mut Vec<u8>, value: &str) {
    integer(block, 0, 7, value.len());
    block.extend_from_slice(value.as_bytes());
}

/// An integer whose first `bits` bits share their byte with `flags`.
fn integer(block: &mut Vec<u8>, flags: u8, bits: u32, mut value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        block.push(flags | low_byte(value));
        return;
    }
    block.push(flags | low_byte(most));
    value -= most;
    while value >= 0x80 {
        block.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    block.push(low_byte(value));
}

fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

/// Looks for the fields in a block.
///
/// # Errors
/// When it is none.
pub(super) fn read(mut block: &[u8], fields: &mut Fields) -> Result<()> {
    while let Some(first) = block.first().copied() {
        if first & 0x80 != 0 {
            let index = take_integer(&mut block, 7)?;
            // 8 to 14 are `:status` with values; 8 is 200.
            if (8..=14).contains(&index) {
                fields.is_ok = Some(index == 8);
            }
            ensure!(
                index <= 61,
                "a field of a dynamic table, which there is not"
            );
            continue;
        }
        if first & 0xe0 == 0x20 {
            // The peer says that its table is empty.
            take_integer(&mut block, 5)?;
            continue;
        }
        let bits = if first & 0x40 != 0 { 6 } else { 4 };
        let index = take_integer(&mut block, bits)?;
        let name = match index {
            0 => Some(take_text(&mut block)?),
            _ => None,
        };
        let value = take_text(&mut block)?;
        if (8..=14).contains(&index) {
            fields.is_ok = Some(value.digits().as_deref() == Some("200"));
        }
        if name.is_some_and(|name| name.is_grpc_status()) {
            fields.grpc_status = value.digits();
        }
    }
    Ok(())
}

fn take_integer(block: &mut &[u8], bits: u32) -> Result<usize> {
    let most = (1usize << bits) - 1;
    let mut value = usize::from(take_byte(block)?) & most;
    if value < most {
        return Ok(value);
    }
    // Four bytes more are 28 bits: nothing here is longer.
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(take_byte(block)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("an integer that does not end")
}

fn take_byte(block: &mut &[u8]) -> Result<u8> {
    let (first, rest) = block.split_first().context("a header block is cut off")?;
    *block = rest;
    Ok(*first)
}

/// A string of a header block.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    /// Whether it is in Huffman's code.
    is_coded: bool,
    bytes: &'a [u8],
}

fn take_text<'a>(block: &mut &'a [u8]) -> Result<Text<'a>> {
    let is_coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = take_integer(block, 7)?;
    ensure!(length <= block.len(), "a header block is cut off");
    let (bytes, rest) = block.split_at(length);
    *block = rest;
    Ok(Text { is_coded, bytes })
}

impl Text<'_> {
    fn is_grpc_status(self) -> bool {
        // `grpc-status` in the code of RFC 7541, its last bits ones.
        const CODED: [u8; 8] = [0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
        if self.is_coded {
            self.bytes == CODED
        } else {
            self.bytes == b"grpc-status"
        }
    }

    /// The text, if it is a number of up to three digits.
    fn digits(self) -> Option<String> {
        let digits = if self.is_coded {
            decode_digits(self.bytes)?
        } else {
            String::from_utf8(self.bytes.to_vec()).ok()?
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && (1..=3).contains(&digits.len())).then_some(digits)
    }
}

/// Digits in the code of RFC 7541: 0 to 2 have five bits, 3 to 9 have six; ones fill the last byte.
fn decode_digits(bytes: &[u8]) -> Option<String> {
    if bytes.len() > 3 {
        return None;
    }
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)))
        .collect::<Vec<_>>();
    let mut digits = String::new();
    while !(bits.len() < 8 && bits.iter().all(|bit| *bit == 1)) {
        let value = |count: usize| {
            let code = bits.get(..count)?;
            Some(code.iter().fold(0, |value, bit| value << 1 | bit))
        };
        let (digit, count) = match (value(5)?, value(6)) {
            (short @ 0..=2, _) => (short, 5),
            (_, Some(long @ 25..=31)) => (long - 22, 6),
            _ => return None,
        };
        digits.push(char::from_digit(digit, 10)?);
        bits.drain(..count);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of RFC 7541 for the letters of the name.
    fn coded(name: &str) -> Vec<u8> {
        let mut bits = String::new();
        for letter in name.chars() {
            bits.push_str(match letter {
                'g' => "100110",
                'r' => "101100",
                'p' => "101011",
                'c' => "00100",
                '-' => "010110",
                's' => "01000",
                't' => "01001",
                'a' => "00011",
                'u' => "101101",
                '1' => "00001",
                '4' => "011010",
                _ => panic!("no code for {letter}"),
            });
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let bytes = bits.as_bytes().chunks(8);
        bytes
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    fn outcome(block: &[u8]) -> Result<Result<(), String>> {
        let mut fields = Fields::default();
        read(block, &mut fields)?;
        fields.outcome()
    }

    /// A literal whose name and value are in Huffman's code.
    fn literal_of(name: &str, value: &str) -> Vec<u8> {
        let mut block = vec![0x00];
        for text in [name, value] {
            let bytes = coded(text);
            integer(&mut block, 0x80, 7, bytes.len());
            block.extend(bytes);
        }
        block
    }

    #[test]
    fn reads_a_status_in_either_code() {
        assert_eq!(outcome(b"\x00\x0bgrpc-status\x010").unwrap(), Ok(()));
        let refused = outcome(&literal_of("grpc-status", "14")).unwrap();
        assert_eq!(refused, Err("status 14".to_owned()));
    }

    #[test]
    fn passes_over_other_fields() {
        let mut block = vec![0x20, 0x88];
        // content-type, with indexing, which does nothing in an empty table.
        block.extend(b"\x5f\x10application/grpc");
        block.extend(literal_of("cat", "1"));
        block.extend(b"\x40\x0bgrpc-status\x015");
        assert_eq!(outcome(&block).unwrap(), Err("status 5".to_owned()));
    }

    #[test]
    fn an_answer_must_have_a_status() {
        assert!(outcome(&[0x88]).is_err());
        assert!(outcome(&[0x8e]).unwrap().is_err(), "500");
        assert!(outcome(b"\x08\x03503").unwrap().is_err());
    }

    #[test]
    fn a_spoiled_block_is_an_error_and_no_panic() {
        let whole = [&[0x20, 0x88][..], &literal_of("grpc-status", "14")].concat();
        for length in 3..whole.len() {
            assert!(outcome(&whole[..length]).is_err(), "{length}");
        }
        assert!(outcome(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        // Entry 62 would be the first of a dynamic table.
        assert!(outcome(&[0xbe]).is_err());
    }

    #[test]
    fn decodes_all_digits() {
        // 0 to 9 one by one: the code, filled with ones.
        let codes = [0x07, 0x0f, 0x17, 0x67, 0x6b, 0x6f, 0x73, 0x77, 0x7b, 0x7f];
        for (digit, code) in codes.into_iter().enumerate() {
            assert_eq!(decode_digits(&[code]), Some(digit.to_string()));
        }
        assert_eq!(decode_digits(&coded("14")), Some("14".to_owned()));
        assert_eq!(decode_digits(&[0x9a]), None);
    }

    #[test]
    fn writes_what_it_reads() {
        let block = call("/tensorflow.serving.PredictionService/Predict");
        let mut rest = &block[2..];
        assert_eq!(take_integer(&mut rest, 4).unwrap(), 4);
        let path = take_text(&mut rest).unwrap();
        assert_eq!(path.bytes, b"/tensorflow.serving.PredictionService/Predict");
        assert_eq!(take_integer(&mut rest, 4).unwrap(), 1);
        assert_eq!(take_text(&mut rest).unwrap().bytes, b"localhost");
        assert_eq!(take_integer(&mut rest, 4).unwrap(), 31);
    }
}
