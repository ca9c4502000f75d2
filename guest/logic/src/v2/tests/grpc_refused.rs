//! Calls of `inference.GRPCInferenceService` that are refused.

use prost::Message as _;
use tensorgate_proto::inference::infer_parameter::ParameterChoice;
use tensorgate_proto::inference::model_infer_request::{
    InferInputTensor, InferRequestedOutputTensor,
};
use tensorgate_proto::inference::{InferTensorContents, ModelInferRequest};
use tensorgate_types::{DType, Error, ErrorCode};

use super::grpc::{call, input, parameter, request};
use super::house;

fn refused(request: &ModelInferRequest) -> Error {
    let mut house = house(&[("x", DType::FLOAT)]);
    let (answer, _) = call(&mut house, "ModelInfer", request.encode_to_vec());
    assert!(house.runs.borrow().is_empty());
    answer.unwrap_err()
}

/// One input, with as many raw contents as are given.
fn raw(name: &str, datatype: &str, shape: &[i64], contents: &[&[u8]]) -> ModelInferRequest {
    let contents = contents.iter().map(|bytes| bytes.to_vec()).collect();
    request(vec![input(name, datatype, shape)], contents)
}

#[test]
fn what_is_wrong_with_raw_contents_is_named() {
    for (request, words) in [
        (
            raw("x", "FP32", &[1], &[]),
            "has 0 elements where its shape [1] has 1",
        ),
        (
            raw("x", "FP32", &[1], &[&[0; 3]]),
            "has 3 bytes where its datatype FP32 and shape [1] take 4",
        ),
        (
            raw("x", "FP32", &[1], &[&[0; 4], &[]]),
            "has 1 inputs and 2 raw_input_contents",
        ),
        (
            request(vec![], vec![vec![]]),
            "has 0 inputs and 1 raw_input_contents",
        ),
        (
            raw("x", "fp32", &[1], &[&[0; 4]]),
            "the datatype 'fp32': expected one of",
        ),
        (raw("", "FP32", &[1], &[&[0; 4]]), "an input has no name"),
        (
            raw("x", "FP32", &[-1], &[&[0; 4]]),
            "has the negative dimension -1",
        ),
        (
            raw("x", "FP32", &[1; 300], &[&[0; 4]]),
            "more than 254 dimensions",
        ),
        (
            raw("x", "FP32", &[i64::MAX; 2], &[&[0; 4]]),
            "too many elements",
        ),
        (
            raw("x", "BOOL", &[1], &[&[2]]),
            "has the byte 2: expected 0 or 1",
        ),
        (
            raw("x", "BYTES", &[1], &[&[9, 0, 0, 0]]),
            "says that element 0 has 9 bytes, and 0 are left",
        ),
        (raw("y", "FP32", &[1], &[&[0; 4]]), "not found in request"),
    ] {
        let error = refused(&request);
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().contains(words), "{words}: {error}");
    }
}

#[test]
fn what_is_wrong_with_typed_contents_is_named() {
    let fp32 = || InferTensorContents {
        fp32_contents: vec![1.0],
        ..Default::default()
    };
    let ints = |values: &[i32]| InferTensorContents {
        int_contents: values.to_vec(),
        ..Default::default()
    };
    for (datatype, shape, contents, words) in [
        (
            "FP32",
            2,
            fp32(),
            "has 1 elements where its shape [2] has 2",
        ),
        (
            "INT32",
            1,
            fp32(),
            "of the datatype INT32 has fp32_contents: expected int_contents",
        ),
        ("FP16", 1, fp32(), "of the datatype FP16 has no contents"),
        (
            "INT8",
            1,
            ints(&[300]),
            "has the element 300 in int_contents, which is no INT8",
        ),
        (
            "INT8",
            1,
            ints(&[1, 2, 3]),
            "has 3 elements where its shape [1] has 1",
        ),
        ("INT8", i64::MAX, ints(&[1, 2, 3]), "has 3 elements where"),
        ("FP32", i64::MAX, fp32(), "has 1 elements where"),
    ] {
        let tensor = InferInputTensor {
            contents: Some(contents),
            ..input("x", datatype, &[shape])
        };
        let error = refused(&request(vec![tensor.clone()], vec![]));
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().contains(words), "{words}: {error}");
        let error = refused(&request(vec![tensor], vec![vec![0; 4]]));
        assert!(
            error
                .message()
                .contains("has contents and raw_input_contents"),
            "{error}"
        );
    }
}

