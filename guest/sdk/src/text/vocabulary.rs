//! A vocabulary, packed: an automaton that is walked where it lies.

use std::borrow::Cow;

use fst::Map;
use fst::raw::Output;
use tensorgate_types::{Error, Result};

/// Packs a vocabulary of one token a line, whose number is the number of its line from 0. For
/// build scripts, with this crate in `[build-dependencies]`:
///
/// ```no_run
/// let lines = std::fs::read_to_string("vocabulary.txt").expect("the vocabulary");
/// let packed = tensorgate_sdk::text::pack(&lines).expect("a vocabulary");
/// let out = std::env::var("OUT_DIR").expect("cargo says where");
/// std::fs::write(format!("{out}/vocabulary"), packed).expect("it can be written");
/// println!("cargo::rerun-if-changed=vocabulary.txt");
/// ```
///
/// # Errors
/// `FAILED_PRECONDITION` when a token is there twice.
pub fn pack(lines: &str) -> Result<Vec<u8>> {
    let mut tokens: Vec<(&str, u64)> = lines.lines().zip(0..).collect();
    tokens.sort_unstable();
    let twice = tokens.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some([(token, first), (_, second)]) = twice {
        return Err(Error::failed_precondition(format!(
            "the vocabulary has `{token}` twice, in lines {} and {}",
            first + 1,
            second + 1
        )));
    }
    let packed = Map::from_iter(tokens).map_err(|error| damaged(&error))?;
    Ok(packed.into_fst().into_inner())
}

fn damaged(error: &fst::Error) -> Error {
    Error::internal(format!("the vocabulary cannot be used: {error}"))
}

/// Tokens and their numbers.
#[derive(Debug, Clone)]
pub struct Vocabulary(Map<Cow<'static, [u8]>>);

impl Vocabulary {
    /// What [`pack`] has packed. Nothing is read but its header.
    ///
    /// # Errors
    /// `INTERNAL` when it is something else.
    pub fn packed(bytes: &'static [u8]) -> Result<Self> {
        Self::of(Cow::Borrowed(bytes))
    }

    /// A vocabulary of one token a line, packed now: for tests, and for small ones.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn new(lines: &str) -> Result<Self> {
        Self::of(Cow::Owned(pack(lines)?))
    }

    fn of(bytes: Cow<'static, [u8]>) -> Result<Self> {
        Map::new(bytes).map(Self).map_err(|error| damaged(&error))
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of a token.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<i32> {
        i32::try_from(self.0.get(token)?).ok()
    }

    /// The longest token that `prefix` and the beginning of `text` make together: its number, and
    /// how many bytes of `text` are in it, one at least.
    pub(super) fn longest(&self, prefix: &str, text: &str) -> Option<(i32, usize)> {
        let automaton = self.0.as_fst();
        let mut node = automaton.root();
        let mut output = Output::zero();
        let mut found = None;
        for (at, byte) in prefix.bytes().chain(text.bytes()).enumerate() {
            let Some(index) = node.find_input(byte) else {
                break;
            };
            let step = node.transition(index);
            output = output.cat(step.out);
            node = automaton.node(step.addr);
            // Between letters only: a vocabulary of bytes may have halves of one.
            let used = (at + 1).saturating_sub(prefix.len());
            if node.is_final() && used > 0 && text.is_char_boundary(used) {
                found = Some((output.cat(node.final_output()).value(), used));
            }
        }
        let (id, used) = found?;
        Some((i32::try_from(id).ok()?, used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_numbers_of_their_lines() {
        let vocabulary = Vocabulary::new("b\na\r\nab\n\u{e4}\n").unwrap();
        assert_eq!(vocabulary.len(), 4);
        let ids = ["b", "a", "ab", "\u{e4}", "c", ""].map(|token| vocabulary.id(token));
        assert_eq!(ids, [Some(0), Some(1), Some(2), Some(3), None, None]);
    }

    #[test]
    fn finds_the_longest_that_begins_a_text() {
        let vocabulary = Vocabulary::new("a\nabc\n##b\n##bcd\n").unwrap();
        assert_eq!(vocabulary.longest("", "abcd"), Some((1, 3)));
        assert_eq!(vocabulary.longest("", "abd"), Some((0, 1)));
        assert_eq!(vocabulary.longest("##", "bcx"), Some((2, 1)));
        assert_eq!(vocabulary.longest("##", "x"), None);
        assert_eq!(vocabulary.longest("", ""), None);
    }

    #[test]
    fn a_vocabulary_that_is_none_is_refused() {
        let twice = pack("a\nb\na\n").unwrap_err();
        assert_eq!(
            twice.message(),
            "the vocabulary has `a` twice, in lines 1 and 3"
        );
        assert!(Vocabulary::packed(b"no automaton").is_err());
    }
}
