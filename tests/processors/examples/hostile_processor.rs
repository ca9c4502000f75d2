//! A processor that does what the body says, and most of it is bad. It covers `double` and
//! `serving_default`, and gives its model good inputs where it is not told otherwise.

use std::hint::black_box;
use std::time::Duration;

use tensorgate_test_processors::bindings::tensorgate::serving::types::{ModelSpec, VersionChoice};
use tensorgate_test_processors::{
    Answer, Context, Description, Error, Guest, NamedTensor, Payload, Step, Subject, TensorData,
    body, description, export, floats, inference, invalid, run, tensors,
};

struct Hostile;

export!(Hostile);

impl Guest for Hostile {
    fn describe(subject: Subject) -> Result<Vec<Description>, Error> {
        let covered = ["double", "serving_default"];
        Ok(subject
            .signatures
            .iter()
            .filter(|named| covered.contains(&named.name.as_str()))
            .map(|named| Description {
                content_types: vec!["text/plain".to_owned()],
                ..description(&named.name)
            })
            .collect())
    }

    fn preprocess(context: Context, request: Payload) -> Result<Step, Error> {
        let Payload::Body(request) = request else {
            let Payload::Tensors(inputs) = request else {
                unreachable!("a payload is one of two");
            };
            return Ok(run(&context.signature_name, inputs));
        };
        let told = String::from_utf8_lossy(&request.bytes).into_owned();
        let good = || vec![floats("x", &[1.0, 2.0])];
        let name = context.signature_name.as_str();
        match told.split_once(' ').map_or(told.as_str(), |(word, _)| word) {
            "trap" => panic!("told to"),
            "loop" => loop {
                black_box(&told);
            },
            "sleep" => {
                std::thread::sleep(Duration::from_secs(3600));
                Err(invalid("awake"))
            }
            "memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                    black_box(&all);
                }
            }
            "stack" => Err(invalid(deep(black_box(u64::MAX)).to_string())),
            "refuse" => Err(invalid("not this one")),
            "short" => Ok(run(name, vec![cut(floats("x", &[1.0, 2.0]))])),
            "negative" => {
                let mut input = floats("x", &[1.0]);
                input.tensor.shape = vec![-1, -1];
                Ok(run(name, vec![input]))
            }
            "twice" => Ok(run(name, [good(), good()].concat())),
            "unknown-input" => Ok(run(name, vec![floats("nobody", &[1.0])])),
            "unknown-signature" => Ok(run("nobody", good())),
            "endless-shape" => {
                let mut input = floats("x", &[1.0]);
                input.tensor.shape = vec![1; 100_000];
                Ok(run(name, vec![input]))
            }
            "header" => Ok(Step::Answer(body("text/plain\r\nx: y", "split"))),
            "large" => Ok(Step::Answer(body("text/plain", vec![b'x'; 3 << 20]))),
            "undescribed" => Ok(Step::Answer(tensors(vec![floats("z", &[1.0])]))),
            "missing" => Ok(Step::Answer(tensors(vec![]))),
            "tell" => Ok(Step::Answer(body("text/plain", what_it_sees()))),
            "call" => call(told.trim_start_matches("call ")),
            _ => Ok(run(name, good())),
        }
    }

    fn postprocess(_context: Context, outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Ok(tensors(outputs))
    }
}

fn deep(left: u64) -> u64 {
    let frame = black_box([left; 64]);
    match left {
        0 => 0,
        left => frame[(left % 64) as usize] ^ deep(left - 1),
    }
}

/// A tensor whose data is shorter than its shape says.
fn cut(mut tensor: NamedTensor) -> NamedTensor {
    if let TensorData::Fixed(bytes) = &mut tensor.tensor.data {
        bytes.pop();
    }
    tensor
}

/// What it finds of the house: variables, and files in the directories that a test may grant.
fn what_it_sees() -> String {
    let mut seen: Vec<String> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    for path in ["/", "/etc/passwd", "/data/file", "/data/../secret"] {
        match std::fs::read(path) {
            Ok(bytes) => seen.push(format!("{path}: {}", String::from_utf8_lossy(&bytes))),
            Err(_) => seen.push(format!("{path}: no")),
        }
    }
    let wrote = std::fs::write("/data/new", "x").is_ok();
    seen.push(format!("wrote: {wrote}"));
    seen.join("\n")
}

/// Connects to an address, or opens a model.
fn call(what: &str) -> Result<Step, Error> {
    if let Some(address) = what.strip_prefix("tcp ") {
        let connected = match std::net::TcpStream::connect(address) {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        return Ok(Step::Answer(body("text/plain", connected)));
    }
    let model = inference::open(&ModelSpec {
        name: what.to_owned(),
        version: VersionChoice::Latest,
    })?;
    let outputs = model.predict("double", &[floats("x", &[4.0])], &[])?;
    let Some(TensorData::Fixed(bytes)) = outputs.first().map(|output| &output.tensor.data) else {
        return Err(invalid("no floats"));
    };
    Ok(Step::Answer(body("text/plain", format!("{bytes:?}"))))
}
