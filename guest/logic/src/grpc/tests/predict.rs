//! `Predict`, from the message to the answer.

use tensorgate_types::{LogKind, Settings};

use super::*;
use crate::fake::{Called, fixed, strings};
use crate::inference::{Output, OutputData};

fn two_inputs() -> Fake {
    house(signature(
        "",
        &[("a", DType::FLOAT), ("b", DType::FLOAT)],
        &[("y", DType::FLOAT), ("z", DType::FLOAT)],
    ))
}

#[test]
fn tensors_go_there_and_back() {
    let mut fake = echoing(DType::FLOAT);
    let sent = request(&[("x", floats(&[2, 1], &[1.5, -2.0]))]);
    let got: api::PredictResponse = answer(&mut fake, "Predict", &sent);
    assert_eq!(got.model_spec, answered("serving_default"));
    assert_eq!(got.outputs, sent.inputs);
    let (_, outcome) = call(&mut fake, "Predict", &sent);
    assert_eq!(
        outcome,
        Outcome {
            model: "m".to_owned(),
            version: Some(3),
            api: "predict",
            signature: "serving_default".to_owned(),
            rows: 2,
            code: 0,
        }
    );
}

#[test]
fn every_type_is_answered_in_its_own_field() {
    let tensor = |number: i32, set: &dyn Fn(&mut tf::TensorProto)| {
        let mut tensor = tf::TensorProto {
            dtype: number,
            tensor_shape: shape(&[2]),
            ..tf::TensorProto::default()
        };
        set(&mut tensor);
        tensor
    };
    let cases = [
        tensor(1, &|t| t.float_val = vec![1.0, f32::NEG_INFINITY]),
        tensor(2, &|t| t.double_val = vec![1.0, -2.5]),
        tensor(3, &|t| t.int_val = vec![i32::MIN, i32::MAX]),
        tensor(4, &|t| t.int_val = vec![0, 255]),
        tensor(5, &|t| t.int_val = vec![-32768, 32767]),
        tensor(6, &|t| t.int_val = vec![-128, 127]),
        tensor(7, &|t| t.string_val = vec![b"\xff\0".to_vec(), vec![]]),
        tensor(8, &|t| t.scomplex_val = vec![1.0, 2.0, 3.0, 4.0]),
        tensor(9, &|t| t.int64_val = vec![i64::MIN, i64::MAX]),
        tensor(10, &|t| t.bool_val = vec![true, false]),
        tensor(11, &|t| t.int_val = vec![-1, 1]),
        tensor(12, &|t| t.int_val = vec![0, 200]),
        tensor(13, &|t| t.int_val = vec![-1, 1]),
        tensor(14, &|t| t.half_val = vec![0x3F80, 0xFF80]),
        tensor(15, &|t| t.int_val = vec![-1, 1]),
        tensor(16, &|t| t.int_val = vec![0, 65535]),
        tensor(17, &|t| t.int_val = vec![0, 65535]),
        tensor(18, &|t| t.dcomplex_val = vec![1.0, 2.0, 3.0, 4.0]),
        tensor(19, &|t| t.half_val = vec![0x3C00, 0xFC00]),
        tensor(22, &|t| t.uint32_val = vec![0, u32::MAX]),
        tensor(23, &|t| t.uint64_val = vec![0, u64::MAX]),
    ];
    for sent in cases {
        let mut fake = echoing(DType::from_number(sent.dtype as u32));
        let message = request(&[("x", sent.clone())]);
        let typed: api::PredictResponse = answer(&mut fake, "Predict", &message);
        assert_eq!(typed.outputs["x"], sent);

        // The same as content, and back from it.
        fake.settings.tensor_content = true;
        let got: api::PredictResponse = answer(&mut fake, "Predict", &message);
        let content = got.outputs["x"].clone();
        let bare = tf::TensorProto {
            tensor_content: vec![],
            ..content.clone()
        };
        assert_eq!(bare, tensor(sent.dtype, &|_| {}));
        fake.settings.tensor_content = false;
        let back = request(&[("x", content)]);
        let got: api::PredictResponse = answer(&mut fake, "Predict", &back);
        assert_eq!(got.outputs["x"], sent);
    }
}

#[test]
fn scalars_and_tensors_of_nothing_have_a_shape() {
    let mut fake = echoing(DType::FLOAT);
    for sent in [floats(&[], &[1.0]), floats(&[0, 3], &[])] {
        let got: api::PredictResponse =
            answer(&mut fake, "Predict", &request(&[("x", sent.clone())]));
        assert_eq!(got.outputs["x"], sent);
    }
}

