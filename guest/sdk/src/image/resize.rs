//! Pictures of another size.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use tensorgate_types::{Error, Result};

use super::{Color, Picture};

/// The longest side that pictures are made to.
const MAX_SIDE: u32 = 16 << 10;

/// How pixels of the new size are made of the old ones. A model sees best what it saw in training:
/// choose what was used there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Linear over all pixels that a new one covers: Pillow's `BILINEAR`, and
    /// `tf.image.resize(..., antialias=True)`.
    Bilinear,
    /// Linear between the four nearest pixels, whatever lies between them: `tf.image.resize` as it
    /// is by default, and so what Keras does, and OpenCV's `INTER_LINEAR`.
    BilinearNearest,
    /// Cubic over all pixels that a new one covers: Pillow's `BICUBIC`.
    Bicubic,
    /// Pillow's `LANCZOS`.
    Lanczos,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::BilinearNearest => ResizeAlg::Interpolation(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        }
    }
}

impl Picture {
    /// The same in another size.
    ///
    /// # Errors
    /// `INTERNAL` for a size of nothing, or of more than 16,384 pixels a side.
    pub fn resize(&self, width: u32, height: u32, filter: Filter) -> Result<Self> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(Error::internal(format!(
                "a picture cannot be made {width} x {height} pixels large: 1 to {MAX_SIDE} each"
            )));
        }
        if (width, height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let mut made = vec![0; width as usize * height as usize * self.color.channels()];
        let options = ResizeOptions::new().resize_alg(filter.algorithm());
        match self.color {
            Color::Grey => resize::<U8>(self, (width, height), &mut made, &options),
            Color::Rgb => resize::<U8x3>(self, (width, height), &mut made, &options),
        }
        .map_err(|error| Error::internal(format!("the picture cannot be resized: {error}")))?;
        Self::new(width, height, self.color, made)
    }
}

/// For one kind of pixel: what is made for all kinds is fifteen times the code.
fn resize<P: PixelTrait>(
    picture: &Picture,
    (width, height): (u32, u32),
    made: &mut [u8],
    options: &ResizeOptions,
) -> Result<(), Box<dyn std::error::Error>> {
    let source = TypedImageRef::<P>::from_buffer(picture.width, picture.height, &picture.pixels)?;
    let mut made = TypedImage::<P>::from_buffer(width, height, made)?;
    Resizer::new().resize_typed(&source, &mut made, options)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn pixels_agree_with_pillows_and_tensorflows() {
        let grey = samples::grey();
        for (filter, expected) in [
            (Filter::Bilinear, samples::BILINEAR),
            (Filter::BilinearNearest, samples::BILINEAR_NEAREST),
            (Filter::Bicubic, samples::BICUBIC),
            (Filter::Lanczos, samples::LANCZOS),
        ] {
            let made = grey.resize(5, 4, filter).unwrap();
            let differences = made.pixels().iter().zip(expected);
            let most = differences.map(|(ours, theirs)| ours.abs_diff(*theirs));
            assert!(most.max().unwrap() <= 1, "{filter:?}: {:?}", made.pixels());
        }
    }

    #[test]
    fn colours_are_made_apart() {
        let grey = samples::grey();
        let rgb = grey
            .clone()
            .into_rgb()
            .resize(5, 4, Filter::Bilinear)
            .unwrap();
        let grey = grey.resize(5, 4, Filter::Bilinear).unwrap();
        assert_eq!(rgb, grey.into_rgb());
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let grey = samples::grey();
        assert_eq!(grey.resize(8, 8, Filter::Bilinear).unwrap(), grey);
        for (width, height) in [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (1, u32::MAX)] {
            assert!(grey.resize(width, height, Filter::Bilinear).is_err());
        }
    }
}
