//! TFRecord: records of bytes, each with its length and two check sums.
//!
//! A length is believed when its check sum fits and the file has so many bytes left; so a broken
//! file costs an error and no memory.

use std::io::{ErrorKind, Read};

use tensorgate_types::Error;

/// What TensorFlow adds, so that a check sum of check sums is not a trivial one.
const MASK: u32 = 0xa282_ead8;

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK)
}

/// Appends a record whose data are these parts, one after the other.
pub(crate) fn append_record(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let length = length.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(crc32c::crc32c(&length)).to_le_bytes());
    let mut crc = 0;
    for part in parts {
        crc = crc32c::crc32c_append(crc, part);
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&masked(crc).to_le_bytes());
}

/// Reads records one by one.
#[derive(Debug)]
pub(crate) struct RecordReader<R> {
    input: R,
    offset: u64,
    length: u64,
}

impl<R: Read> RecordReader<R> {
    /// A reader of a file that is `length` bytes long.
    pub(crate) fn new(input: R, length: u64) -> Self {
        Self {
            input,
            offset: 0,
            length,
        }
    }

    /// The next record; `None` at the end of the file.
    ///
    /// # Errors
    /// `DATA_LOSS` when the file is no TFRecord or ends too early, in the words of TensorFlow.
    pub(crate) fn next_record(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let start = self.offset;
        if start == self.length {
            return Ok(None);
        }
        let truncated = || lost(format!("truncated record at {start}"));
        let corrupted = || lost(format!("corrupted record at {start}"));
        let left = self.length - start;
        if left < 12 {
            return Err(truncated());
        }
        let mut header = [0; 12];
        self.read(&mut header, start)?;
        let (length, crc) = header.split_at(8);
        if masked(crc32c::crc32c(length)).to_le_bytes() != crc {
            return Err(corrupted());
        }
        let length = length
            .iter()
            .rev()
            .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        let needed = length.checked_add(16).filter(|needed| *needed <= left);
        let needed = needed.ok_or_else(truncated)?;
        // Not more than the file has.
        let length = usize::try_from(length).map_err(|_| truncated())?;
        let mut data = vec![0; length + 4];
        self.read(&mut data, start)?;
        let crc = data.split_off(length);
        if masked(crc32c::crc32c(&data)).to_le_bytes() != crc.as_slice() {
            return Err(corrupted());
        }
        self.offset += needed;
        Ok(Some(data))
    }

    fn read(&mut self, buffer: &mut [u8], start: u64) -> Result<(), Error> {
        self.input
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                // It has become shorter since it was opened.
                ErrorKind::UnexpectedEof => lost(format!("truncated record at {start}")),
                _ => Error::unavailable(format!("cannot read the record at {start}: {error}")),
            })
    }
}

fn lost(message: String) -> Error {
    Error::new(tensorgate_types::ErrorCode::DataLoss, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(file: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut reader = RecordReader::new(file, file.len() as u64);
        std::iter::from_fn(|| reader.next_record().transpose()).collect()
    }

    #[test]
    fn a_record_is_laid_out_as_tensorflow_lays_it_out() {
        // What tf.io.TFRecordWriter writes for b"abc".
        let mut file = Vec::new();
        append_record(&mut file, &[b"a", b"bc"]);
        let expected = [
            0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0x99, 0x49, 0x0e, 0x61, 0x62,
            0x63, 0x6e, 0x57, 0xf1, 0x21,
        ];
        assert_eq!(file, expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let records: [&[u8]; 3] = [b"one", b"", &[7; 1000]];
        for record in records {
            append_record(&mut file, &[record]);
        }
        assert_eq!(read_all(&file).unwrap(), records);
        assert!(read_all(b"").unwrap().is_empty());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut file = Vec::new();
        append_record(&mut file, &[b"data"]);
        for bit in 0..file.len() * 8 {
            let mut broken = file.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_all(&broken).unwrap_err().code().name(), "DATA_LOSS");
        }
        for length in 1..file.len() {
            let error = read_all(&file[..length]).unwrap_err();
            assert_eq!(error.message(), "truncated record at 0", "{length}");
        }
    }

    #[test]
    fn a_length_without_the_bytes_takes_no_memory() {
        let length = u64::MAX.to_le_bytes();
        let mut file = length.to_vec();
        file.extend_from_slice(&masked(crc32c::crc32c(&length)).to_le_bytes());
        file.extend_from_slice(&[0; 16]);
        assert_eq!(
            read_all(&file).unwrap_err().message(),
            "truncated record at 0"
        );
    }
}