#[test]
fn choices_that_there_are_not_have_their_codes() {
    let code = |change: &dyn Fn(&mut ModelInferRequest)| {
        let mut asked = raw("x", "FP32", &[1], &[&[0; 4]]);
        change(&mut asked);
        refused(&asked).code()
    };
    let output = |name: &str| InferRequestedOutputTensor {
        name: name.to_owned(),
        ..Default::default()
    };
    let version = |text: &str| {
        let text = text.to_owned();
        code(&move |it| it.model_version.clone_from(&text))
    };
    assert_eq!(version("4"), ErrorCode::NotFound);
    assert_eq!(version("x"), ErrorCode::InvalidArgument);
    assert_eq!(
        code(&|it| it.model_name.clear()),
        ErrorCode::InvalidArgument
    );
    assert_eq!(
        code(&|it| it.model_name = "n".to_owned()),
        ErrorCode::NotFound
    );
    assert_eq!(
        code(&|it| it.outputs.push(output("y"))),
        ErrorCode::InvalidArgument
    );
    assert_eq!(
        code(&|it| it.outputs = vec![output("x"), output("x")]),
        ErrorCode::InvalidArgument
    );
    let signature = |choice: ParameterChoice| {
        let named = parameter("signature_name", choice);
        code(&move |it| it.parameters.clone_from(&named))
    };
    let none = ParameterChoice::StringParam("none".to_owned());
    assert_eq!(signature(none), ErrorCode::FailedPrecondition);
    assert_eq!(
        signature(ParameterChoice::Int64Param(1)),
        ErrorCode::InvalidArgument
    );
}

#[test]
fn what_is_not_done_is_not_done_by_half() {
    let code = |change: &dyn Fn(&mut ModelInferRequest)| {
        let mut asked = raw("x", "FP32", &[1], &[&[0; 4]]);
        asked.outputs.push(InferRequestedOutputTensor {
            name: "x".to_owned(),
            ..Default::default()
        });
        change(&mut asked);
        refused(&asked).code()
    };
    for (name, choice) in [
        ("sequence_id", ParameterChoice::Int64Param(4)),
        ("sequence_id", ParameterChoice::StringParam("a".to_owned())),
        ("sequence_start", ParameterChoice::BoolParam(true)),
    ] {
        let sequence = parameter(name, choice);
        assert_eq!(
            code(&|it| it.parameters.clone_from(&sequence)),
            ErrorCode::Unimplemented
        );
    }
    let region = parameter(
        "shared_memory_region",
        ParameterChoice::StringParam("r".to_owned()),
    );
    assert_eq!(
        code(&|it| it.inputs[0].parameters.clone_from(&region)),
        ErrorCode::Unimplemented
    );
    let classes = parameter("classification", ParameterChoice::Int64Param(2));
    assert_eq!(
        code(&|it| it.outputs[0].parameters.clone_from(&classes)),
        ErrorCode::Unimplemented
    );
}

#[test]
fn what_is_not_implemented_says_so() {
    let mut house = house(&[]);
    for (method, words) in [
        ("ModelStreamInfer", "streams of requests"),
        ("ModelStatistics", "statistics"),
        ("SystemSharedMemoryStatus", "shared memory"),
        ("RepositoryModelLoad", "loading"),
        ("Nothing", "unknown method"),
    ] {
        let (answer, _) = call(&mut house, method, vec![]);
        let error = answer.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unimplemented);
        assert!(error.message().contains(words), "{error}");
    }
}
