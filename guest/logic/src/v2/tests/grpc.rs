//! Calls of `inference.GRPCInferenceService`.

use std::collections::BTreeMap;

use prost::Message as _;
use tensorgate_proto::inference as proto;
use tensorgate_proto::inference::infer_parameter::ParameterChoice;
use tensorgate_proto::inference::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use tensorgate_proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
};
use tensorgate_proto::tensorflow::serving::PredictRequest;
use tensorgate_types::{DType, Error};

use super::{Counted, TYPES, house, mirror};
use crate::fake::Fake;
use crate::outcome::Outcome;
use crate::services::Chunk;

pub(super) fn call(
    house: &mut Fake,
    method: &str,
    message: Vec<u8>,
) -> (Result<Vec<u8>, Error>, Outcome) {
    house.message = message;
    let house = &*house;
    let method = format!("/inference.GRPCInferenceService/{method}");
    let (answer, outcome) = crate::grpc::handle(&method, house, &house);
    (answer.map(|chunks| house.assemble(&chunks)), outcome)
}

fn ask<T: prost::Message + Default>(
    house: &mut Fake,
    method: &str,
    request: &impl prost::Message,
) -> T {
    let (answer, _) = call(house, method, request.encode_to_vec());
    T::decode(&*answer.unwrap()).unwrap()
}

pub(super) fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

pub(super) fn request(inputs: Vec<InferInputTensor>, raw: Vec<Vec<u8>>) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "m".to_owned(),
        id: "one".to_owned(),
        inputs,
        raw_input_contents: raw,
        ..ModelInferRequest::default()
    }
}

pub(super) fn parameter(name: &str, choice: ParameterChoice) -> BTreeMap<String, InferParameter> {
    let parameter_choice = Some(choice);
    [(name.to_owned(), InferParameter { parameter_choice })].into()
}

#[test]
fn raw_contents_of_every_datatype_come_back() {
    for (dtype, name) in TYPES {
        let bytes = match dtype.size() {
            Some(size) => vec![1; 2 * size],
            None => b"\x02\0\0\0ab\0\0\0\0".to_vec(),
        };
        let mut house = house(&[("x", dtype)]);
        let request = request(vec![input("x", name, &[2])], vec![bytes.clone()]);
        let answer: ModelInferResponse = ask(&mut house, "ModelInfer", &request);
        assert_eq!(
            (&*answer.model_name, &*answer.model_version, &*answer.id),
            ("m", "3", "one")
        );
        assert_eq!(answer.outputs.len(), 1);
        assert_eq!(answer.outputs[0].name, "x");
        assert_eq!(answer.outputs[0].datatype, name);
        assert_eq!(answer.outputs[0].shape, [2]);
        assert!(answer.outputs[0].contents.is_none());
        assert_eq!(answer.raw_output_contents, [bytes]);
    }
}

fn typed(datatype: &str, contents: InferTensorContents) -> Vec<u8> {
    let dtype = TYPES.iter().find(|(_, name)| *name == datatype).unwrap().0;
    let mut house = house(&[("x", dtype)]);
    let mut tensor = input("x", datatype, &[2]);
    tensor.contents = Some(contents);
    let answer: ModelInferResponse = ask(&mut house, "ModelInfer", &request(vec![tensor], vec![]));
    answer.raw_output_contents.concat()
}

#[test]
fn integers_in_contents_become_elements() {
    let raw = |values: &[i64], size: usize| -> Vec<u8> {
        let wide = values.iter().map(|value| value.to_le_bytes());
        wide.flat_map(|value| value[..size].to_vec()).collect()
    };
    for (datatype, size) in [("INT8", 1), ("INT16", 2), ("INT32", 4)] {
        let contents = InferTensorContents {
            int_contents: vec![-1, 7],
            ..Default::default()
        };
        assert_eq!(typed(datatype, contents), raw(&[-1, 7], size));
    }
    for (datatype, size) in [("UINT8", 1), ("UINT16", 2), ("UINT32", 4)] {
        let contents = InferTensorContents {
            uint_contents: vec![200, 7],
            ..Default::default()
        };
        assert_eq!(typed(datatype, contents), raw(&[200, 7], size));
    }
    let contents = InferTensorContents {
        int64_contents: vec![i64::MIN, 7],
        ..Default::default()
    };
    assert_eq!(typed("INT64", contents), raw(&[i64::MIN, 7], 8));
    let contents = InferTensorContents {
        uint64_contents: vec![u64::MAX, 7],
        ..Default::default()
    };
    assert_eq!(typed("UINT64", contents), raw(&[-1, 7], 8));
}

