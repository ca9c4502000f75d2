//! Every type makes a round trip through an identity model with its edge values, bit for bit.

use tensorgate_engine::Predictor;
use tensorgate_tensorflow::SavedModel;
use tensorgate_types::{DType, Tensor};

use crate::support::{bytes, load, output, run, strings, tensor, texts};

fn trip(model: &SavedModel, dtype: DType, x: Tensor) -> Tensor {
    let outputs = run(model, dtype.name(), &[("x", x)]);
    let y = output(&outputs, "y").clone();
    assert_eq!(y.dtype(), dtype);
    y
}

#[test]
fn every_type_keeps_every_bit() {
    let model = load("identity");
    // Zeros, ones, sign bits, largest, smallest, infinities, quiet and signalling NaNs with
    // payloads: as bytes, since to a bit pattern it is all one which type reads it.
    let patterns: [u64; 14] = [
        0,
        1,
        u64::MAX,
        1 << 63,
        i64::MAX.cast_unsigned(),
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0001,
        0xfff8_dead_beef_0001,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        0x7fc0_1234_7f80_0001,
        0xffc0_4321_ff80_0000,
        0x7e01_7c01_fc00_8000,
        0x7fc1_7f81_ff80_8000,
    ];
    let raw: Vec<u8> = patterns
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    let mut tried = Vec::new();
    for number in 1..=DType::MAX_SUPPORTED {
        let dtype = DType::from_number(number);
        let Some(size) = dtype.size() else { continue };
        let mut raw = raw.clone();
        if dtype == DType::BOOL {
            raw.iter_mut().for_each(|byte| *byte &= 1);
        }
        let len = i64::try_from(raw.len() / size).unwrap();
        let y = trip(&model, dtype, tensor(dtype, &[len], &raw));
        assert_eq!(y.shape(), [len]);
        assert_eq!(bytes(&y), &raw, "{dtype}");
        tried.push(dtype.name());
    }
    // The model has a signature for each, one for strings, and the default.
    assert_eq!(tried.len() + 2, model.signatures().len());
}

#[test]
fn every_type_can_be_a_scalar_or_empty() {
    let model = load("identity");
    for number in 1..=DType::MAX_SUPPORTED {
        let dtype = DType::from_number(number);
        let Some(size) = dtype.size() else { continue };
        let one = vec![1u8; size];
        let y = trip(&model, dtype, tensor(dtype, &[], &one));
        assert_eq!((y.shape(), bytes(&y)), (&[][..], &one[..]), "{dtype}");
        for shape in [&[0][..], &[3, 0], &[0, 1 << 40]] {
            let y = trip(&model, dtype, tensor(dtype, shape, &[0u8; 0]));
            assert_eq!((y.shape(), bytes(&y).len()), (shape, 0), "{dtype}");
        }
    }
}

#[test]
fn strings_are_any_bytes_of_any_length() {
    let model = load("identity");
    let mut all: Vec<Vec<u8>> = vec![
        vec![],
        b"\0".to_vec(),
        b"a\0b".to_vec(),
        b"\xff\xfe\x80".to_vec(),
        (0..=255).collect(),
        vec![b'x'; 1 << 20],
    ];
    // TensorFlow keeps up to 22 bytes in the string itself, and more elsewhere.
    all.extend((20..26).map(|len| vec![b'y'; len]));
    let len = i64::try_from(all.len()).unwrap();
    let y = trip(&model, DType::STRING, strings(&[len, 1], &all));
    assert_eq!(y.shape(), [len, 1]);
    assert_eq!(texts(&y), all);
    assert_eq!(
        model.copied().strings,
        all.iter().map(|s| s.len() as u64).sum()
    );

    let scalar = trip(&model, DType::STRING, strings(&[], &["one"]));
    assert_eq!(
        (scalar.shape(), texts(&scalar)),
        (&[][..], vec![b"one".to_vec()])
    );
    let empty = trip(&model, DType::STRING, strings::<&str>(&[2, 0], &[]));
    assert_eq!((empty.shape(), texts(&empty).len()), (&[2, 0][..], 0));
}

#[test]
fn what_would_end_the_process_is_an_error() {
    let model = load("identity");
    let refuse = |dtype: DType, shape: &[i64], raw: &[u8]| {
        let request = crate::support::request(dtype.name(), &[("x", tensor(dtype, shape, raw))]);
        model.run(&request).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(DType::FLOAT, &[i64::MAX, 4, 0], &[]),
        "INVALID_ARGUMENT: shape [9223372036854775807, 4, 0] is too large"
    );
    assert_eq!(
        refuse(DType::UINT8, &[1; 255], &[7]),
        "INVALID_ARGUMENT: a tensor can have 254 dimensions, not 255"
    );
    assert_eq!(
        refuse(DType::BOOL, &[2], &[1, 2]),
        "INVALID_ARGUMENT: a bool tensor has a byte that is neither 0 nor 1"
    );
    // The most that is allowed goes through.
    let deep = trip(
        &model,
        DType::UINT8,
        tensor(DType::UINT8, &[1; 254], &[7u8]),
    );
    assert_eq!(deep.shape().len(), 254);
}
