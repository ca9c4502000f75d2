//! What is measured: a file as it comes to the floats that most networks for photographs take.

use tensorgate_sdk::image::{Filter, Limits, Normalise, Picture, tensor};
use tensorgate_sdk::{Result, Tensor};

/// `[1, 224, 224, 3]`, from -1 to 1.
pub(crate) fn to_tensor(file: &[u8]) -> Result<Tensor> {
    let picture = Picture::decode(file, Limits::default())?.into_rgb();
    let picture = picture.resize(224, 224, Filter::Bilinear)?;
    tensor(&[picture], &Normalise::MINUS_ONE_TO_ONE)
}