#[test]
fn a_large_answer_stays_with_the_host() {
    let mut fake = echoing(DType::FLOAT);
    let sent = floats(&[40_000], &vec![2.5; 40_000]);
    for as_content in [false, true] {
        fake.settings.tensor_content = as_content;
        fake.message = request(&[("x", sent.clone())]).encode_to_vec();
        let (chunks, _) = handle(&path("Predict"), &fake, &&fake);
        let chunks = chunks.unwrap();
        assert!(matches!(
            &*chunks,
            [Chunk::Bytes(_), Chunk::Held(_), Chunk::Bytes(_)]
        ));
        let got = api::PredictResponse::decode(&*fake.assemble(&chunks)).unwrap();
        let tensor = &got.outputs["x"];
        assert_eq!(tensor.tensor_shape, sent.tensor_shape);
        if as_content {
            assert_eq!(tensor.tensor_content.len(), 160_000);
        } else {
            assert_eq!(tensor.float_val, sent.float_val);
        }
    }
}

#[test]
fn what_has_to_be_encoded_comes_in_and_what_cannot_goes_as_content() {
    // Declared: encoded here, and so it must not stay with the host.
    let mut fake = echoing(DType::INT64);
    let sent = tf::TensorProto {
        dtype: 9,
        tensor_shape: shape(&[20_000]),
        int64_val: (0..20_000).map(|value| value - 10_000).collect(),
        ..tf::TensorProto::default()
    };
    let got: api::PredictResponse = answer(&mut fake, "Predict", &request(&[("x", sent.clone())]));
    assert_eq!(got.outputs["x"], sent);
    // Declared wrong: it stays, and goes out as it lies in memory.
    let mut fake = echoing(DType::FLOAT);
    let got: api::PredictResponse = answer(&mut fake, "Predict", &request(&[("x", sent.clone())]));
    let content: Vec<u8> = sent
        .int64_val
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(got.outputs["x"].tensor_content, content);
}

#[test]
fn errors_are_in_the_words_of_the_original() {
    let x = || floats(&[1], &[1.0]);
    let ok = request(&[("a", x()), ("b", x())]);
    let with = |change: &dyn Fn(&mut api::PredictRequest)| {
        let mut request = ok.clone();
        change(&mut request);
        request
    };
    let cases: Vec<(api::PredictRequest, &str)> = vec![
        (
            with(&|r| r.model_spec = None),
            "INVALID_ARGUMENT: Missing ModelSpec",
        ),
        (
            with(&|r| r.model_spec = spec("", "")),
            "INVALID_ARGUMENT: ModelSpec has no name specified.",
        ),
        (
            with(&|r| r.model_spec = spec("foo", "")),
            "NOT_FOUND: Servable not found for request: Latest(foo)",
        ),
        (
            with(&|r| r.model_spec = spec("m", "foo")),
            "FAILED_PRECONDITION: Serving signature key \"foo\" not found.",
        ),
        (
            request(&[("a", x())]),
            "INVALID_ARGUMENT: input size does not match signature: 1!=2 len({a}) != len({a,b}). \
             Sent extra: {}. Missing but required: {b}.",
        ),
        (
            with(&|r| drop(r.inputs.insert("c".to_owned(), x()))),
            "INVALID_ARGUMENT: input size does not match signature: 3!=2 len({a,b,c}) != \
             len({a,b}). Sent extra: {c}. Missing but required: {}.",
        ),
        (
            with(&|r| drop(r.inputs.insert("b".to_owned(), floats(&[-1], &[1.0])))),
            "INVALID_ARGUMENT: tensor parsing error: b",
        ),
        (
            with(&|r| r.output_filter = vec!["y".to_owned(), "q".to_owned()]),
            "INVALID_ARGUMENT: output tensor alias not found in signature: q Outputs expected to \
             be in the set {y,z}.",
        ),
        (
            with(&|r| r.output_filter = vec!["y".to_owned(), "y".to_owned()]),
            "INVALID_ARGUMENT: duplicate output tensor alias: y",
        ),
    ];
    for (sent, expected) in cases {
        let mut fake = two_inputs();
        assert_eq!(error(&mut fake, "Predict", &sent), expected);
        assert!(fake.runs.borrow().is_empty());
    }
}

#[test]
fn other_names_are_refused_with_their_names_in_the_graph() {
    let info = tf::TensorInfo {
        encoding: Some(tf::tensor_info::Encoding::Name("b_1:0".to_owned())),
        ..tf::TensorInfo::default()
    };
    let def = tf::SignatureDef {
        inputs: [("b".to_owned(), info)].into(),
        ..tf::SignatureDef::default()
    };
    let mut fake = two_inputs();
    fake.defs = vec![("serving_default".to_owned(), def.encode_to_vec())];
    let x = || floats(&[1], &[1.0]);
    assert_eq!(
        error(&mut fake, "Predict", &request(&[("a", x()), ("q", x())])),
        "INVALID_ARGUMENT: Signature input alias: b(feed name: b_1:0) not found in request and no \
         default value provided. Inputs expected to be in the request {a,q}, or default input \
         alias set: "
    );
}

