//! Tensors as arrays of the crate `ndarray`, and back.

use std::borrow::Cow;

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use tensorgate_types::{Error, Result};

use crate::tensor::{Element, Tensor, View};

impl<'a, T: Element> View<'a, T> {
    /// The elements as an array, which borrows them where the view does.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a shape that ndarray cannot have: more elements than `isize` counts
    /// along dimensions that are not 0.
    ///
    /// ```
    /// use tensorgate_sdk::Tensor;
    ///
    /// let tensor = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0])?;
    /// let array = tensor.view::<f32>()?.array()?;
    /// assert_eq!(array.sum_axis(ndarray::Axis(0)).as_slice(), Some(&[4.0, 6.0][..]));
    /// # Ok::<(), tensorgate_sdk::Error>(())
    /// ```
    pub fn array(self) -> Result<CowArray<'a, T, IxDyn>> {
        // Dimensions are not negative, and there are as many elements as they say.
        let shape: Vec<usize> = self.shape().iter().map(|size| *size as usize).collect();
        let array = match self.into_values() {
            Cow::Borrowed(values) => ArrayViewD::from_shape(shape, values).map(CowArray::from),
            Cow::Owned(values) => ArrayD::from_shape_vec(shape, values).map(CowArray::from),
        };
        array.map_err(|error| Error::invalid_argument(format!("the shape is no array's: {error}")))
    }
}

impl Tensor {
    /// A tensor of an array's elements. They are copied, once.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the array has more elements than memory could hold.
    pub fn from_array<T: Element, S, D>(array: &ndarray::ArrayBase<S, D>) -> Result<Self>
    where
        S: ndarray::Data<Elem = T>,
        D: ndarray::Dimension,
    {
        let shape: Vec<i64> = array.shape().iter().map(|size| *size as i64).collect();
        match array.as_slice() {
            Some(values) => Self::new(&shape, values),
            // Transposed or sliced: in the order of the array, not of memory.
            None => Self::build(&shape, |values| {
                for (value, element) in values.iter_mut().zip(array) {
                    *value = *element;
                }
                Ok(())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn arrays_become_tensors_in_their_order() {
        let matrix: Array2<i32> = array![[1, 2, 3], [4, 5, 6]];
        let tensor = Tensor::from_array(&matrix).unwrap();
        assert_eq!(tensor, Tensor::new(&[2, 3], &[1, 2, 3, 4, 5, 6]).unwrap());
        let turned = Tensor::from_array(&matrix.t()).unwrap();
        assert_eq!(turned, Tensor::new(&[3, 2], &[1, 4, 2, 5, 3, 6]).unwrap());
    }

    #[test]
    fn tensors_become_arrays_of_their_shape() {
        let tensor = Tensor::new(&[2, 3], &[1u8, 2, 3, 4, 5, 6]).unwrap();
        let array = tensor.view::<u8>().unwrap().array().unwrap();
        assert_eq!(array.shape(), [2, 3]);
        assert_eq!(array[[1, 0]], 4);
        let empty = Tensor::new::<f64>(&[0, 3], &[]).unwrap();
        let array = empty.view::<f64>().unwrap().array().unwrap();
        assert_eq!(array.shape(), [0, 3]);
    }
}
