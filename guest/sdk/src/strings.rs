//! Many byte strings in one buffer, as they cross the sandbox's border.

use std::fmt;

use tensorgate_types::{Error, Result};

/// The elements of a string tensor: any bytes, not only UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Strings {
    /// One more than there are strings, from 0, never falling, to the length of `bytes`.
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl Strings {
    /// Strings from their parts, checked.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn from_parts(mut offsets: Vec<u64>, bytes: Vec<u8>) -> Result<Self> {
        if offsets.is_empty() {
            offsets.push(0);
        }
        let ends_fit = offsets.first() == Some(&0) && offsets.last() == Some(&(bytes.len() as u64));
        if ends_fit && offsets.is_sorted() {
            Ok(Self { offsets, bytes })
        } else {
            Err(Error::invalid_argument(
                "the offsets of a string tensor do not fit its bytes",
            ))
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_parts(self) -> (Vec<u64>, Vec<u8>) {
        (self.offsets, self.bytes)
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offsets
            .windows(2)
            // In range: every constructor keeps the offsets within the bytes.
            .map(|pair| &self.bytes[pair[0] as usize..pair[1] as usize])
    }

    /// The strings as text, in order.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the number of the first that is not UTF-8.
    pub fn texts(&self) -> Result<Vec<&str>> {
        self.iter()
            .enumerate()
            .map(|(index, string)| {
                std::str::from_utf8(string).map_err(|_| {
                    Error::invalid_argument(format!("string {index} is not UTF-8 text"))
                })
            })
            .collect()
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for string in strings {
            bytes.extend_from_slice(string.as_ref());
            offsets.push(bytes.len() as u64);
        }
        Self { offsets, bytes }
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(String::from_utf8_lossy))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_any_bytes_in_their_order() {
        let strings = Strings::from_iter([&b"\xff\x00"[..], b"", b"abc"]);
        let all: Vec<&[u8]> = strings.iter().collect();
        assert_eq!(all, [&b"\xff\x00"[..], b"", b"abc"]);
        assert_eq!(
            strings.texts().unwrap_err().message(),
            "string 0 is not UTF-8 text"
        );
        let texts = Strings::from_iter(["a", "b"]);
        assert_eq!(texts.texts().unwrap(), ["a", "b"]);
    }

    #[test]
    fn lying_offsets_are_refused() {
        for (offsets, len) in [
            (vec![], 1),
            (vec![1, 3], 3),
            (vec![0, 4], 3),
            (vec![0, 3, 2, 3], 3),
            (vec![0, u64::MAX], 3),
        ] {
            assert!(Strings::from_parts(offsets, vec![0; len]).is_err());
        }
        assert!(Strings::from_parts(vec![], vec![]).unwrap().is_empty());
    }
}
