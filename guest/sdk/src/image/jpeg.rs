//! JPEG files.

use jpeg_decoder::{Decoder, PixelFormat};
use tensorgate_types::{Error, Result};

use super::{Color, Limits, Picture, undecodable};

/// What every JPEG file begins with.
pub(super) const MAGIC: &[u8] = b"\xff\xd8\xff";

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Picture> {
    let failed = |error| undecodable("JPEG", error);
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().map_err(failed)?;
    let info = decoder
        .info()
        .ok_or_else(|| undecodable("JPEG", "it has no header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let pixels = limits.check(width, height)?;
    let color = match info.pixel_format {
        PixelFormat::L8 => Color::Grey,
        PixelFormat::RGB24 => Color::Rgb,
        PixelFormat::L16 => return Err(unsupported("16 bits for a pixel")),
        PixelFormat::CMYK32 => return Err(unsupported("CMYK")),
    };
    decoder.set_max_decoding_buffer_size(pixels.saturating_mul(color.channels()));
    let pixels = decoder.decode().map_err(failed)?;
    Picture::new(width, height, color, pixels)
}

fn unsupported(found: &str) -> Error {
    Error::invalid_argument(format!(
        "the JPEG picture has {found}: expected grey or RGB, 8 bits for each"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn pixels_agree_with_pillows() {
        let picture = decode(samples::JPEG, Limits::default()).unwrap();
        assert_eq!(format!("{picture:?}"), "8 x 8 Rgb");
        let differences = picture.pixels().iter().zip(samples::JPEG_PIXELS);
        let most = differences.map(|(ours, pillows)| ours.abs_diff(*pillows));
        assert!(most.max().unwrap() <= 3, "{:?}", picture.pixels());
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_by_the_header() {
        let limits = Limits { pixels: 63 };
        let error = decode(samples::JPEG, limits).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: the picture has 8 x 8 pixels, 63 are taken at most"
        );
        // The same file that says 65535 x 65535: nothing of that size is ever allocated.
        let mut lying = samples::JPEG.to_vec();
        let frame = lying
            .windows(2)
            .position(|marker| marker == b"\xff\xc0")
            .unwrap();
        lying[frame + 5..frame + 9].fill(0xff);
        let error = decode(&lying, Limits::default()).unwrap_err();
        assert!(error.message().contains("65535 x 65535"), "{error}");
    }

    #[test]
    fn no_damage_does_more_than_an_error() {
        for end in 0..samples::JPEG.len() {
            let _ = decode(&samples::JPEG[..end], Limits::default());
        }
        for at in 0..samples::JPEG.len() {
            for value in [0x00, 0x7f, 0xff] {
                let mut damaged = samples::JPEG.to_vec();
                damaged[at] = value;
                let _ = decode(&damaged, Limits { pixels: 1 << 16 });
            }
        }
        let cut = &samples::JPEG[..samples::JPEG.len() / 2];
        assert!(decode(cut, Limits::default()).is_err());
    }
}
