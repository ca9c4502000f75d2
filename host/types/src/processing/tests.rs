//! What a processor may say and give, and what not.

use super::*;
use crate::{
    DType, InputView, NamedTensors, PREDICT_METHOD, ShapeCheck, Signature, Signatures, Tensor,
    TensorInfo,
};

fn info(name: &str, dtype: DType, shape: Option<Vec<i64>>) -> NamedInfo {
    NamedInfo {
        name: name.to_owned(),
        dtype: dtype.number(),
        shape,
        optional: false,
    }
}

fn model() -> Signatures {
    let info = |dtype| TensorInfo {
        tensor_name: "t:0".to_owned(),
        dtype,
        shape: None,
        optional: false,
    };
    let signature = Signature {
        method_name: "tensorflow/serving/classify".to_owned(),
        inputs: [("x".to_owned(), info(DType::FLOAT))].into(),
        outputs: [("y".to_owned(), info(DType::FLOAT))].into(),
    };
    [("s".to_owned(), signature)].into()
}

fn describing(name: &str) -> Description {
    Description {
        signature_name: name.to_owned(),
        ..Description::default()
    }
}

fn problem(description: Description) -> String {
    covered(vec![description], &model()).expect_err("it cannot be")
}

#[test]
fn a_covered_signature_is_the_models_where_nothing_else_is_said() {
    let all = covered(vec![describing("s")], &model()).expect("it can be");
    let one = &all["s"];
    assert_eq!(one.signature, model()["s"]);
    assert_eq!(one.shapes, ShapeCheck::Lenient);
    assert!(one.takes_tensors);
    let strings = Description {
        inputs: Some(vec![info("text", DType::STRING, Some(vec![-1]))]),
        content_types: vec![" Image/* ".to_owned()],
        ..describing("s")
    };
    let all = covered(vec![strings], &model()).expect("it can be");
    let one = &all["s"];
    assert_eq!(one.signature.inputs["text"].dtype, DType::STRING);
    assert_eq!(one.signature.method_name, "tensorflow/serving/classify");
    assert_eq!(one.shapes, ShapeCheck::Strict);
    assert_eq!(one.content_types, ["image/*"]);
}

#[test]
fn a_signature_can_be_added_and_may_take_bodies_alone() {
    let added = Description {
        content_types: vec!["text/csv".to_owned()],
        ..describing("csv")
    };
    let all = covered(vec![added], &model()).expect("it can be");
    let one = &all["csv"];
    assert_eq!(one.signature.method_name, PREDICT_METHOD);
    assert!(!one.takes_tensors);
    let refused = one.check("csv", &[], ShapeCheck::Lenient).unwrap_err();
    assert_eq!(
        refused.message(),
        "the signature csv takes no tensors, but bodies of the content types text/csv"
    );
    assert_eq!(covered(vec![], &model()), Ok([].into()));
}

#[test]
fn what_cannot_be_described_is_named() {
    let with_inputs = |inputs| Description {
        inputs: Some(inputs),
        ..describing("s")
    };
    for (description, words) in [
        (describing(""), "a signature's name has 0 bytes"),
        (
            describing("other"),
            "signature other: the model has no signature",
        ),
        (
            Description {
                content_types: vec!["jpeg".to_owned()],
                ..describing("s")
            },
            "signature s: \"jpeg\" is no content type",
        ),
        (
            with_inputs(vec![info("x", DType::RESOURCE, None)]),
            "signature s: inputs: x cannot be of type resource",
        ),
        (
            with_inputs(vec![info("x", DType::FLOAT, Some(vec![-2]))]),
            "signature s: inputs: x has the shape [-2]",
        ),
        (
            with_inputs(vec![
                info("x", DType::FLOAT, None),
                info("x", DType::FLOAT, None),
            ]),
            "signature s: inputs: x is there twice",
        ),
    ] {
        let problem = problem(description);
        assert!(problem.starts_with(words), "{problem}");
    }
    let twice = covered(vec![describing("s"), describing("s")], &model());
    assert_eq!(twice, Err("it describes signature s twice".to_owned()));
}

#[test]
fn requests_are_held_against_what_is_described() {
    let description = Description {
        inputs: Some(vec![info("text", DType::STRING, Some(vec![-1]))]),
        ..describing("s")
    };
    let all = covered(vec![description], &model()).expect("it can be");
    let check = |name, dtype, shape: &[i64]| {
        let view = InputView { name, dtype, shape };
        let checked = all["s"].check("s", &[view], ShapeCheck::Lenient);
        checked.map_err(|error| error.message().to_owned())
    };
    assert_eq!(check("text", DType::STRING, &[2]), Ok(()));
    assert_eq!(
        check("text", DType::FLOAT, &[2]),
        Err("Expects input text to be string but float is provided".to_owned())
    );
    assert!(check("text", DType::STRING, &[2, 1]).is_err());
    assert!(check("x", DType::FLOAT, &[2]).is_err());
    // An operator who wants shapes to be checked has it so for the model's own inputs, too.
    let all = covered(vec![describing("s")], &model()).expect("it can be");
    assert_eq!(
        all["s"].shapes_before(ShapeCheck::Lenient),
        ShapeCheck::Lenient
    );
    assert_eq!(
        all["s"].shapes_before(ShapeCheck::Strict),
        ShapeCheck::Strict
    );
}

