//! A processor that was built against the contract of release 0.1.0 (`wit/releases/0.1.0`), and
//! calls all that it offers. Later hosts must go on running it: what breaks it breaks everybody's.

/// The contract as it was released.
#[expect(unsafe_code, reason = "generated from wit/releases/")]
mod bindings {
    wit_bindgen::generate!({
        world: "model-processor",
        path: "../../wit/releases/0.1.0",
        generate_all,
    });

    use super::Released;
    export!(Released with_types_in self);
}

use bindings::exports::tensorgate::serving::processor::{
    Answer, Body, Context, Description, Guest, ModelCall, Payload, Step, Subject,
};
use bindings::tensorgate::serving::types::{
    Error, ErrorCode, ModelSpec, NamedTensor, Tensor, TensorData, TensorInfo, VersionChoice,
};
use bindings::tensorgate::serving::{inference, runs};

struct Released;

const FLOAT: u32 = 1;

impl Guest for Released {
    fn describe(subject: Subject) -> Result<Vec<Description>, Error> {
        let info = |name: &str| TensorInfo {
            name: name.to_owned(),
            dtype: FLOAT,
            shape: Some(vec![-1]),
            optional: false,
        };
        let known = subject.signatures.iter().any(|named| {
            let inputs = &named.signature.inputs;
            named.name == "double" && inputs.len() == 1 && inputs[0].dtype == FLOAT
        });
        if !known {
            return Err(Error {
                code: ErrorCode::FailedPrecondition,
                message: format!("{} {} does not double", subject.model, subject.version),
            });
        }
        Ok(vec![Description {
            signature_name: "double".to_owned(),
            content_types: vec!["text/plain".to_owned()],
            inputs: Some(vec![info("x")]),
            outputs: Some(vec![info("y")]),
            properties: Vec::new(),
        }])
    }

    fn preprocess(context: Context, request: Payload) -> Result<Step, Error> {
        match request {
            Payload::Tensors(inputs) => Ok(Step::Run(ModelCall {
                signature_name: context.signature_name,
                inputs,
                outputs: context.outputs,
            })),
            Payload::Body(body) => Ok(Step::Answer(Answer {
                payload: Payload::Body(Body {
                    content_type: body.content_type,
                    bytes: everything(&context.model)?.into_bytes(),
                }),
                version: Some(context.version),
                properties: Vec::new(),
            })),
        }
    }

    fn postprocess(_context: Context, outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Ok(Answer {
            payload: Payload::Tensors(outputs),
            version: None,
            properties: Vec::new(),
        })
    }
}

/// What each function of `inference` and `runs` says.
fn everything(name: &str) -> Result<String, Error> {
    let versions = inference::status(name, None)?;
    let model = inference::open(&ModelSpec {
        name: name.to_owned(),
        version: VersionChoice::Latest,
    })?;
    let signature = model.signature("double");
    let x = [NamedTensor {
        name: "x".to_owned(),
        tensor: Tensor {
            dtype: FLOAT,
            shape: vec![1],
            data: TensorData::Fixed(4.0f32.to_le_bytes().to_vec()),
        },
    }];
    let predicted = value(&model.predict("double", &x, &[])?);
    let run = runs::begin(&model, "double", &x, &["y".to_owned()])?;
    let waited = value(&run.wait()?);
    runs::mirror(&model, "double", &x)?;
    Ok(format!(
        "{} versions, {} opened, {} inputs, {} signatures, {predicted} {waited}",
        versions.len(),
        model.version(),
        signature.map_or(0, |signature| signature.inputs.len()),
        model.signature_defs().len(),
    ))
}

/// The float of a tensor that has one.
fn value(outputs: &[NamedTensor]) -> f32 {
    let first = outputs.first().map(|output| &output.tensor.data);
    match first {
        Some(TensorData::Fixed(bytes)) => {
            <[u8; 4]>::try_from(bytes.as_slice()).map_or(f32::NAN, f32::from_le_bytes)
        }
        _ => f32::NAN,
    }
}
