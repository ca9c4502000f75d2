//! Whole words, as Keras's `TextVectorization` has them.

use tensorgate_types::Result;

use super::vocabulary::Vocabulary;
use super::{Batch, batch};
use crate::tensor::Element;

/// The numbers of padding and of words that the vocabulary does not have, in `TextVectorization`.
const PADDING: i32 = 0;
const UNKNOWN: i32 = 1;

/// Text to words, by `TextVectorization`'s defaults: small letters (of ASCII), marks left out, split
/// at blanks. The vocabulary is what its `get_vocabulary()` gives, one a line: the first line is
/// empty, the second `[UNK]`.
#[derive(Debug, Clone)]
pub struct Words(Vocabulary);

impl Words {
    /// Words of this vocabulary.
    #[must_use]
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self(vocabulary)
    }

    /// The words of a text.
    #[must_use]
    pub fn ids(&self, text: &str) -> Vec<i32> {
        let letters = text.chars().filter(|letter| !letter.is_ascii_punctuation());
        let clean: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        clean
            .split(is_blank)
            .filter(|word| !word.is_empty())
            .map(|word| self.0.id(word).unwrap_or(UNKNOWN))
            .collect()
    }

    /// Texts as a model takes them: padded or cut to `length`.
    ///
    /// # Errors
    /// `INTERNAL` when `length` is 0.
    pub fn batch<T: Element + From<i32>>(&self, texts: &[&str], length: usize) -> Result<Batch> {
        let row = |text: &&str| {
            let mut ids = self.ids(text);
            ids.truncate(length);
            ids
        };
        let rows: Vec<Vec<i32>> = texts.iter().map(row).collect();
        batch::<T>(&rows, length, PADDING)
    }
}

/// What TensorFlow splits at: the blanks of ASCII, with the vertical tab, which Rust leaves out.
fn is_blank(letter: char) -> bool {
    letter.is_ascii_whitespace() || letter == '\u{b}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_keras() {
        let words = Words::new(Vocabulary::new("\n[UNK]\nthe\ncat\ndont\n").unwrap());
        // TextVectorization(vocabulary=["the", "cat", "dont"])(text)
        for (text, ids) in [
            ("The cat", &[2, 3][..]),
            ("THE, cat; don't!", &[2, 3, 4]),
            ("the-cat sat", &[1, 1]),
            ("  the\tcat\n", &[2, 3]),
            ("the\u{b}cat\u{c}the\rcat", &[2, 3, 2, 3]),
            ("the\u{a0}cat", &[1]),
            ("", &[]),
        ] {
            assert_eq!(words.ids(text), ids, "{text}");
        }
        let batch = words.batch::<i64>(&["the", "cat the cat"], 2).unwrap();
        assert_eq!(batch.ids.view::<i64>().unwrap().values(), [2, 0, 3, 2]);
        assert!(words.batch::<i64>(&["the"], 0).is_err());
    }
}
