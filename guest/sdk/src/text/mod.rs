//! Text to the numbers of tokens, by a vocabulary that is packed into the component.
//!
//! ```
//! use tensorgate_sdk::text::{Vocabulary, WordPiece};
//!
//! // In a component: `include_bytes!(concat!(env!("OUT_DIR"), "/vocabulary"))`, see `pack`.
//! let vocabulary = Vocabulary::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##like\n##ly\n!\n")?;
//! let tokens = WordPiece::new(vocabulary)?;
//! assert_eq!(tokens.ids("Unlikely!"), [4, 5, 6, 7]);
//!
//! let batch = tokens.batch::<i32>(&["unlikely", "un"], 6)?;
//! assert_eq!(batch.ids.view::<i32>()?.values(), [2, 4, 5, 6, 3, 0, 2, 4, 3, 0, 0, 0]);
//! assert_eq!(batch.mask.view::<i32>()?.values(), [1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0]);
//! # Ok::<(), tensorgate_sdk::Error>(())
//! ```
//!
//! An instance of a component serves one request, so that whatever is built of a vocabulary is
//! built for every request anew. [`pack`] does it once, in the build script; what it gives is
//! looked into where it lies.
//!
//! **Invariant:** any text gives tokens: what the vocabulary does not have is its unknown token.

mod vocabulary;
mod word_piece;
mod words;

pub use vocabulary::{Vocabulary, pack};
pub use word_piece::WordPiece;
pub use words::Words;

use tensorgate_types::{Error, Result};

use crate::tensor::{Element, Tensor};

/// Texts as a model takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The tokens of each text, `[texts, length]`, padded.
    pub ids: Tensor,
    /// 1 where there is a token, 0 where there is padding; of the same shape.
    pub mask: Tensor,
}

/// Rows of tokens, none longer than `length`, as a batch.
fn batch<T: Element + From<i32>>(rows: &[Vec<i32>], length: usize, padding: i32) -> Result<Batch> {
    if length == 0 {
        return Err(Error::internal(
            "a batch of tokens has rows of at least one",
        ));
    }
    let shape = [rows.len() as i64, length as i64];
    let fill = |value: &dyn Fn(Option<i32>) -> i32| {
        Tensor::build(&shape, |values: &mut [T]| {
            for (row, values) in rows.iter().zip(values.chunks_exact_mut(length)) {
                for (at, to) in values.iter_mut().enumerate() {
                    *to = T::from(value(row.get(at).copied()));
                }
            }
            Ok(())
        })
    };
    Ok(Batch {
        ids: fill(&|id| id.unwrap_or(padding))?,
        mask: fill(&|id| i32::from(id.is_some()))?,
    })
}
