//! The processors of `examples/`, held to what Python makes of the same files.

use std::fs;
use std::path::Path;

use tensorgate_sdk::image::{Filter, Limits, Normalise, Picture, tensor};
use tensorgate_sdk::{Result, Tensor};
use tensorgate_tests::{python, root};

/// What two decoders may differ in, in steps of 255: two, for JPEG leaves to each how it rounds.
const ANY_PIXEL: f32 = 2.5;

/// The same on average over a picture.
const ON_AVERAGE: f32 = 0.2;

/// Compares floats that span `range` with those in a file. The largest difference, and the mean.
fn differences(made: &Tensor, reference: &Path, range: f32) -> (f32, f32) {
    let bytes = fs::read(reference).expect("the reference is there");
    let expected = bytes
        .as_chunks()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four));
    let made = made.view::<f32>().expect("they are floats");
    assert_eq!(
        made.values().len() * 4,
        bytes.len(),
        "{}",
        reference.display()
    );
    let steps: Vec<f32> = made
        .values()
        .iter()
        .zip(expected)
        .map(|(made, expected)| (made - expected).abs() * 255.0 / range)
        .collect();
    let mean = steps.iter().sum::<f32>() / steps.len() as f32;
    (steps.iter().copied().fold(0.0, f32::max), mean)
}

/// Holds every picture's tensor to the reference with this ending.
fn agree(ending: &str, range: f32, make: impl Fn(&[u8]) -> Result<Tensor>) {
    let directory = tempfile::tempdir().expect("a directory");
    let script = root().join("examples/image_classifier/reference.py");
    python::output(python::program("python").arg(script).arg(directory.path()));
    let mut compared = 0;
    for entry in fs::read_dir(directory.path()).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if !path
            .extension()
            .is_some_and(|kind| kind == "jpg" || kind == "png")
        {
            continue;
        }
        let file = fs::read(&path).expect("a picture");
        let made = make(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let reference = format!("{}{ending}", path.display());
        let (most, mean) = differences(&made, Path::new(&reference), range);
        assert!(
            most <= ANY_PIXEL && mean <= ON_AVERAGE,
            "{}: at most {most:.2}, on average {mean:.3}",
            path.display()
        );
        compared += 1;
    }
    assert_eq!(compared, 32, "pictures of each kind");
}

#[test]
fn grey_pixels_agree_with_pillow_and_numpy() {
    agree(".28", 1.0, |file| {
        tensorgate_image_classifier::images([file].into_iter())
    });
}

#[test]
fn colours_agree_with_pillow_and_numpy() {
    agree(".224", 2.0, |file| {
        let picture = Picture::decode(file, Limits::default())?.into_rgb();
        let picture = picture.resize(224, 224, Filter::Bilinear)?;
        tensor(&[picture], &Normalise::MINUS_ONE_TO_ONE)
    });
}
