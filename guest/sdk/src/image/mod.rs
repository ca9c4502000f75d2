//! Pictures: encoded bytes to pixels, to the model's size, to a tensor.
//!
//! ```
//! # fn first_pixel(body: &[u8]) -> tensorgate_sdk::Result<()> {
//! use tensorgate_sdk::image::{Filter, Limits, Normalise, Picture, tensor};
//!
//! let picture = Picture::decode(body, Limits::default())?
//!     .into_rgb()
//!     .resize(224, 224, Filter::Bilinear)?;
//! let images = tensor(&[picture], &Normalise::MINUS_ONE_TO_ONE)?;
//! assert_eq!(images.shape(), [1, 224, 224, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! JPEG is decoded by the crate `jpeg-decoder`, which is the one with an inverse transform for
//! WebAssembly's SIMD, PNG by `png`, and `fast_image_resize` makes the size. What comes out agrees
//! with Python's Pillow; `examples/image_classifier` says how closely, and has the test.
//!
//! Orientation marks and colour profiles in files are not looked at, and transparency is dropped,
//! as Pillow's `convert` does it.
//!
//! **Invariant:** the size of a picture is held against the [`Limits`] before anything of that size
//! is allocated.

mod jpeg;
mod normalise;
mod png;
mod resize;
#[cfg(test)]
mod samples;

use tensorgate_types::{Error, Result};

pub use normalise::{Normalise, tensor};
pub use resize::Filter;

/// The largest picture that is decoded.
///
/// Decoding takes up to 12 bytes for each pixel (a progressive JPEG keeps all its coefficients), so
/// the largest picture by default takes 288 MiB of the 512 MiB that a component has by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Width times height.
    pub pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pixels: 24 << 20 }
    }
}

impl Limits {
    /// How many pixels these are, when they are not too many.
    fn check(self, width: u32, height: u32) -> Result<usize> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(Error::invalid_argument("the picture has no pixels"));
        }
        if pixels > self.pixels {
            return Err(Error::invalid_argument(format!(
                "the picture has {width} x {height} pixels, {} are taken at most",
                self.pixels
            )));
        }
        usize::try_from(pixels).map_err(|_| Error::invalid_argument("the picture is too large"))
    }
}

/// What a pixel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One byte: how light it is.
    Grey,
    /// Three bytes: red, green, blue.
    Rgb,
}

impl Color {
    /// Bytes of a pixel.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// Pixels: row by row, a byte for each channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    color: Color,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of these pixels.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there are not as many bytes as size and colour ask for, or none.
    pub fn new(width: u32, height: u32, color: Color, pixels: Vec<u8>) -> Result<Self> {
        let expected = u64::from(width) * u64::from(height) * color.channels() as u64;
        if expected == 0 || pixels.len() as u64 != expected {
            return Err(Error::invalid_argument(format!(
                "a picture of {width} x {height} pixels has {expected} bytes, found {}",
                pixels.len()
            )));
        }
        Ok(Self {
            width,
            height,
            color,
            pixels,
        })
    }

    /// Decodes a JPEG or PNG file: its first bytes say which it is. A grey file gives a grey
    /// picture, any other one in colours.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is neither, when it is damaged or cut off, when it is larger than
    /// `limits` allow, and for the kinds that few files are: CMYK, lossless or arithmetic JPEG.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self> {
        if bytes.starts_with(jpeg::MAGIC) {
            jpeg::decode(bytes, limits)
        } else if bytes.starts_with(png::MAGIC) {
            png::decode(bytes, limits)
        } else {
            Err(Error::invalid_argument(format!(
                "expected a JPEG or PNG picture, found {} bytes that are neither",
                bytes.len()
            )))
        }
    }

    /// Pixels of a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What a pixel consists of.
    #[must_use]
    pub fn color(&self) -> Color {
        self.color
    }

    /// The pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// In colours: grey becomes equal parts of each.
    #[must_use]
    pub fn into_rgb(self) -> Self {
        match self.color {
            Color::Rgb => self,
            Color::Grey => Self {
                color: Color::Rgb,
                pixels: self.pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
                ..self
            },
        }
    }

    /// In grey, by the weights of ITU-R 601-2, as Pillow's `convert("L")` has them.
    #[must_use]
    pub fn into_grey(self) -> Self {
        match self.color {
            Color::Grey => self,
            Color::Rgb => Self {
                color: Color::Grey,
                pixels: self
                    .pixels
                    .as_chunks()
                    .0
                    .iter()
                    .copied()
                    .map(luma)
                    .collect(),
                ..self
            },
        }
    }
}

fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    // The weights are 65,536 together, so that this is 255 at most.
    ((weighted + 0x8000) >> 16) as u8
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} {:?}", self.width, self.height, self.color)
    }
}

/// A file that cannot be decoded: the client's fault.
fn undecodable(kind: &str, error: impl std::fmt::Display) -> Error {
    Error::invalid_argument(format!("the {kind} picture cannot be decoded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_as_many_pixels_as_it_says() {
        assert!(Picture::new(2, 1, Color::Rgb, vec![0; 6]).is_ok());
        let short = Picture::new(2, 1, Color::Rgb, vec![0; 5]).unwrap_err();
        assert_eq!(
            short.message(),
            "a picture of 2 x 1 pixels has 6 bytes, found 5"
        );
        assert!(Picture::new(0, 1, Color::Grey, vec![]).is_err());
    }

    #[test]
    fn grey_is_weighted_as_in_pillow() {
        // Image.new("RGB", (1, 1), color).convert("L")
        for (color, grey) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([10, 20, 30], 18),
        ] {
            let picture = Picture::new(1, 1, Color::Rgb, color.to_vec()).unwrap();
            assert_eq!(picture.into_grey().pixels(), [grey], "{color:?}");
        }
        let grey = Picture::new(1, 1, Color::Grey, vec![7]).unwrap();
        assert_eq!(grey.into_rgb().pixels(), [7, 7, 7]);
    }

    #[test]
    fn what_is_no_picture_is_a_clients_error() {
        let error = Picture::decode(b"GIF89a", Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: expected a JPEG or PNG picture, found 6 bytes that are neither"
        );
        assert!(Picture::decode(b"", Limits::default()).is_err());
    }
}