#[test]
fn tensors_that_lie_are_refused_by_name() {
    let fixed = |dtype: DType, shape: &[i64], length: usize| GivenTensor {
        dtype: dtype.number(),
        shape: shape.to_vec(),
        data: GivenData::Fixed(vec![0; length].into()),
    };
    let strings = |dtype: DType, offsets: &[u64]| GivenTensor {
        dtype: dtype.number(),
        shape: vec![1],
        data: GivenData::Strings {
            offsets: offsets.to_vec(),
            bytes: vec![0; 3].into(),
        },
    };
    let given = |tensors: Vec<GivenTensor>| {
        let named = tensors.into_iter().map(|tensor| ("y".to_owned(), tensor));
        given_tensors(named.collect::<Vec<_>>().into_iter(), "outputs")
            .map_err(|error| error.message().to_owned())
    };
    assert!(given(vec![fixed(DType::FLOAT, &[2], 8)]).is_ok());
    assert!(given(vec![strings(DType::STRING, &[0, 3])]).is_ok());
    for (tensor, words) in [
        (
            fixed(DType::FLOAT, &[2], 7),
            "input y: float tensor of shape [2] needs 8 bytes, got 7",
        ),
        (
            fixed(DType::FLOAT, &[-1], 4),
            "input y: shape [-1] has the negative dimension -1",
        ),
        (
            fixed(DType::STRING, &[1], 4),
            "input y: string has no fixed size",
        ),
        (
            fixed(DType::RESOURCE, &[1], 4),
            "input y: a tensor cannot be of type resource",
        ),
        (
            fixed(DType::FLOAT, &[1; MAX_RANK + 1], 4),
            "input y: a tensor has at most 254 dimensions, got 255",
        ),
        (
            strings(DType::INT64, &[0, 3]),
            "input y: int64 tensor needs elements of a fixed size, got strings",
        ),
        (
            strings(DType::STRING, &[0, 4]),
            "input y: string offsets must run from 0 to the 3 bytes there are, got 0 to 4",
        ),
    ] {
        assert_eq!(given(vec![tensor]).unwrap_err(), words);
    }
    let twice = vec![fixed(DType::FLOAT, &[1], 4); 2];
    assert_eq!(given(twice).unwrap_err(), "y is there twice");
    let many = vec![fixed(DType::FLOAT, &[1], 4); MAX_TENSORS + 1];
    assert_eq!(
        given(many).unwrap_err(),
        "one call takes at most 4096 outputs, got 4097"
    );
}

#[test]
fn answers_are_held_against_what_was_described() {
    let number = |name: &str| {
        let tensor = Tensor::from_slice(DType::FLOAT, vec![1], &[1f32]).expect("a tensor");
        (name.to_owned(), tensor)
    };
    let description = Description {
        outputs: Some(vec![
            info("a", DType::FLOAT, None),
            info("b", DType::FLOAT, None),
        ]),
        ..describing("s")
    };
    let all = covered(vec![description], &model()).expect("it can be");
    let promised = |tensors: NamedTensors, wanted: &[&str]| {
        let outputs = promised_outputs(tensors, &all["s"].signature, wanted);
        let names = |outputs: NamedTensors| -> Vec<String> {
            outputs.into_iter().map(|(name, _)| name).collect()
        };
        outputs
            .map(names)
            .map_err(|error| error.message().to_owned())
    };
    let both = || vec![number("b"), number("a")];
    assert_eq!(
        promised(both(), &[]),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(promised(both(), &["b"]), Ok(vec!["b".to_owned()]));
    for (tensors, wanted, words) in [
        (vec![number("a")], &[][..], "it did not give the output b"),
        (vec![number("a")], &["b"], "it did not give the output b"),
        (
            vec![number("c")],
            &[],
            "it gave the output c, which it has not described",
        ),
    ] {
        assert_eq!(promised(tensors, wanted), Err(words.to_owned()));
    }
    let wrong = Tensor::from_slice(DType::INT64, vec![1], &[1i64]).expect("a tensor");
    assert_eq!(
        promised(vec![("a".to_owned(), wrong)], &["a"]),
        Err("it gave the output a as int64, and described it as float".to_owned())
    );
}

#[test]
fn content_types_can_be_headers() {
    assert!(check_content_type("text/csv; charset=utf-8").is_ok());
    for bad in ["", "text", "text/csv\r\nx: y", "text/é", &"a/".repeat(200)] {
        assert!(check_content_type(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_error_fits_into_headers() {
    let told = |message: String| told_error(ErrorCode::NotFound, message);
    assert_eq!(told("short".to_owned()).message(), "short");
    let long = told("é".repeat(MAX_MESSAGE));
    assert_eq!(long.code(), ErrorCode::NotFound);
    let end = "é...TRUNCATED";
    assert!(long.message().ends_with(end));
    assert!(long.message().len() <= MAX_MESSAGE + end.len());
}
