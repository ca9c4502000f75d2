//! Frames between the server and a worker.
//!
//! ```text
//! u32 length of the head │ u64 length of the values │ head │ values
//! ```
//!
//! Small things are in the head, one after another; the bytes of tensors are behind it, each
//! beginning at a multiple of [`ALIGNMENT`] in a buffer that is aligned itself. So a tensor is
//! read off the socket into the memory in which TensorFlow takes it.
//!
//! **Invariant:** no length is believed: a frame has a limit, and everything in it is checked
//! against what was received.

use std::io::{self, IoSlice, Read, Write};

use bytes::Bytes;
use tensorgate_types::{ALIGNMENT, AlignedBuffer, Error, Result};

/// Names, shapes, signatures, errors: what is longer than this is none of them.
const MAX_HEAD: usize = 64 << 20;

/// The values of all tensors of a run: four times what a gRPC message may have.
const MAX_VALUES: u64 = 4 << 30;

const PREFIX: usize = 12;

/// A frame that is being made.
#[derive(Debug)]
pub(crate) struct Pack {
    head: Vec<u8>,
    values: Vec<Bytes>,
    values_len: u64,
}

impl Pack {
    /// A frame of this kind, about the call of this number.
    pub(crate) fn new(kind: u8, number: u64) -> Self {
        let mut pack = Self {
            // The prefix, once the lengths are known.
            head: vec![0; PREFIX],
            values: Vec::new(),
            values_len: 0,
        };
        pack.u8(kind);
        pack.u64(number);
        pack
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.head.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.head.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.head.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.head.extend_from_slice(&value.to_le_bytes());
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) {
        // More than this does not fit into a head, which is checked before it is sent.
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.head.extend_from_slice(bytes);
    }

    /// Elements of a tensor.
    pub(crate) fn value(&mut self, value: Bytes) {
        let len = value.len() as u64;
        self.u64(len);
        self.values_len = aligned(self.values_len).saturating_add(len);
        self.values.push(value);
    }

    /// How many bytes it has, as it is sent.
    pub(crate) fn byte_count(&self) -> u64 {
        self.head.len() as u64 + self.values_len
    }

    /// Whether it may be sent.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when it is too large.
    pub(crate) fn check(&self) -> Result<()> {
        if self.values_len > MAX_VALUES {
            return Err(Error::resource_exhausted(format!(
                "the tensors of a run have {} bytes; to and from a worker they may have \
                 {MAX_VALUES}",
                self.values_len
            )));
        }
        let head = self.head.len() - PREFIX;
        if head > MAX_HEAD {
            return Err(Error::resource_exhausted(format!(
                "what is to be said to or by a worker beside its tensors has {head} bytes; \
                 expected {MAX_HEAD} at most"
            )));
        }
        Ok(())
    }

