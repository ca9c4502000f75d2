//! WordPiece, as BERT and its family have it.

use tensorgate_types::{Error, Result};
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::vocabulary::Vocabulary;
use super::{Batch, batch};
use crate::tensor::Element;

/// A word of more letters is unknown as a whole, as in BERT. It also bounds the time that a word
/// can take.
const MAX_LETTERS: usize = 100;

/// What pieces begin with that do not begin a word.
const CONTINUES: &str = "##";

/// Text to the tokens of a BERT vocabulary: `[CLS]`, `[SEP]`, `[PAD]`, `[UNK]`, and pieces of words
/// that begin with `##` within one.
#[derive(Debug, Clone)]
pub struct WordPiece {
    vocabulary: Vocabulary,
    cased: bool,
    unknown: i32,
    begin: i32,
    end: i32,
    padding: i32,
}

impl WordPiece {
    /// For an uncased model: letters become small and lose their accents.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` when the vocabulary lacks one of the four tokens.
    pub fn new(vocabulary: Vocabulary) -> Result<Self> {
        let id = |token| {
            vocabulary.id(token).ok_or_else(|| {
                Error::failed_precondition(format!("the vocabulary has no token {token}"))
            })
        };
        let (unknown, begin) = (id("[UNK]")?, id("[CLS]")?);
        let (end, padding) = (id("[SEP]")?, id("[PAD]")?);
        Ok(Self {
            cased: false,
            unknown,
            begin,
            end,
            padding,
            vocabulary,
        })
    }

    /// For a cased model: letters stay as they are.
    #[must_use]
    pub fn cased(mut self) -> Self {
        self.cased = true;
        self
    }

    /// The tokens of a text, without `[CLS]` and `[SEP]`.
    #[must_use]
    pub fn ids(&self, text: &str) -> Vec<i32> {
        let mut ids = Vec::new();
        let text = self.clean(text);
        for word in text.split_whitespace().flat_map(split_punctuation) {
            self.push(word, &mut ids);
        }
        ids
    }

    /// Texts as a model takes them: `[CLS]`, the tokens, `[SEP]`, padded or cut to `length`.
    ///
    /// # Errors
    /// `INTERNAL` when `length` has no room for the two.
    pub fn batch<T: Element + From<i32>>(&self, texts: &[&str], length: usize) -> Result<Batch> {
        let room = length.checked_sub(2).ok_or_else(|| {
            Error::internal(format!("{length} tokens have no room for [CLS] and [SEP]"))
        })?;
        let row = |text: &&str| {
            let tokens = self.ids(text).into_iter().take(room);
            let begin = std::iter::once(self.begin);
            begin.chain(tokens).chain([self.end]).collect()
        };
        let rows: Vec<Vec<i32>> = texts.iter().map(row).collect();
        batch::<T>(&rows, length, self.padding)
    }

    /// Without what cannot be seen, Chinese characters apart, in the model's case.
    fn clean(&self, text: &str) -> String {
        let mut cleaned = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter.is_whitespace() {
                cleaned.push(' ');
            } else if is_invisible(letter) {
                // Nothing of it is left.
            } else if is_chinese(letter) {
                cleaned.extend([' ', letter, ' ']);
            } else {
                cleaned.push(letter);
            }
        }
        if self.cased {
            return cleaned;
        }
        if cleaned.is_ascii() {
            cleaned.make_ascii_lowercase();
            return cleaned;
        }
        cleaned
            .nfd()
            .filter(|letter| letter.general_category() != GeneralCategory::NonspacingMark)
            .flat_map(char::to_lowercase)
            .collect()
    }

    /// The longest pieces first; one that is not there makes the whole word unknown.
    fn push(&self, word: &str, ids: &mut Vec<i32>) {
        let before = ids.len();
        let mut rest = word;
        let mut prefix = "";
        let too_long = word.chars().nth(MAX_LETTERS).is_some();
        while !too_long && !rest.is_empty() {
            let Some((id, used)) = self.vocabulary.longest(prefix, rest) else {
                break;
            };
            ids.push(id);
            rest = &rest[used..];
            prefix = CONTINUES;
        }
        if !rest.is_empty() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }
}