#[test]
fn other_contents_become_elements() {
    let contents = InferTensorContents {
        bool_contents: vec![true, false],
        ..Default::default()
    };
    assert_eq!(typed("BOOL", contents), [1, 0]);
    let contents = InferTensorContents {
        fp32_contents: vec![1.0, 2.0],
        ..Default::default()
    };
    let expected = [1f32, 2.0].map(f32::to_le_bytes).concat();
    assert_eq!(typed("FP32", contents), expected);
    let contents = InferTensorContents {
        fp64_contents: vec![1.0, 2.0],
        ..Default::default()
    };
    let expected = [1f64, 2.0].map(f64::to_le_bytes).concat();
    assert_eq!(typed("FP64", contents), expected);
    let contents = InferTensorContents {
        bytes_contents: vec![b"a".to_vec(), vec![]],
        ..Default::default()
    };
    assert_eq!(typed("BYTES", contents), b"\x01\0\0\0a\0\0\0\0");
}

#[test]
fn contents_may_come_unpacked_and_in_pieces() {
    // Field 5 twice: a packed 1.0, then an unpacked 2.0 of fp32_contents.
    let mut tensor = input("x", "FP32", &[2]).encode_to_vec();
    tensor.extend([0x2A, 6, 0x32, 4]);
    tensor.extend(1f32.to_le_bytes());
    tensor.extend([0x2A, 5, 0x35]);
    tensor.extend(2f32.to_le_bytes());
    let mut message = request(vec![], vec![]).encode_to_vec();
    message.extend([0x2A, tensor.len() as u8]);
    message.extend(tensor);
    let mut house = house(&[("x", DType::FLOAT)]);
    let (answer, _) = call(&mut house, "ModelInfer", message);
    let answer = ModelInferResponse::decode(&*answer.unwrap()).unwrap();
    assert_eq!(
        answer.raw_output_contents,
        [[1f32, 2.0].map(f32::to_le_bytes).concat()]
    );
}

#[test]
fn models_versions_signatures_and_outputs_are_chosen() {
    let mut house = house(&[("x", DType::FLOAT)]);
    let other = mirror(&[("y", DType::INT8), ("z", DType::INT8)]);
    house.signatures.insert("other".to_owned(), other);
    let output = |name: &str| InferRequestedOutputTensor {
        name: name.to_owned(),
        ..Default::default()
    };
    let mut asked = request(
        vec![input("y", "INT8", &[1]), input("z", "INT8", &[1])],
        vec![vec![1], vec![2]],
    );
    asked.parameters = parameter(
        "signature_name",
        ParameterChoice::StringParam("other".to_owned()),
    );
    asked.outputs = vec![output("z"), output("y")];
    for version in ["", "3", "stable"] {
        version.clone_into(&mut asked.model_version);
        let answer: ModelInferResponse = ask(&mut house, "ModelInfer", &asked);
        assert_eq!(answer.raw_output_contents, [[2], [1]]);
        assert_eq!(answer.outputs[0].name, "z");
    }
}

#[test]
fn large_tensors_never_come_in() {
    let elements = 1 << 20;
    let request = request(
        vec![input("x", "FP32", &[elements])],
        vec![vec![0; 4 * elements as usize]],
    );
    let bytes = request.encode_to_vec();
    let mut house = house(&[("x", DType::FLOAT)]);
    house.message.clone_from(&bytes);
    let message = Counted {
        bytes,
        read: 0.into(),
    };
    let method = "/inference.GRPCInferenceService/ModelInfer";
    let (answer, outcome) = crate::grpc::handle(method, &message, &&house);
    assert_eq!(
        (outcome.api, outcome.rows),
        ("infer", elements.unsigned_abs())
    );
    assert_eq!(message.read.get(), 0);
    assert!(matches!(
        answer.unwrap()[..],
        [Chunk::Bytes(_), Chunk::Held(0)]
    ));
}

