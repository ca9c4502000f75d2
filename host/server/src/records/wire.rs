//! Protobuf's wire format, as far as a log needs it: fields of a message, each a number and bytes.

use tensorgate_types::Error;

/// A varint, then: a field with a number.
pub(super) fn put_varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// A field with bytes: a string, or another message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_length(out, field, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The beginning of a field with so many bytes, which are to follow.
pub(super) fn put_length(out: &mut Vec<u8>, field: u32, length: u64) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, length);
}

/// A field with a `double`.
pub(super) fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(value as u8);
}

/// The fields of a message that have bytes, in their order; others are passed over.
pub(super) fn fields_with_bytes(mut message: &[u8]) -> Result<Vec<(u64, &[u8])>, Error> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        match tag & 7 {
            0 => {
                take_varint(&mut message)?;
            }
            1 => {
                take(&mut message, 8)?;
            }
            2 => {
                let length = take_varint(&mut message)?;
                fields.push((tag >> 3, take(&mut message, length)?));
            }
            5 => {
                take(&mut message, 4)?;
            }
            _ => return Err(broken()),
        }
    }
    Ok(fields)
}

/// Whether a message has such a field. What is no message has none.
pub(crate) fn has_field(message: &[u8], field: u64) -> bool {
    fields_with_bytes(message).is_ok_and(|fields| fields.iter().any(|(found, _)| *found == field))
}

fn take<'a>(message: &mut &'a [u8], length: u64) -> Result<&'a [u8], Error> {
    let length = usize::try_from(length).map_err(|_| broken())?;
    let (taken, rest) = message.split_at_checked(length).ok_or_else(broken)?;
    *message = rest;
    Ok(taken)
}

fn take_varint(message: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0;
    // Ten bytes of seven bits: what no longer fits is a mistake.
    for shift in (0..70).step_by(7) {
        let byte = take(message, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(broken());
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken())
}

fn broken() -> Error {
    Error::invalid_argument("the message is broken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut message = Vec::new();
        put_varint_field(&mut message, 1, u64::MAX);
        put_bytes(&mut message, 3, b"three");
        put_double(&mut message, 4, 0.5);
        put_bytes(&mut message, 500, &[9; 300]);
        let fields = fields_with_bytes(&message).unwrap();
        assert_eq!(fields, [(3, &b"three"[..]), (500, &[9; 300])]);
    }

    #[test]
    fn refuses_what_is_no_message() {
        for message in [
            &[0x0a][..],
            &[0x0a, 5, 1],
            &[0x0b],
            &[0x08],
            &[0x80; 11],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
            ],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &[0x09, 1, 2],
        ] {
            assert!(fields_with_bytes(message).is_err(), "{message:?}");
        }
    }
}
