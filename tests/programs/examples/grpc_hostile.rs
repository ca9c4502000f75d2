//! Means it badly with gRPC calls: the method says how.

use tensorgate_test_programs::management::{self, ModelConfig, VersionPolicy};
use tensorgate_test_programs::request_log::{self, Entry, Kind};
use tensorgate_test_programs::transfer::{self, Chunk, Input, InputData, Range};
use tensorgate_test_programs::types::{Error, ErrorCode};
use tensorgate_test_programs::{Call, GrpcGuest, open_model, refusal, settings};

struct Hostile;

tensorgate_test_programs::grpc_only!(Hostile);

impl GrpcGuest for Hostile {
    fn handle(call: Call) -> Result<Vec<Chunk>, Error> {
        let whole = Range {
            offset: 0,
            length: call.length,
        };
        match call.method.as_str() {
            "loop" => loop {
                std::hint::black_box(&call.head);
            },
            "loop-of-reads" => loop {
                let _ = transfer::read(whole);
            },
            "trap" => panic!("the program says why"),
            "a-million-ranges" => strings(vec![whole; 1_000_000], 1_000_000),
            "a-million-ranges-for-one-string" => strings(vec![whole; 1_000_000], 1),
            "a-million-empty-ranges" => {
                let nowhere = Range {
                    offset: 0,
                    length: 0,
                };
                strings(vec![nowhere; 1_000_000], 1_000_000)
            }
            "copies-of-the-message" => floats_often(whole, 250),
            "too-many-calls" => floats_often(whole, 1000),
            "no-calls" => floats_often(whole, 0),
            "held-never-given" => Ok(vec![Chunk::Held(7)]),
            // Another request was given 0; this one was given nothing.
            "held-of-another" => Ok(vec![Chunk::Held(0)]),
            "hold" => {
                floats(whole, 1, 0)?;
                Ok(vec![Chunk::Held(0)])
            }
            "hold-for-ever" => loop {
                floats(whole, 1, 0)?;
            },
            "range-beyond" => Ok(vec![Chunk::InMessage(Range {
                offset: 1,
                length: call.length,
            })]),
            "range-overflows" => Ok(vec![Chunk::InMessage(Range {
                offset: u64::MAX,
                length: u64::MAX,
            })]),
            "message-often" => Ok(vec![Chunk::InMessage(whole); 100]),
            "too-many-chunks" => Ok(vec![Chunk::Bytes(Vec::new()); 100_000]),
            "long-status" => Err(Error {
                code: ErrorCode::Aborted,
                message: "x".repeat(1 << 20),
            }),
            "reload-often" => reload_often(),
            "log-often" => log_often(whole),
            "settings" => text(format!("{:?}", settings::get())),
            _ => Err(refusal(&call.method)),
        }
    }
}

fn run(calls: &[transfer::Call], hold_from: u64) -> Result<Vec<Chunk>, Error> {
    transfer::run(&open_model()?, calls, hold_from)?;
    text("believed".to_owned())
}

fn call(input: Input) -> transfer::Call {
    transfer::Call {
        signature_name: "same".to_owned(),
        inputs: vec![input],
        outputs: Vec::new(),
    }
}

fn strings(ranges: Vec<Range>, count: i64) -> Result<Vec<Chunk>, Error> {
    let input = Input {
        name: "x".to_owned(),
        dtype: 7,
        shape: vec![count],
        data: InputData::StringsInMessage(ranges),
    };
    run(&[call(input)], u64::MAX)
}

/// The whole message but its first byte, as often: nowhere near where it could be shared.
fn floats_often(whole: Range, calls: usize) -> Result<Vec<Chunk>, Error> {
    let part = Range {
        offset: 1,
        length: whole.length - 1,
    };
    floats(part, calls, u64::MAX)
}

fn floats(part: Range, calls: usize, hold_from: u64) -> Result<Vec<Chunk>, Error> {
    let input = Input {
        name: "x".to_owned(),
        dtype: 4,
        shape: vec![part.length as i64],
        data: InputData::InMessage(part),
    };
    run(&vec![call(input); calls], hold_from)
}

fn reload_often() -> Result<Vec<Chunk>, Error> {
    let config = ModelConfig {
        name: "m".to_owned(),
        base_path: "/models/m".to_owned(),
        model_type: 0,
        model_platform: "tensorflow".to_owned(),
        version_policy: Some(VersionPolicy::Specific(vec![1, 2])),
        version_labels: vec![("stable".to_owned(), 1)],
        logging: None,
    };
    let first = management::reload(Some(&[config]), &["/a".to_owned()]);
    let refused = (0..1000)
        .filter(|_| management::reload(None, &[]).is_err())
        .count();
    text(format!("{first:?}, then {refused} refused"))
}

fn log_often(whole: Range) -> Result<Vec<Chunk>, Error> {
    let entry = Entry {
        kind: Kind::Predict,
        model: "m".to_owned(),
        version: 3,
        signature_name: "same".to_owned(),
        request: vec![Chunk::InMessage(whole)],
        response: vec![Chunk::Bytes(b"answer".to_vec())],
    };
    // Before it was asked whether it may.
    request_log::write(&entry);
    let drawn = (0..1000).filter(|_| request_log::sampled("m")).count();
    for _ in 0..1000 {
        request_log::write(&entry);
    }
    text(format!("drawn {drawn} times"))
}

fn text(text: String) -> Result<Vec<Chunk>, Error> {
    Ok(vec![Chunk::Bytes(text.into_bytes())])
}
