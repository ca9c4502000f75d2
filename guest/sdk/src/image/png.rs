//! PNG files.

use std::io::Cursor;

use png::{ColorType, Decoder, Limits as Bytes, Transformations};
use tensorgate_types::Result;

use super::{Color, Limits, Picture, undecodable};

/// What every PNG file begins with.
pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What the decoder may take beside the pixels: a row or two, tables, chunks that are passed over.
const WORKING_BYTES: usize = 4 << 20;

pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Picture> {
    let failed = |error| undecodable("PNG", error);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // Palettes and small grey ones become bytes, and what has 16 bits keeps the upper 8.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(failed)?;
    let (width, height) = (header.width, header.height);
    let pixels = limits.check(width, height)?;
    // A pixel has 8 bytes at most in the file, and a row of it cannot be larger than all.
    decoder.set_limits(Bytes {
        bytes: pixels.saturating_mul(8).saturating_add(WORKING_BYTES),
    });
    let mut reader = decoder.read_info().map_err(failed)?;
    let (color, _) = reader.output_color_type();
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| undecodable("PNG", "it is too large"))?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(failed)?;
    pixels.truncate(frame.buffer_size());
    let (color, pixels) = match color {
        ColorType::Grayscale => (Color::Grey, pixels),
        ColorType::Rgb => (Color::Rgb, pixels),
        ColorType::GrayscaleAlpha => (Color::Grey, without_alpha::<2>(pixels)),
        ColorType::Rgba => (Color::Rgb, without_alpha::<4>(pixels)),
        ColorType::Indexed => return Err(undecodable("PNG", "its palette is missing")),
    };
    Picture::new(width, height, color, pixels)
}

/// Drops the last of each `CHANNELS` bytes, in the memory that they are in.
fn without_alpha<const CHANNELS: usize>(mut pixels: Vec<u8>) -> Vec<u8> {
    let mut kept = 0;
    for start in (0..pixels.len()).step_by(CHANNELS) {
        for at in start..start + CHANNELS - 1 {
            pixels[kept] = pixels[at];
            kept += 1;
        }
    }
    pixels.truncate(kept);
    pixels
}

#[cfg(test)]
mod tests {
    use png::BitDepth;

    use super::*;

    fn encode(width: u32, color: ColorType, depth: BitDepth, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(&[1, 2, 3, 4, 5, 6][..]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn every_kind_becomes_grey_or_rgb() {
        use Color::{Grey, Rgb};
        for (kind, depth, encoded, color, pixels) in [
            (
                ColorType::Grayscale,
                BitDepth::Eight,
                &[7, 9][..],
                Grey,
                &[7, 9][..],
            ),
            (
                ColorType::Grayscale,
                BitDepth::One,
                &[0x40],
                Grey,
                &[0, 255],
            ),
            (
                ColorType::Grayscale,
                BitDepth::Sixteen,
                &[7, 99, 9, 99],
                Grey,
                &[7, 9],
            ),
            (
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &[7, 0, 9, 128],
                Grey,
                &[7, 9],
            ),
            (
                ColorType::Rgb,
                BitDepth::Eight,
                &[1, 2, 3, 4, 5, 6],
                Rgb,
                &[1, 2, 3, 4, 5, 6],
            ),
            (
                ColorType::Rgba,
                BitDepth::Eight,
                &[1, 2, 3, 0, 4, 5, 6, 9],
                Rgb,
                &[1, 2, 3, 4, 5, 6],
            ),
            (
                ColorType::Indexed,
                BitDepth::Eight,
                &[1, 0],
                Rgb,
                &[4, 5, 6, 1, 2, 3],
            ),
        ] {
            let file = encode(2, kind, depth, encoded);
            let picture = decode(&file, Limits::default()).unwrap();
            assert_eq!(
                (picture.color(), picture.pixels()),
                (color, pixels),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut bomb = encode(1, ColorType::Rgb, BitDepth::Eight, &[0; 3]);
        // Width and height follow the signature and the chunk's length and name; then the
        // checksum has to fit.
        bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
        let sum = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        let error = decode(&bomb, Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_ARGUMENT: the picture has 100000 x 100000 pixels, 25165824 are taken at most"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1))
            })
        })
    }

    #[test]
    fn no_damage_does_more_than_an_error() {
        let file = encode(4, ColorType::Rgba, BitDepth::Eight, &[9; 16]);
        for end in 0..file.len() - 12 {
            assert!(decode(&file[..end], Limits::default()).is_err(), "{end}");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            let _ = decode(&damaged, Limits::default());
        }
    }
}