#[test]
fn the_server_and_its_models_tell_of_themselves() {
    let mut house = house(&[("x", DType::FLOAT)]);
    house.models = Some(vec!["m".to_owned()]);
    let live: proto::ServerLiveResponse =
        ask(&mut house, "ServerLive", &proto::ServerLiveRequest {});
    let ready: proto::ServerReadyResponse =
        ask(&mut house, "ServerReady", &proto::ServerReadyRequest {});
    assert!(live.live && ready.ready);
    let server: proto::ServerMetadataResponse = ask(
        &mut house,
        "ServerMetadata",
        &proto::ServerMetadataRequest {},
    );
    assert_eq!(server.name, "tensorgate");
    for (name, version, expected) in [
        ("m", "", true),
        ("m", "3", true),
        ("m", "4", false),
        ("n", "", false),
    ] {
        let request = proto::ModelReadyRequest {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let ready: proto::ModelReadyResponse = ask(&mut house, "ModelReady", &request);
        assert_eq!(ready.ready, expected, "{name} {version}");
    }
    let request = proto::ModelMetadataRequest {
        name: "m".to_owned(),
        version: String::new(),
    };
    let metadata: proto::ModelMetadataResponse = ask(&mut house, "ModelMetadata", &request);
    assert_eq!(metadata.versions, ["3"]);
    assert_eq!(metadata.inputs[0].datatype, "FP32");
    let request = proto::ModelConfigRequest {
        name: "m".to_owned(),
        version: String::new(),
    };
    let config: proto::ModelConfigResponse = ask(&mut house, "ModelConfig", &request);
    assert_eq!(
        config.config.unwrap().input[0].data_type(),
        proto::DataType::TypeFp32
    );
    let index: proto::RepositoryIndexResponse = ask(
        &mut house,
        "RepositoryIndex",
        &proto::RepositoryIndexRequest {
            ready: true,
            ..Default::default()
        },
    );
    assert_eq!(index.models.len(), 1);
    assert_eq!(index.models[0].state, "READY");
}

#[test]
fn what_is_sampled_is_written_down_as_a_predict_request() {
    let mut house = house(&[("n", DType::INT32), ("s", DType::STRING)]);
    house.is_sampled = true;
    let raw = vec![1i32.to_le_bytes().to_vec(), b"\x02\0\0\0ab".to_vec()];
    let asked = request(
        vec![input("n", "INT32", &[1]), input("s", "BYTES", &[1])],
        raw,
    );
    let _: ModelInferResponse = ask(&mut house, "ModelInfer", &asked);
    let logs = house.logs.borrow();
    let logged = PredictRequest::decode(&*house.assemble(&logs[0].request)).unwrap();
    assert_eq!(logged.inputs["n"].tensor_content, 1i32.to_le_bytes());
    assert_eq!(logged.inputs["s"].string_val, [b"ab"]);
    assert_eq!(logged.model_spec.unwrap().signature_name, "serving_default");
    let logged = house.assemble(&logs[0].response);
    let logged = tensorgate_proto::tensorflow::serving::PredictResponse::decode(&*logged).unwrap();
    assert_eq!(logged.outputs["n"].int_val, [1]);
    drop(logs);
    // JSON too.
    let body = r#"{"inputs":[{"name":"n","datatype":"INT32","shape":[1],"data":[7]},
        {"name":"s","datatype":"BYTES","shape":[1],"data":["x"]}]}"#;
    assert_eq!(super::infer(&mut house, body).status, 200);
    let logs = house.logs.borrow();
    let logged = PredictRequest::decode(&*house.assemble(&logs[1].request)).unwrap();
    assert_eq!(logged.inputs["n"].tensor_content, 7i32.to_le_bytes());
    assert_eq!(logged.inputs["s"].string_val, [b"x"]);
}
