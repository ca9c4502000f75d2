//! Calls models through `tensorgate:serving`, by every way that a component at the edge has. The
//! way is in the path, the numbers are in the body: `1.0,2.0`.

#![cfg(target_arch = "wasm32")]
#![expect(
    missing_docs,
    unsafe_code,
    reason = "what the SDK and the bindings generate"
)]

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;

wit_bindgen::generate!({
    path: ["../../wit", "../../wit/edge"],
    world: "tensorgate:spin-program/edge-program",
    inline: "
        package tensorgate:spin-program;
        world edge-program {
            import tensorgate:serving/inference@0.1.0;
            import tensorgate:serving/runs@0.1.0;
            import tensorgate:edge/models@0.1.0;
            import tensorgate:serving/processor@0.1.0;
        }
    ",
    generate_all,
});

use tensorgate::edge::models::{self as edge, Call, Model as EdgeModel, Payload};
use tensorgate::serving::inference::{self, Model};
use tensorgate::serving::processor::{self, Subject};
use tensorgate::serving::runs;
use tensorgate::serving::types::{
    Error, ModelSpec, NamedTensor, Signature, Tensor, TensorData, VersionChoice,
};

const SIGNATURE: &str = "serving_default";

#[http_component]
#[expect(clippy::needless_pass_by_value, reason = "the SDK calls it so")]
fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let answered = answer(&request);
    let (status, text) = match answered {
        Ok(text) => (200, text),
        Err(error) => (400, format!("{:?}: {}", error.code, error.message)),
    };
    Ok(Response::builder().status(status).body(text).build())
}

fn answer(request: &Request) -> Result<String, Error> {
    let path = request.path_and_query().unwrap_or_default();
    let (way, name) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path, ""));
    let spec = ModelSpec {
        name: name.to_owned(),
        version: VersionChoice::Latest,
    };
    match way {
        "status" => status(name),
        "predict" => {
            let model = inference::open(&spec)?;
            let input = input(model.signature(SIGNATURE), request);
            let outputs = model.predict(SIGNATURE, &[input], &[])?;
            Ok(format!(
                "{} of version {}",
                numbers(&outputs),
                model.version()
            ))
        }
        "begin" => begin(&inference::open(&spec)?, request),
        "bare" => run(&edge::open_bare(&spec)?, request),
        "run" => run(&edge::open(&spec)?, request),
        "body" => body(&edge::open(&spec)?, request),
        "covered" => {
            let covered = edge::open(&spec)?.covered();
            let names: Vec<String> = covered.into_iter().map(|covered| covered.name).collect();
            Ok(names.join(","))
        }
        "describe" => describe(&spec),
        "many" => {
            let mut held = Vec::new();
            loop {
                held.push(inference::open(&spec)?);
            }
        }
        other => Ok(format!("no way is called {other}")),
    }
}

fn status(name: &str) -> Result<String, Error> {
    let versions = inference::status(name, None)?;
    let lines = versions
        .into_iter()
        .map(|status| format!("{}: {}", status.version, status.state));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The numbers of the body as the one input of the model.
fn input(signature: Option<Signature>, request: &Request) -> NamedTensor {
    let input = signature.and_then(|signature| signature.inputs.into_iter().next());
    let text = String::from_utf8_lossy(request.body());
    let numbers = text
        .split(',')
        .filter_map(|number| number.trim().parse::<f32>().ok());
    let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
    NamedTensor {
        name: input.map_or_else(|| "x".to_owned(), |input| input.name),
        tensor: Tensor {
            dtype: 1,
            shape: vec![i64::try_from(bytes.len() / 4).unwrap_or(0)],
            data: TensorData::Fixed(bytes),
        },
    }
}

fn numbers(outputs: &[NamedTensor]) -> String {
    let all = outputs.iter().map(|output| match &output.tensor.data {
        TensorData::Fixed(bytes) => {
            let numbers = bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]).to_string());
            format!("{}={}", output.name, numbers.collect::<Vec<_>>().join(","))
        }
        TensorData::Strings(_) => format!("{}=strings", output.name),
    });
    all.collect::<Vec<_>>().join(" ")
}

fn begin(model: &Model, request: &Request) -> Result<String, Error> {
    let inputs = [input(model.signature(SIGNATURE), request)];
    let one = runs::begin(model, SIGNATURE, &inputs, &[])?;
    let other = runs::begin(model, SIGNATURE, &inputs, &[])?;
    runs::mirror(model, SIGNATURE, &inputs)?;
    drop(other);
    let outputs = one.wait()?;
    let again = one.wait().err().map(|error| format!("{:?}", error.code));
    Ok(format!(
        "{} then {}",
        numbers(&outputs),
        again.unwrap_or_default()
    ))
}

fn run(model: &EdgeModel, request: &Request) -> Result<String, Error> {
    let reply = model.run(&Call {
        signature_name: SIGNATURE.to_owned(),
        api: "predict".to_owned(),
        accept: None,
        outputs: Vec::new(),
        payload: Payload::Tensors(vec![input(model.signature(SIGNATURE), request)]),
    })?;
    Ok(told(&reply.payload, reply.version))
}

fn body(model: &EdgeModel, request: &Request) -> Result<String, Error> {
    let content_type = request
        .header("content-type")
        .and_then(|value| value.as_str());
    let content_type = content_type.unwrap_or_default().to_owned();
    let reply = model.run(&Call {
        signature_name: SIGNATURE.to_owned(),
        api: "predict".to_owned(),
        accept: Some("text/plain".to_owned()),
        outputs: Vec::new(),
        payload: Payload::Body((content_type, request.body().to_vec())),
    })?;
    Ok(told(&reply.payload, reply.version))
}

fn told(payload: &Payload, version: i64) -> String {
    match payload {
        Payload::Tensors(outputs) => format!("{} of version {version}", numbers(outputs)),
        Payload::Body((content_type, bytes)) => {
            format!("{content_type}: {}", String::from_utf8_lossy(bytes))
        }
    }
}

/// What a processor says that no component gives.
fn describe(spec: &ModelSpec) -> Result<String, Error> {
    let described = processor::describe(&Subject {
        model: spec.name.clone(),
        version: 1,
        signatures: Vec::new(),
        properties: Vec::new(),
    })?;
    let context = processor::Context {
        model: spec.name.clone(),
        version: 1,
        signature_name: SIGNATURE.to_owned(),
        outputs: Vec::new(),
        properties: Vec::new(),
    };
    let refused = processor::postprocess(&context, &[]).err();
    let refused = refused
        .map(|error| format!("{:?}", error.code))
        .unwrap_or_default();
    Ok(format!("{} covered, then {refused}", described.len()))
}