#[test]
fn an_input_with_a_default_may_be_left_out() {
    let mut fake = house(signature(
        "",
        &[("a", DType::FLOAT), ("b?", DType::FLOAT)],
        &[("y", DType::FLOAT)],
    ));
    let x = || floats(&[1], &[1.0]);
    fake.answer = Box::new(|_| Ok(vec![fixed("y", DType::FLOAT, &[], &[1.0f32])]));
    let got: api::PredictResponse = answer(&mut fake, "Predict", &request(&[("a", x())]));
    assert_eq!(got.outputs["y"], floats(&[], &[1.0]));
    assert_eq!(fake.runs.borrow()[0][0].inputs.len(), 1);
    let extra = error(&mut fake, "Predict", &request(&[("a", x()), ("q", x())]));
    assert_eq!(
        extra,
        "INVALID_ARGUMENT: Inputs contains invalid name. Used request inputs: a, request input: \
         a,q"
    );
}

#[test]
fn only_wanted_outputs_are_computed() {
    let mut fake = two_inputs();
    fake.answer = Box::new(|call: &Called| {
        let output = |name: &String| fixed(name, DType::FLOAT, &[], &[1.0f32]);
        Ok(call.outputs.iter().map(output).collect())
    });
    let x = || floats(&[1], &[1.0]);
    let mut sent = request(&[("a", x()), ("b", x())]);
    sent.output_filter = vec!["z".to_owned()];
    let got: api::PredictResponse = answer(&mut fake, "Predict", &sent);
    assert!(got.outputs.keys().eq(["z"]));
    assert_eq!(fake.runs.borrow()[0][0].outputs, ["z"]);
}

#[test]
fn a_shape_alone_takes_no_memory() {
    let mut fake = echoing(DType::FLOAT);
    for (dims, expected) in [
        (
            &[1_000_000_000][..],
            "RESOURCE_EXHAUSTED: tensor parsing error: x: decoding the message needs more than \
             268435456 bytes of memory",
        ),
        (&[i64::MAX, 3], "INVALID_ARGUMENT: tensor parsing error: x"),
        (&[1; 255], "INVALID_ARGUMENT: tensor parsing error: x"),
    ] {
        let sent = request(&[("x", floats(dims, &[1.0]))]);
        assert_eq!(error(&mut fake, "Predict", &sent), expected);
    }
    let mut strings = floats(&[1 << 40], &[]);
    strings.dtype = 7;
    let message = error(&mut fake, "Predict", &request(&[("x", strings.clone())]));
    assert!(message.starts_with("RESOURCE_EXHAUSTED"), "{message}");
    // A long string that is repeated is as much as a long shape.
    strings.tensor_shape = shape(&[1000]);
    strings.string_val = vec![vec![b'a'; 1 << 20]];
    let message = error(&mut fake, "Predict", &request(&[("x", strings)]));
    assert!(message.starts_with("RESOURCE_EXHAUSTED"), "{message}");
}

#[test]
fn content_must_be_exact_but_for_a_tensor_of_nothing() {
    let of = |dtype: DType, dims: &[i64], content: &[u8]| {
        let mut tensor = floats(dims, &[]);
        tensor.dtype = dtype.number().cast_signed();
        tensor.tensor_content = content.to_vec();
        call(&mut echoing(dtype), "Predict", &request(&[("x", tensor)])).0
    };
    assert!(of(DType::FLOAT, &[0, 2], b"any").is_ok());
    assert!(of(DType::STRING, &[0], b"any").is_ok());
    assert!(of(DType::BOOL, &[2], b"\x01\x00").is_ok());
    for refused in [
        of(DType::FLOAT, &[1], b"abc"),
        of(DType::FLOAT, &[1], b"abcde"),
        of(DType::BOOL, &[2], b"\x01\x02"),
        of(DType::STRING, &[2], b"\x01\x01a"),
        of(DType::STRING, &[1], b"\x01ab"),
        of(DType::STRING, &[1], b"\x80"),
    ] {
        let expected = "INVALID_ARGUMENT: tensor parsing error: x";
        assert_eq!(refused.unwrap_err(), expected);
    }
}

#[test]
fn types_that_no_client_can_send_are_refused() {
    let mut fake = echoing(DType::FLOAT);
    for dtype in [0, 20, 21, 34, 99, 101, -1, i32::MAX] {
        let mut tensor = floats(&[1], &[1.0]);
        tensor.dtype = dtype;
        assert_eq!(
            error(&mut fake, "Predict", &request(&[("x", tensor)])),
            "INVALID_ARGUMENT: tensor parsing error: x"
        );
    }
}

