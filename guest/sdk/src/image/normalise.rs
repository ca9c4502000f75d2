//! From bytes to the numbers that a model was trained on.

use tensorgate_types::{Error, Result};

use super::Picture;
use crate::tensor::Tensor;

/// Values that are made at once. A loop round vector code has a deadline check in each turn, which
/// would cost more than the vectors; this many have all channels in the same places again.
const AT_ONCE: usize = 48;

/// What a byte becomes: `byte * scale + offset`, by channel. For grey pictures the first counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalise {
    /// What bytes are multiplied with.
    pub scale: [f32; 3],
    /// What is added then.
    pub offset: [f32; 3],
}

impl Normalise {
    /// From 0 to 1.
    pub const ZERO_TO_ONE: Self = Self {
        scale: [1.0 / 255.0; 3],
        offset: [0.0; 3],
    };

    /// From -1 to 1.
    pub const MINUS_ONE_TO_ONE: Self = Self {
        scale: [1.0 / 127.5; 3],
        offset: [-1.0; 3],
    };

    /// From 0 to 255, as they are.
    pub const AS_THEY_ARE: Self = Self {
        scale: [1.0; 3],
        offset: [0.0; 3],
    };

    /// `(byte / 255 - mean) / deviation`, as most say it that were trained on ImageNet.
    #[must_use]
    pub const fn mean_and_deviation(mean: [f32; 3], deviation: [f32; 3]) -> Self {
        let mut normalise = Self::AS_THEY_ARE;
        let mut channel = 0;
        while channel < 3 {
            normalise.scale[channel] = 1.0 / (255.0 * deviation[channel]);
            normalise.offset[channel] = -mean[channel] / deviation[channel];
            channel += 1;
        }
        normalise
    }

    fn write(&self, channels: usize, pixels: &[u8], values: &mut [f32]) {
        let mut scale = [0.0; AT_ONCE];
        let mut offset = [0.0; AT_ONCE];
        for at in 0..AT_ONCE {
            scale[at] = self.scale[at % channels];
            offset[at] = self.offset[at % channels];
        }
        let (blocks, rest) = pixels.as_chunks::<AT_ONCE>();
        let (block_values, rest_values) = values.as_chunks_mut::<AT_ONCE>();
        for (pixels, values) in blocks.iter().zip(block_values) {
            for at in 0..AT_ONCE {
                values[at] = f32::from(pixels[at]) * scale[at] + offset[at];
            }
        }
        for (at, (pixel, value)) in rest.iter().zip(rest_values).enumerate() {
            *value = f32::from(*pixel) * scale[at] + offset[at];
        }
    }
}

/// A batch of pictures as floats: `[pictures, height, width, channels]`.
///
/// # Errors
/// `INTERNAL` when there is none, or when they differ in size or colour: they are to be resized
/// before.
pub fn tensor(pictures: &[Picture], normalise: &Normalise) -> Result<Tensor> {
    let first = pictures
        .first()
        .ok_or_else(|| Error::internal("there is no picture to make a tensor of"))?;
    let kind = |picture: &Picture| (picture.width, picture.height, picture.color);
    if let Some(other) = pictures.iter().find(|other| kind(other) != kind(first)) {
        return Err(Error::internal(format!(
            "a tensor is made of pictures of one size and colour, found {first:?} and {other:?}"
        )));
    }
    let channels = first.color.channels();
    let shape = [
        pictures.len() as i64,
        i64::from(first.height),
        i64::from(first.width),
        channels as i64,
    ];
    Tensor::build(&shape, |values: &mut [f32]| {
        for (picture, values) in pictures
            .iter()
            .zip(values.chunks_exact_mut(first.pixels.len()))
        {
            normalise.write(channels, &picture.pixels, values);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Color;
    use super::*;

    fn rgb(pixels: Vec<u8>) -> Picture {
        Picture::new(pixels.len() as u32 / 3, 1, Color::Rgb, pixels).unwrap()
    }

    fn values(pictures: &[Picture], normalise: &Normalise) -> Vec<f32> {
        let tensor = tensor(pictures, normalise).unwrap();
        tensor.view::<f32>().unwrap().values().to_vec()
    }

    #[test]
    fn ranges_are_what_their_names_say() {
        let picture = [rgb(vec![0, 51, 255])];
        for (normalise, expected) in [
            (Normalise::ZERO_TO_ONE, [0.0, 0.2, 1.0]),
            (Normalise::MINUS_ONE_TO_ONE, [-1.0, -0.6, 1.0]),
            (Normalise::AS_THEY_ARE, [0.0, 51.0, 255.0]),
        ] {
            let made = values(&picture, &normalise);
            let differences = made.iter().zip(expected);
            assert!(differences.map(|(a, b)| (a - b).abs()).all(|d| d < 1e-6));
        }
    }

    #[test]
    fn each_channel_has_its_own_mean() {
        let normalise = Normalise::mean_and_deviation([0.0, 0.5, 1.0], [1.0, 0.5, 2.0]);
        // More than are made at once, and not a multiple of it.
        let made = values(&[rgb([255; 3 * 37].to_vec())], &normalise);
        for pixel in made.as_chunks().0 {
            let [red, green, blue]: [f32; 3] = *pixel;
            assert!((red - 1.0).abs() < 1e-6 && (green - 1.0).abs() < 1e-6 && blue.abs() < 1e-6);
        }
        assert_eq!(made.len(), 3 * 37);
    }

    #[test]
    fn a_batch_has_one_size() {
        let two = [rgb(vec![1, 2, 3]), rgb(vec![4, 5, 6])];
        let tensor = tensor(&two, &Normalise::AS_THEY_ARE).unwrap();
        assert_eq!(tensor.shape(), [2, 1, 1, 3]);
        assert_eq!(
            values(&two, &Normalise::AS_THEY_ARE),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
        );
        let uneven = [rgb(vec![1, 2, 3]), rgb(vec![0; 6])];
        let error = super::tensor(&uneven, &Normalise::AS_THEY_ARE).unwrap_err();
        assert_eq!(
            error.message(),
            "a tensor is made of pictures of one size and colour, found 1 x 1 Rgb and 2 x 1 Rgb"
        );
        assert!(super::tensor(&[], &Normalise::AS_THEY_ARE).is_err());
    }
}
