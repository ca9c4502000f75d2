//! Answers gRPC calls without looking at their messages: the method says which parts of the
//! message go where, in words and numbers with spaces between them. Numbers may be lies.

use tensorgate_test_programs::transfer::{
    self, Chunk, Input, InputData, Output, OutputData, Range,
};
use tensorgate_test_programs::types::{Error, StringData};
use tensorgate_test_programs::{Call, GrpcGuest, open_model, refusal};

struct Ranges;

tensorgate_test_programs::grpc_only!(Ranges);

const FLOAT: u32 = 1;
const STRING: u32 = 7;

impl GrpcGuest for Ranges {
    fn handle(call: Call) -> Result<Vec<Chunk>, Error> {
        let (verb, rest) = call.method.split_once(' ').unwrap_or((&call.method, ""));
        let (name, _) = rest.split_once(' ').unwrap_or((rest, ""));
        let numbers: Vec<u64> = rest
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match (verb, numbers.as_slice()) {
            ("head", []) => text(format!("{} of {}", call.head.len(), call.length)),
            ("read", [offset, length]) => {
                let bytes = transfer::read(range(*offset, *length))?;
                Ok(vec![Chunk::Bytes(bytes)])
            }
            ("echo", [offset, length]) => Ok(vec![
                Chunk::Bytes(b"<".to_vec()),
                Chunk::InMessage(range(*offset, *length)),
                Chunk::Bytes(b">".to_vec()),
            ]),
            ("run", [offset, length, hold_from]) => {
                let floats = floats(range(*offset, *length), length / 4);
                let outputs = run(vec![(name, floats)], *hold_from)?;
                Ok(outputs.into_iter().flatten().map(chunk).collect())
            }
            // Two calls in one run: each gets one half of the message.
            ("halves", [hold_from]) => {
                let half = call.length / 2;
                let calls = [0, half].map(|offset| ("same", floats(range(offset, half), half / 4)));
                let outputs = run(calls.into(), *hold_from)?;
                Ok(outputs.into_iter().flatten().map(chunk).collect())
            }
            ("strings", numbers) => {
                let ranges: Vec<Range> = numbers
                    .chunks_exact(2)
                    .map(|pair| range(pair[0], pair[1]))
                    .collect();
                let strings = Input {
                    name: "x".to_owned(),
                    dtype: STRING,
                    shape: vec![ranges.len() as i64],
                    data: InputData::StringsInMessage(ranges),
                };
                match run(vec![("same", strings)], 0)?.remove(0).remove(0).data {
                    OutputData::Strings(StringData { offsets, bytes }) => {
                        text(format!("{offsets:?} {}", String::from_utf8_lossy(&bytes)))
                    }
                    _ => text("strings became something else".to_owned()),
                }
            }
            _ => Err(refusal(&call.method)),
        }
    }
}

fn range(offset: u64, length: u64) -> Range {
    Range { offset, length }
}

fn floats(part: Range, count: u64) -> Input {
    Input {
        name: "x".to_owned(),
        dtype: FLOAT,
        shape: vec![count as i64],
        data: InputData::InMessage(part),
    }
}

fn run(calls: Vec<(&str, Input)>, hold_from: u64) -> Result<Vec<Vec<Output>>, Error> {
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(signature, input)| transfer::Call {
            signature_name: signature.to_owned(),
            inputs: vec![input],
            outputs: Vec::new(),
        })
        .collect();
    transfer::run(&open_model()?, &calls, hold_from)
}

fn chunk(output: Output) -> Chunk {
    match output.data {
        OutputData::Fixed(bytes) => Chunk::Bytes(bytes),
        OutputData::Strings(strings) => Chunk::Bytes(strings.bytes),
        OutputData::Held(number) => Chunk::Held(number),
    }
}

fn text(text: String) -> Result<Vec<Chunk>, Error> {
    Ok(vec![Chunk::Bytes(text.into_bytes())])
}
