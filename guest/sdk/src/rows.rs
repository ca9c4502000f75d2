//! Rows of a tensor: the elements of each index of its first dimension.

use tensorgate_types::{Error, Result};

use crate::strings::Strings;
use crate::tensor::Tensor;

impl Tensor {
    /// A tensor of these rows of this one, in this order; each may be there more than once.
    ///
    /// ```
    /// use tensorgate_sdk::Tensor;
    ///
    /// let all = Tensor::new(&[3, 2], &[0, 1, 10, 11, 20, 21])?;
    /// let some = all.select_rows(&[2, 0])?;
    /// assert_eq!(some, Tensor::new(&[2, 2], &[20, 21, 0, 1])?);
    /// # Ok::<(), tensorgate_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when this is a scalar, `INTERNAL` when there is no such row.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self> {
        let Some((count, inner)) = self.shape().split_first() else {
            return Err(Error::invalid_argument("a scalar has no rows"));
        };
        // A tensor that is there has as many elements as its shape says, so all of these fit.
        let count = usize::try_from(*count).unwrap_or(0);
        if let Some(row) = rows.iter().find(|row| **row >= count) {
            return Err(Error::internal(format!(
                "there is no row {row}: the tensor has {count}"
            )));
        }
        let mut shape = vec![rows.len() as i64];
        shape.extend_from_slice(inner);
        let Some(bytes) = self.bytes() else {
            let all: Vec<&[u8]> = self.as_strings()?.iter().collect();
            return Self::from_strings(shape, pick(&all, count, rows).collect::<Strings>());
        };
        Self::from_bytes(
            self.dtype(),
            shape,
            pick(bytes, count, rows).copied().collect(),
        )
    }
}

/// The elements of the rows that are wanted, of `count` rows.
fn pick<'a, T>(all: &'a [T], count: usize, rows: &'a [usize]) -> impl Iterator<Item = &'a T> {
    let width = all.len().checked_div(count).unwrap_or(0);
    rows.iter()
        .flat_map(move |row| &all[row * width..(row + 1) * width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_in_their_order() {
        let tensor = Tensor::new(&[3, 1, 2], &[1i64, 2, 3, 4, 5, 6]).unwrap();
        let chosen = tensor.select_rows(&[1, 1, 0]).unwrap();
        let expected = Tensor::new(&[3, 1, 2], &[3i64, 4, 3, 4, 1, 2]).unwrap();
        assert_eq!(chosen, expected);
        let none = tensor.select_rows(&[]).unwrap();
        assert_eq!(none.shape(), [0, 1, 2]);

        let texts = Tensor::strings(&[2, 2], ["a", "b", "", "d"]).unwrap();
        let chosen = texts.select_rows(&[1]).unwrap();
        assert_eq!(chosen, Tensor::strings(&[1, 2], ["", "d"]).unwrap());
        let empty = Tensor::new::<f32>(&[2, 0], &[]).unwrap();
        assert_eq!(empty.select_rows(&[0]).unwrap().shape(), [1, 0]);
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let tensor = Tensor::new(&[2], &[1.0f32, 2.0]).unwrap();
        assert_eq!(
            tensor.select_rows(&[0, 2]).unwrap_err().to_string(),
            "INTERNAL: there is no row 2: the tensor has 2"
        );
        assert!(Tensor::scalar(1.0f32).select_rows(&[]).is_err());
    }
}
