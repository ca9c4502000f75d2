//! An ordinary program. It answers with what it was sent, and under `/predict` with what the
//! model makes of the body.

use std::sync::atomic::{AtomicU32, Ordering};

use tensorgate_test_programs::types::{ModelSpec, NamedTensor, TensorData, VersionChoice};
use tensorgate_test_programs::{
    Guest, Request, Response, answer, error_answer, fixed, inference, open_model, telemetry,
};

struct Echo;

tensorgate_test_programs::rest_only!(Echo);

impl Guest for Echo {
    fn handle(request: Request) -> Response {
        report(&request);
        match request.path.as_str() {
            "/predict" => predict(&request),
            "/strings" => strings(&request),
            "/signature" => signature(),
            "/status" => status(),
            "/count" => answer(200, count().to_string()),
            path => {
                let model = path.strip_prefix("/open/");
                model.map_or_else(|| echo(&request), open)
            }
        }
    }
}

/// The how manieth request of this instance this is.
fn count() -> u32 {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    REQUESTS.fetch_add(1, Ordering::Relaxed) + 1
}

fn echo(request: &Request) -> Response {
    let headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    answer(
        200,
        format!(
            "{} {} [{}] {} bytes",
            request.method,
            request.path,
            headers.join(","),
            request.body.len()
        ),
    )
}

fn open(name: &str) -> Response {
    let spec = ModelSpec {
        name: name.to_owned(),
        version: VersionChoice::Label("stable".to_owned()),
    };
    match inference::open(&spec) {
        Ok(model) => answer(200, model.version().to_string()),
        Err(error) => error_answer(&error),
    }
}

/// The body as floats, to the signature that doubles them.
fn predict(request: &Request) -> Response {
    let count = i64::try_from(request.body.len() / 4).unwrap_or_default();
    run("double", fixed("x", 1, &[count], &request.body))
}

/// The body's lines as strings, to the signature that gives them back.
fn strings(request: &Request) -> Response {
    let mut offsets = vec![0];
    let mut bytes = Vec::new();
    for line in request.body.split(|byte| *byte == b'\n') {
        bytes.extend_from_slice(line);
        offsets.push(bytes.len() as u64);
    }
    let mut input = fixed("x", 7, &[offsets.len() as i64 - 1], &[]);
    input.tensor.data =
        TensorData::Strings(tensorgate_test_programs::types::StringData { offsets, bytes });
    run("same", input)
}

fn run(signature: &str, input: NamedTensor) -> Response {
    let outputs = open_model().and_then(|model| model.predict(signature, &[input], &[]));
    match outputs {
        Err(error) => error_answer(&error),
        Ok(outputs) => match outputs.into_iter().next().map(|output| output.tensor.data) {
            Some(TensorData::Fixed(data)) => answer(200, data),
            Some(TensorData::Strings(strings)) => {
                answer(200, format!("{:?} {:?}", strings.offsets, strings.bytes))
            }
            None => answer(500, "no outputs"),
        },
    }
}

fn signature() -> Response {
    match open_model() {
        Err(error) => error_answer(&error),
        Ok(model) => {
            let defs: Vec<String> = model
                .signature_defs()
                .into_iter()
                .map(|(name, def)| format!("{name}:{}", def.len()))
                .collect();
            let missing = model.signature("none").is_none();
            let signature = model.signature("double");
            answer(200, format!("{signature:?} {missing} {}", defs.join(",")))
        }
    }
}

fn status() -> Response {
    match inference::status("m", None) {
        Err(error) => error_answer(&error),
        Ok(versions) => answer(200, format!("{versions:?}")),
    }
}

/// Twice: the second report must not count.
fn report(request: &Request) {
    for rows in [1, 2] {
        telemetry::report(&telemetry::Outcome {
            model: "é".repeat(200),
            version: Some(3),
            api: request.method.clone(),
            signature: request.path.clone(),
            rows,
            code: 0,
        });
    }
}