    /// Writes it whole. Only what [`check`](Self::check) lets through may be sent.
    pub(crate) fn send(mut self, to: &mut impl Write) -> io::Result<()> {
        let head = u32::try_from(self.head.len() - PREFIX).unwrap_or(u32::MAX);
        self.head[..4].copy_from_slice(&head.to_le_bytes());
        self.head[4..PREFIX].copy_from_slice(&self.values_len.to_le_bytes());
        let mut slices = vec![IoSlice::new(&self.head)];
        let mut at = 0_u64;
        for value in &self.values {
            let start = aligned(at);
            slices.push(IoSlice::new(&[0; ALIGNMENT][..(start - at) as usize]));
            slices.push(IoSlice::new(value));
            at = start + value.len() as u64;
        }
        slices.retain(|slice| !slice.is_empty());
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match to.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A frame that has come, read from its beginning.
#[derive(Debug)]
pub(crate) struct Unpack {
    head: Bytes,
    values: Bytes,
    /// Where the next value begins, before it is aligned.
    at: u64,
}

impl Unpack {
    /// Waits for a frame; none when the other side has ended.
    pub(crate) fn receive(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut prefix = [0; PREFIX];
        match from.read_exact(&mut prefix) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [a, b, c, d, values @ ..] = prefix;
        let head = u32::from_le_bytes([a, b, c, d]) as usize;
        let values = u64::from_le_bytes(values);
        if head > MAX_HEAD || values > MAX_VALUES {
            return Err(io::Error::other(format!(
                "a frame with {head} and {values} bytes; expected {MAX_HEAD} and {MAX_VALUES} at \
                 most"
            )));
        }
        let mut head = vec![0; head];
        from.read_exact(&mut head)?;
        // Not more than memory can address: checked against the limit above.
        let mut buffer = AlignedBuffer::zeroed(values as usize);
        from.read_exact(buffer.as_mut_slice())?;
        Ok(Some(Self {
            head: head.into(),
            values: buffer.into_bytes(),
            at: 0,
        }))
    }

    /// How many bytes it had, as long as nothing was read of it.
    pub(crate) fn byte_count(&self) -> u64 {
        (PREFIX + self.head.len() + self.values.len()) as u64
    }

    fn take(&mut self, len: usize) -> Result<Bytes> {
        if len > self.head.len() {
            return Err(malformed());
        }
        Ok(self.head.split_to(len))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.as_ref().try_into().map_err(|_| malformed())
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// How many of something follow; each takes a byte at least, so there are no more than bytes.
    pub(crate) fn count(&mut self) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.head.len() {
            return Err(malformed());
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.into()).map_err(|_| malformed())
    }

    pub(crate) fn value(&mut self) -> Result<Bytes> {
        let len = self.u64()?;
        let start = aligned(self.at);
        let end = start.checked_add(len).ok_or_else(malformed)?;
        if end > self.values.len() as u64 {
            return Err(malformed());
        }
        self.at = end;
        Ok(self.values.slice(start as usize..end as usize))
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<()> {
        if self.head.is_empty() && self.at == self.values.len() as u64 {
            Ok(())
        } else {
            Err(malformed())
        }
    }
}

fn aligned(at: u64) -> u64 {
    at.next_multiple_of(ALIGNMENT as u64)
}

pub(crate) fn malformed() -> Error {
    Error::internal("a message between the server and a worker cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives when a frame is sent.
    fn sent(pack: Pack) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack.check().unwrap();
        let len = pack.byte_count();
        pack.send(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    fn sample() -> Vec<u8> {
        let mut pack = Pack::new(7, 9);
        pack.bytes(b"name");
        pack.value(Bytes::from_static(b"one"));
        pack.i64(-1);
        pack.value(Bytes::new());
        pack.value(Bytes::from(vec![5; 100]));
        sent(pack)
    }

    fn read(frame: &mut Unpack) -> Result<(String, i64, [Bytes; 3])> {
        let (7, 9) = (frame.u8()?, frame.u64()?) else {
            return Err(malformed());
        };
        let name = frame.text()?;
        let one = frame.value()?;
        let number = frame.i64()?;
        let values = [one, frame.value()?, frame.value()?];
        frame.end()?;
        Ok((name, number, values))
    }

    #[test]
    fn what_is_sent_arrives_with_values_aligned() {
        let bytes = sample();
        let mut frame = Unpack::receive(&mut bytes.as_slice()).unwrap().unwrap();
        assert_eq!(frame.byte_count(), bytes.len() as u64);
        let (name, number, values) = read(&mut frame).unwrap();
        assert_eq!((name.as_str(), number), ("name", -1));
        let [one, none, many] = &values;
        assert_eq!(one, &b"one"[..]);
        assert!(none.is_empty());
        assert_eq!(many, &vec![5; 100]);
        for value in [one, many] {
            assert_eq!(value.as_ptr() as usize % ALIGNMENT, 0);
        }
        assert!(Unpack::receive(&mut [].as_slice()).unwrap().is_none());
    }

    #[test]
    fn no_damaged_frame_is_taken_for_more_than_it_is() {
        let bytes = sample();
        for len in 1..bytes.len() {
            let mut cut = &bytes[..len];
            let is_nothing = matches!(Unpack::receive(&mut cut), Err(_) | Ok(None));
            assert!(is_nothing, "{len} bytes are no frame");
        }
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                if byte > 0 && ((1..4).contains(&at) || (5..PREFIX).contains(&at)) {
                    // Only long: gigabytes would be made ready for what does not come.
                    continue;
                }
                let mut bytes = bytes.clone();
                bytes[at] = byte;
                // Whatever comes out, nothing panics and nothing is read past the end.
                if let Ok(Some(mut frame)) = Unpack::receive(&mut bytes.as_slice()) {
                    let _ = read(&mut frame);
                }
            }
        }
    }

    #[test]
    fn what_is_too_large_is_neither_sent_nor_read() {
        let mut pack = Pack::new(0, 0);
        pack.values_len = MAX_VALUES + 1;
        let error = pack.check().unwrap_err();
        assert_eq!(error.code().name(), "RESOURCE_EXHAUSTED");
        let mut bytes = sample();
        bytes[11] = 1;
        let error = Unpack::receive(&mut bytes.as_slice()).unwrap_err();
        assert!(error.to_string().starts_with("a frame with "), "{error}");
    }
}