/// The parts of a word between punctuation marks, each of which is a part too.
fn split_punctuation(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(is_punctuation).flat_map(|part| {
        // At most one mark, at the end.
        let mark = part.char_indices().next_back();
        let at = mark.map_or(0, |(at, letter)| {
            if is_punctuation(letter) {
                at
            } else {
                part.len()
            }
        });
        let (word, mark) = part.split_at(at);
        [word, mark].into_iter().filter(|part| !part.is_empty())
    })
}

/// BERT counts every mark of ASCII, also those that Unicode calls symbols (`$`, `+`).
fn is_punctuation(letter: char) -> bool {
    letter.is_ascii_punctuation()
        || (!letter.is_ascii()
            && letter.general_category_group() == GeneralCategoryGroup::Punctuation)
}

/// Control characters, and what has no meaning that all agree on.
fn is_invisible(letter: char) -> bool {
    letter == '\u{fffd}'
        || matches!(
            letter.general_category(),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::PrivateUse
        )
}

/// The blocks of CJK ideographs, each of which is a word.
fn is_chinese(letter: char) -> bool {
    matches!(
        u32::from(letter),
        0x4e00..=0x9fff
            | 0x3400..=0x4dbf
            | 0xf900..=0xfaff
            | 0x20000..=0x2a6df
            | 0x2a700..=0x2ceaf
            | 0x2f800..=0x2fa1f
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n,\n!\n##s\ncafe\nCaf\u{e9}\n\u{4e2d}\n$\nwor\n##ld";

    fn tokens() -> WordPiece {
        WordPiece::new(Vocabulary::new(LINES).unwrap()).unwrap()
    }

    #[test]
    fn agrees_with_the_tokenizers_of_hugging_face() {
        // `tokenizers.BertWordPieceTokenizer` with these lines, `add_special_tokens=False`.
        for (text, ids) in [
            ("Hello, worlds!", &[4, 6, 5, 8, 7][..]),
            ("hello \t\n world", &[4, 5]),
            ("Caf\u{e9} CAFE\u{301}", &[9, 9]),
            ("\u{4e2d}\u{4e2d}hello", &[11, 11, 4]),
            ("$5", &[12, 1]),
            ("helloo", &[1]),
            ("hel\u{200d}lo\u{0}", &[4]),
            ("hello\u{2014}world\u{3002}", &[4, 1, 5, 1]),
            ("", &[]),
            ("!!", &[7, 7]),
            ("hel\u{e000}lo \u{16b9a}", &[4, 1]),
        ] {
            assert_eq!(tokens().ids(text), ids, "{text}");
        }
        assert_eq!(tokens().cased().ids("Caf\u{e9} cafe"), [10, 9]);
    }

    #[test]
    fn a_word_that_is_too_long_is_unknown() {
        let longest = "s".repeat(99);
        assert_eq!(tokens().ids(&format!("hello{}", &longest[..95])).len(), 96);
        assert_eq!(tokens().ids(&format!("hello{longest}")), [1]);
    }

    #[test]
    fn batches_are_cut_and_padded() {
        let batch = tokens()
            .batch::<i64>(&["hello world", "hello world hello"], 4)
            .unwrap();
        assert_eq!(
            batch.ids.view::<i64>().unwrap().values(),
            [2, 4, 5, 3, 2, 4, 5, 3]
        );
        let batch = tokens().batch::<i32>(&[""], 4).unwrap();
        assert_eq!(batch.ids.view::<i32>().unwrap().values(), [2, 3, 0, 0]);
        assert_eq!(batch.mask.view::<i32>().unwrap().values(), [1, 1, 0, 0]);
        assert!(tokens().batch::<i32>(&["hello"], 1).is_err());
    }

    #[test]
    fn a_vocabulary_of_another_kind_is_refused() {
        let error = WordPiece::new(Vocabulary::new("[UNK]\na\n").unwrap()).unwrap_err();
        assert_eq!(error.message(), "the vocabulary has no token [CLS]");
    }
}