#[test]
fn a_message_that_is_none_tells_where() {
    let mut fake = echoing(DType::FLOAT);
    for (message, expected) in [
        (&b"\x0A\x05ab"[..], "a field is cut off at byte 2"),
        (b"\x00", "a field has the number 0 at byte 0"),
        (b"\x0F", "a field has no known wire type at byte 0"),
        (
            b"\x0A\x04\x0A\x02\xff\xfe",
            "a string is not UTF-8 at byte 4",
        ),
        (b"\x63", "a group does not end at byte 1"),
        (b"\x64", "a group ends that did not begin at byte 0"),
        (
            b"\x98\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "a number is too long at byte 2",
        ),
        (
            b"\x12\x05\x12\x03\x2A\x01\x00",
            "packed numbers are cut off at byte 6",
        ),
        (
            b"\x12\x05\x12\x03\x3A\x01\x80",
            "a packed number is cut off at byte 6",
        ),
    ] {
        let (answer, _) = call_bytes(&mut fake, "Predict", message.to_vec());
        let expected =
            format!("INTERNAL: cannot parse tensorflow.serving.PredictRequest: {expected}");
        assert_eq!(answer.unwrap_err(), expected);
    }
    // A hundred groups may lie in one another, and no more.
    let deep = |depth| [vec![0x63; depth], vec![0x64; depth]].concat();
    let (answer, _) = call_bytes(&mut fake, "Predict", deep(100));
    assert_eq!(answer.unwrap_err(), "INVALID_ARGUMENT: Missing ModelSpec");
    let (answer, _) = call_bytes(&mut fake, "Predict", deep(101));
    assert!(
        answer
            .unwrap_err()
            .ends_with("groups lie too deep at byte 100")
    );
}

#[test]
fn method_names_are_checked_where_the_operator_asks() {
    let sent = request(&[("x", floats(&[1], &[1.0]))]);
    for (method, is_fit) in [
        ("tensorflow/serving/predict", true),
        ("tensorflow/serving/regress", true),
        ("mine", false),
    ] {
        let io = [("x", DType::FLOAT)];
        let mut fake = house(signature(method, &io, &io));
        assert!(call(&mut fake, "Predict", &sent).0.is_ok());
        fake.settings.check_method_names = true;
        let answer = call(&mut fake, "Predict", &sent).0;
        assert_eq!(answer.is_ok(), is_fit);
        if let Err(error) = answer {
            assert_eq!(
                error,
                "INTERNAL: Expected prediction signature method_name to be one of \
                 {tensorflow/serving/predict, tensorflow/serving/classify, \
                 tensorflow/serving/regress}. Was: mine"
            );
        }
    }
}

#[test]
fn long_errors_are_cut() {
    let mut fake = echoing(DType::FLOAT);
    let sent = api::PredictRequest {
        model_spec: spec("m", &"ä".repeat(2000)),
        ..api::PredictRequest::default()
    };
    let message = error(&mut fake, "Predict", &sent);
    let message = message.strip_prefix("FAILED_PRECONDITION: ").unwrap();
    let kept = message.strip_suffix("...TRUNCATED").unwrap();
    assert!((1023..=1024).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn a_sampled_request_is_written_down_with_its_answer() {
    let mut fake = echoing(DType::FLOAT);
    fake.settings = Settings::default();
    let sent = request(&[("x", floats(&[40_000], &[1.0]))]);
    assert!(call(&mut fake, "Predict", &sent).0.is_ok());
    assert!(fake.logs.borrow().is_empty());
    fake.is_sampled = true;
    let answer = call(&mut fake, "Predict", &sent).0.unwrap();
    let entry = fake.logs.borrow_mut().pop().unwrap();
    assert_eq!(entry.kind, LogKind::Predict);
    assert_eq!(
        (&*entry.model, entry.version, &*entry.signature_name),
        ("m", 3, "serving_default")
    );
    assert_eq!(fake.assemble(&entry.request), sent.encode_to_vec());
    assert_eq!(fake.assemble(&entry.response), answer);
    // Errors are not.
    let bad = request(&[("x", floats(&[-1], &[]))]);
    assert!(call(&mut fake, "Predict", &bad).0.is_err());
    assert!(fake.logs.borrow().is_empty());
}

#[test]
fn a_host_that_lies_of_its_outputs_is_an_internal_error() {
    let mut fake = echoing(DType::FLOAT);
    let lies: [fn() -> Output; 3] = [
        || fixed("x", DType::FLOAT, &[3], &[1.0f32]),
        || strings("x", &[2], &["a"]),
        || Output {
            data: OutputData::Held(7),
            ..strings("x", &[2], &["a", "b"])
        },
    ];
    for lie in lies {
        fake.answer = Box::new(move |_| Ok(vec![lie()]));
        let message = error(&mut fake, "Predict", &request(&[("x", floats(&[], &[]))]));
        assert!(
            message.starts_with("INTERNAL: the data of output x"),
            "{message}"
        );
    }
}
