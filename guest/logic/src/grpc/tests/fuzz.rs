//! Decoding by the thousand: against the reference, in windows of every size, and damaged.

use std::collections::BTreeMap;

use prost::Message as _;

use super::random::{Random, request};
use super::reference::{self, Plain};
use super::{Fake, api, handle, path};
use crate::grpc::requests::PredictRequest;
use crate::grpc::source::Source;
use crate::grpc::tensor::{Bad, Data};
use crate::grpc::wire::Fault;
use crate::inference::Range;

/// What a decoder may make in these tests.
const BUDGET: u64 = 1 << 20;

/// What was decoded: a tensor, `None` for one that is none, an error for one that is too large.
type Inputs = BTreeMap<String, Result<Option<Plain>, String>>;

fn decode(fake: &Fake, windows: (u64, u64)) -> Result<(Inputs, Vec<String>), String> {
    let mut source = Source::with_limits(fake, windows, BUDGET);
    let request = PredictRequest::decode(&mut source).map_err(|fault| match fault {
        Fault::Malformed(what, at) => format!("{what} at {at}"),
        Fault::Other(error) => error.to_string(),
    })?;
    let part = |part: &Range| fake.message[part.offset as usize..][..part.length as usize].to_vec();
    let plain = |(alias, tensor)| {
        let tensor = match tensor {
            Err(Bad::Tensor) => Ok(None),
            Err(Bad::Size(error)) => Err(error.to_string()),
            Ok(tensor) => {
                let tensor: crate::grpc::tensor::Tensor = tensor;
                let data = match &tensor.data {
                    Data::Made(bytes) => {
                        assert!(bytes.len() as u64 <= BUDGET);
                        vec![bytes.clone()]
                    }
                    Data::InMessage(range) => vec![part(range)],
                    Data::Strings(ranges) => ranges.iter().map(part).collect(),
                };
                Ok(Some((tensor.dtype.number(), tensor.shape, data)))
            }
        };
        (alias, tensor)
    };
    let inputs = request.inputs.into_iter().map(plain).collect();
    Ok((inputs, request.output_filter))
}

/// Whether the reference reads this message as it should not: it takes what stands in the place
/// of a map's entry for one, whatever its wire type is.
fn is_misread(mut bytes: &[u8]) -> bool {
    use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
    while let Ok((number, wire)) = decode_key(&mut bytes) {
        if number == 2 && wire != WireType::LengthDelimited {
            return true;
        }
        if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}

/// Compares with the reference whatever both can decode.
fn compare(fake: &Fake, decoded: &(Inputs, Vec<String>)) -> bool {
    if is_misread(&fake.message) {
        return false;
    }
    let Ok(expected) = api::PredictRequest::decode(&*fake.message) else {
        return false;
    };
    assert_eq!(decoded.1, expected.output_filter);
    assert!(decoded.0.keys().eq(expected.inputs.keys()));
    for (alias, tensor) in &decoded.0 {
        if let Ok(tensor) = tensor {
            assert_eq!(*tensor, reference::decode(&expected.inputs[alias]));
        }
    }
    true
}

#[test]
fn any_tensor_is_decoded_as_the_reference_decodes_it() {
    let mut random = Random(1);
    let (mut whole, mut none, mut large) = (0, 0, 0);
    for _ in 0..6000 {
        let mut fake = Fake {
            message: request(&mut random),
            ..Fake::default()
        };
        fake.head = random.below(fake.message.len() + 50);
        let decoded = decode(&fake, (64, 256)).unwrap();
        assert!(compare(&fake, &decoded));
        for tensor in decoded.0.values() {
            match tensor {
                Ok(Some(_)) => whole += 1,
                Ok(None) => none += 1,
                Err(_) => large += 1,
            }
        }
    }
    // Chance has made all kinds.
    assert!(
        whole > 5000 && none > 300 && large > 30,
        "{whole} {none} {large}"
    );
}

#[test]
fn windows_of_any_size_give_the_same() {
    let mut random = Random(2);
    for _ in 0..1500 {
        let mut fake = Fake {
            message: request(&mut random),
            ..Fake::default()
        };
        let expected = decode(&fake, (4096, 4096)).unwrap();
        for (head, windows) in [
            (0, (1, 1)),
            (3, (1, 7)),
            (20, (13, 40)),
            (0, (1 << 20, 1 << 20)),
        ] {
            fake.head = head;
            assert_eq!(
                decode(&fake, windows).unwrap(),
                expected,
                "{head} {windows:?}"
            );
        }
    }
}

/// A message with some bytes changed, taken out, put in or repeated.
fn damaged(random: &mut Random) -> Vec<u8> {
    let mut message = request(random);
    for _ in 0..1 + random.below(3) {
        if message.is_empty() {
            break;
        }
        let at = random.below(message.len());
        match random.below(12) {
            // Mostly what keeps the lengths of messages right.
            0..6 => message[at] ^= 1 << random.below(8),
            6..8 => message[at] = random.next() as u8,
            8 => message.truncate(at),
            9 => {
                message.remove(at);
            }
            10 => message.insert(at, random.next() as u8),
            _ => {
                let end = (at + random.below(30)).min(message.len());
                let again = message[at..end].to_vec();
                message.splice(at..at, again);
            }
        }
    }
    message
}

#[test]
fn damaged_messages_are_decoded_or_refused() {
    let mut random = Random(3);
    let (mut refused, mut agreed) = (0, 0);
    for _ in 0..20_000 {
        let mut fake = Fake {
            message: damaged(&mut random),
            ..Fake::default()
        };
        let decoded = decode(&fake, (64, 256));
        match &decoded {
            Ok(decoded) => agreed += usize::from(compare(&fake, decoded)),
            Err(_) => {
                refused += 1;
                let theirs = api::PredictRequest::decode(&*fake.message);
                let is_right = theirs.is_err() || is_misread(&fake.message);
                assert!(is_right, "{decoded:?} {:02x?}", fake.message);
            }
        }
        fake.head = random.below(40);
        assert_eq!(decode(&fake, (5, 17)), decoded);
    }
    assert!(refused > 2000 && agreed > 2000, "{refused} {agreed}");
}

#[test]
fn noise_is_answered_by_every_method() {
    let mut random = Random(4);
    let methods = [
        "Predict",
        "Classify",
        "Regress",
        "MultiInference",
        "GetModelMetadata",
        "GetModelStatus",
        "HandleReloadConfigRequest",
    ];
    let refuse = |_: &_| Err(tensorgate_types::Error::unavailable("no"));
    for round in 0..3000 {
        let message = if round % 2 == 0 {
            damaged(&mut random)
        } else {
            (0..random.below(60)).map(|_| random.next() as u8).collect()
        };
        let fake = Fake {
            message,
            head: 16,
            answer: Box::new(refuse),
            ..Fake::default()
        };
        for method in methods {
            let (answer, outcome) = handle(&path(method), &fake, &&fake);
            assert_eq!(answer.is_err(), outcome.code != 0);
        }
    }
}
