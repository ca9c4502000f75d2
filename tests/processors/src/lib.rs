//! Processors that tests run: one component per file in `examples/`. This crate holds what they
//! share: the bindings of the world `model-processor`, and a few words to write an answer with.
//!
//! Apart from the programs of the world `gateway`, because a component has one world. Written
//! over the bare bindings, so that they can do what no well-meant kit lets them.

/// The world `model-processor`, as a guest sees it.
#[expect(missing_docs, reason = "generated from wit/")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "model-processor",
        path: "../../wit",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "tensorgate_test_processors::bindings",
    });
}

pub use bindings::exports::tensorgate::serving::processor::{
    Answer, Body, Context, Description, Guest, ModelCall, Payload, Step, Subject,
};
pub use bindings::tensorgate::serving::{inference, runs, types};
pub use types::{Error, ErrorCode, NamedTensor, StringData, Tensor, TensorData, TensorInfo};

/// TensorFlow's numbers of types.
pub const FLOAT: u32 = 1;
/// See [`FLOAT`].
pub const STRING: u32 = 7;

/// Exports a processor.
#[macro_export]
macro_rules! export {
    ($processor:ident) => {
        $crate::bindings::export!($processor with_types_in $crate::bindings);
    };
}

/// An input or output of unknown length.
#[must_use]
pub fn info(name: &str, dtype: u32) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        dtype,
        shape: Some(vec![-1]),
        optional: false,
    }
}

/// A description of a signature that covers nothing yet.
#[must_use]
pub fn description(signature: &str) -> Description {
    Description {
        signature_name: signature.to_owned(),
        content_types: Vec::new(),
        inputs: None,
        outputs: None,
        properties: Vec::new(),
    }
}

/// Floats in a row.
#[must_use]
pub fn floats(name: &str, values: &[f32]) -> NamedTensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    NamedTensor {
        name: name.to_owned(),
        tensor: Tensor {
            dtype: FLOAT,
            shape: vec![i64::try_from(values.len()).unwrap_or(i64::MAX)],
            data: TensorData::Fixed(bytes.collect()),
        },
    }
}

/// The floats of a tensor.
#[must_use]
pub fn floats_of(tensor: &Tensor) -> Vec<f32> {
    let TensorData::Fixed(bytes) = &tensor.data else {
        return Vec::new();
    };
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

/// Strings in a row.
#[must_use]
pub fn strings(name: &str, values: &[String]) -> NamedTensor {
    let mut offsets = vec![0];
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(value.as_bytes());
        offsets.push(bytes.len() as u64);
    }
    NamedTensor {
        name: name.to_owned(),
        tensor: Tensor {
            dtype: STRING,
            shape: vec![i64::try_from(values.len()).unwrap_or(i64::MAX)],
            data: TensorData::Strings(StringData { offsets, bytes }),
        },
    }
}

/// The strings of a tensor.
#[must_use]
pub fn strings_of(tensor: &Tensor) -> Vec<String> {
    let TensorData::Strings(strings) = &tensor.data else {
        return Vec::new();
    };
    let ends = strings.offsets.windows(2).map(|pair| (pair[0], pair[1]));
    let text = |(start, end): (u64, u64)| {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        String::from_utf8_lossy(&strings.bytes[at(start)..at(end)]).into_owned()
    };
    ends.map(text).collect()
}

/// A run of the model's signature.
#[must_use]
pub fn run(signature: &str, inputs: Vec<NamedTensor>) -> Step {
    Step::Run(ModelCall {
        signature_name: signature.to_owned(),
        inputs,
        outputs: Vec::new(),
    })
}

/// Tensors as the answer.
#[must_use]
pub fn tensors(tensors: Vec<NamedTensor>) -> Answer {
    Answer {
        payload: Payload::Tensors(tensors),
        version: None,
        properties: Vec::new(),
    }
}

/// A body as the answer.
#[must_use]
pub fn body(content_type: &str, bytes: impl Into<Vec<u8>>) -> Answer {
    Answer {
        payload: Payload::Body(Body {
            content_type: content_type.to_owned(),
            bytes: bytes.into(),
        }),
        version: None,
        properties: Vec::new(),
    }
}

/// A client's mistake.
#[must_use]
pub fn invalid(message: impl Into<String>) -> Error {
    Error {
        code: ErrorCode::InvalidArgument,
        message: message.into(),
    }
}
