//! Requests over HTTP: choices, metadata, errors.

use serde_json::json;
use tensorgate_types::{DType, Error, Signature};

use super::{Got, house, infer, mirror, send, shaped};
use crate::fake::{Fake, fixed, strings};

fn get(house: &mut Fake, path: &str) -> Got {
    send(house, "GET", path, &[], b"")
}

#[test]
fn signatures_versions_and_outputs_are_chosen() {
    let mut house = house(&[("x", DType::FLOAT)]);
    let other = mirror(&[("y", DType::INT64), ("z", DType::INT64)]);
    house.signatures.insert("other".to_owned(), other);
    house.defs.push(("other".to_owned(), vec![]));
    let body = r#"{"parameters":{"signature_name":"other","priority":3},
        "inputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[1]},
        {"name":"z","datatype":"INT64","shape":[1],"data":[2]}],"outputs":[{"name":"z"}]}"#;
    for path in [
        "/v2/models/m/infer",
        "/v2/models/m/versions/3/infer",
        "/v2/models/m/versions/stable/infer",
    ] {
        let got = send(&mut house, "POST", path, &[], body.as_bytes());
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(
            got.json()["outputs"],
            json!([
                {"name": "z", "datatype": "INT64", "shape": [1], "data": [2]}
            ])
        );
        assert_eq!(got.outcome.signature, "other");
    }
    let x = r#""inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]"#;
    for (more, words) in [
        (
            r#""parameters":{"signature_name":"none"}"#,
            "no signature \"none\": choose one of {other, serving_default}",
        ),
        (
            r#""parameters":{"signature_name":5}"#,
            "'signature_name' is 5: expected a string",
        ),
        (
            r#""outputs":[{"name":"y"}]"#,
            "has no output 'y': it has {x}",
        ),
        (
            r#""outputs":[{"name":"x"},{"name":"x"}]"#,
            "the output 'x' is asked for twice",
        ),
        (r#""outputs":[{}]"#, "has no 'name'"),
    ] {
        let got = infer(&mut house, &format!("{{{more},{x}}}"));
        assert_eq!(got.status, 400);
        assert!(got.error().contains(words), "{}", got.error());
    }
    for (path, status, words) in [
        (
            "/v2/models/n/infer",
            404,
            "Servable not found for request: Latest(n)",
        ),
        ("/v2/models/m/versions/4/infer", 404, "Specific(m, 4)"),
        (
            "/v2/models/m/versions/x/infer",
            400,
            "Unrecognized servable version label: x",
        ),
        (
            "/v2/models/m/versions/99999999999999999999/infer",
            400,
            "is too large",
        ),
    ] {
        let got = send(&mut house, "POST", path, &[], body.as_bytes());
        assert_eq!(got.status, status);
        assert!(got.error().contains(words), "{}", got.error());
    }
}

#[test]
fn what_is_not_done_is_not_done_by_half() {
    let x = r#""datatype":"FP32","shape":[1]"#;
    for body in [
        format!(r#"{{"inputs":[{{"name":"x",{x},"parameters":{{"shared_memory_region":"r"}}}}]}}"#),
        format!(
            r#"{{"inputs":[{{"name":"x",{x},"data":[1]}}],
            "outputs":[{{"name":"x","parameters":{{"classification":2}}}}]}}"#
        ),
        format!(r#"{{"parameters":{{"sequence_id":4}},"inputs":[{{"name":"x",{x},"data":[1]}}]}}"#),
    ] {
        let mut house = house(&[("x", DType::FLOAT)]);
        let got = infer(&mut house, &body);
        assert_eq!(got.status, 501);
        assert!(got.error().contains("not implemented"), "{}", got.error());
        assert!(house.runs.borrow().is_empty());
    }
    // 0 says that there is no sequence.
    let body =
        format!(r#"{{"parameters":{{"sequence_id":0}},"inputs":[{{"name":"x",{x},"data":[1]}}]}}"#);
    assert_eq!(infer(&mut house(&[("x", DType::FLOAT)]), &body).status, 200);
}

#[test]
fn metadata_tells_of_a_signature() {
    let mut house = house(&[]);
    let signature = Signature {
        inputs: [
            ("a".to_owned(), shaped(DType::FLOAT, Some(&[-1, 3]))),
            ("b".to_owned(), shaped(DType::STRING, None)),
        ]
        .into(),
        outputs: [("c".to_owned(), shaped(DType::COMPLEX64, Some(&[])))].into(),
        ..mirror(&[])
    };
    house.signatures = [("serving_default".to_owned(), signature)].into();
    house
        .defs
        .push(("__saved_model_init_op".to_owned(), vec![]));
    let got = get(&mut house, "/v2/models/m");
    assert_eq!(
        got.json(),
        json!({
            "name": "m", "versions": ["3"], "platform": "tensorflow_savedmodel",
            "inputs": [
                {"name": "a", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "b", "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [{"name": "c", "datatype": "DT_COMPLEX64", "shape": []}],
            "properties": {"signature_name": "serving_default", "signature_names": "serving_default"},
        })
    );
    assert_eq!(got.outcome.api, "metadata");
    let got = get(&mut house, "/v2/models/m/config");
    assert_eq!(
        got.json()["input"][1],
        json!(
            {"name": "b", "data_type": "TYPE_STRING", "dims": [-1], "optional": false}
        )
    );
    assert_eq!(got.json()["max_batch_size"], 0);
    let got = get(&mut house, "/v2/models/m?signature_name=no%20such");
    assert!(got.error().contains("no signature \"no such\""));
    house.signatures.clear();
    let got = get(&mut house, "/v2/models/m");
    assert_eq!(got.json()["inputs"], json!([]));
}

#[test]
fn an_output_that_the_protocol_cannot_name_is_left_out_or_refused() {
    let mut house = house(&[]);
    let signature = Signature {
        outputs: [
            ("c".to_owned(), shaped(DType::COMPLEX64, None)),
            ("f".to_owned(), shaped(DType::FLOAT, None)),
        ]
        .into(),
        ..mirror(&[])
    };
    house.signatures = [("serving_default".to_owned(), signature)].into();
    house.answer = Box::new(|_| {
        Ok(vec![
            fixed("c", DType::COMPLEX64, &[], &[0u8; 8]),
            fixed("f", DType::FLOAT, &[], &[1f32]),
        ])
    });
    let got = infer(&mut house, r#"{"inputs":[]}"#);
    assert_eq!(got.status, 501);
    assert!(
        got.error()
            .contains("'c' is of TensorFlow's type DT_COMPLEX64")
    );
    let got = infer(&mut house, r#"{"inputs":[],"outputs":[{"name":"f"}]}"#);
    assert_eq!(got.json()["outputs"][0]["data"], json!([1.0]));
}

#[test]
fn the_server_tells_of_itself() {
    let mut house = house(&[]);
    let got = get(&mut house, "/v2");
    assert_eq!(got.json()["name"], "tensorgate");
    assert_eq!(got.json()["extensions"][0], "binary_tensor_data");
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/m/ready",
        "/v2/models/m/versions/3/ready",
    ] {
        let got = get(&mut house, path);
        assert_eq!((got.status, &got.body[..]), (200, &b""[..]), "{path}");
    }
    let got = get(&mut house, "/v2/models/m/versions/4/ready");
    assert_eq!((got.status, got.outcome.api), (404, "status"));
    // A house that cannot list its models says so.
    let got = send(&mut house, "POST", "/v2/repository/index", &[], b"");
    assert_eq!(got.status, 501);
}

#[test]
fn the_index_lists_the_versions_of_all_models() {
    let mut house = house(&[]);
    house.models = Some(vec!["gone".to_owned(), "m".to_owned()]);
    let index = "/v2/repository/index";
    let got = send(&mut house, "POST", index, &[], b"{}");
    assert_eq!(
        got.json(),
        json!([
            {"name": "m", "version": "3", "state": "READY"},
            {"name": "m", "version": "4", "state": "UNAVAILABLE", "reason": "no \"saved_model.pb\""},
        ])
    );
    let got = send(&mut house, "POST", index, &[], br#"{"ready":true}"#);
    assert_eq!(got.json().as_array().unwrap().len(), 1);
    let got = send(&mut house, "POST", index, &[], br#"{"ready":1}"#);
    assert!(got.error().contains("'ready' is 1: expected true or false"));
}

#[test]
fn other_paths_and_methods_are_refused_in_json() {
    let mut house = house(&[]);
    for (method, path, status) in [
        ("GET", "/v2/models/m/infer", 405),
        ("POST", "/v2/models/m", 405),
        ("DELETE", "/v2", 405),
        ("GET", "/v2/repository/index", 405),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/m/stats", 501),
        ("POST", "/v2/models/m/generate", 501),
        ("POST", "/v2/repository/models/m/load", 501),
        ("GET", "/v2/systemsharedmemory/status", 501),
    ] {
        let got = send(&mut house, method, path, &[], b"");
        assert_eq!(got.status, status, "{method} {path}");
        assert!(!got.error().is_empty());
        assert_eq!(got.header("allow").is_some(), status == 405);
    }
    let got = send(
        &mut house,
        "OPTIONS",
        "/v2/models/m/infer",
        &[("origin", "http://a")],
        b"",
    );
    assert_eq!(got.status, 200);
}

#[test]
fn errors_of_a_run_have_their_statuses() {
    for (error, status) in [
        (Error::unavailable("busy"), 503),
        (Error::resource_exhausted("full"), 429),
        (Error::internal("broken"), 500),
        (Error::invalid_argument("bad \"shape\"\n"), 400),
    ] {
        let mut house = house(&[("x", DType::FLOAT)]);
        let (code, words) = (error.code(), error.message().to_owned());
        house.answer = Box::new(move |_| Err(Error::new(code, words.clone())));
        let body = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}"#;
        let got = infer(&mut house, body);
        assert_eq!(got.status, status);
        assert_eq!(got.error(), error.message());
        assert_eq!(got.outcome.code, code.number());
    }
}

#[test]
fn outputs_that_do_not_fit_their_shape_are_an_error() {
    let mut house = house(&[]);
    let outputs = mirror(&[("f", DType::FLOAT), ("s", DType::STRING)]).outputs;
    house.signatures = [(
        "serving_default".to_owned(),
        Signature {
            outputs,
            ..mirror(&[])
        },
    )]
    .into();
    for binary in [false, true] {
        for output in [
            fixed("f", DType::FLOAT, &[2], &[1f32]),
            strings("s", &[2], &["a"]),
            strings("f", &[1], &["a"]),
        ] {
            let output = if output.name == "f" && output.shape == [1] {
                crate::Output {
                    dtype: DType::FLOAT,
                    ..output
                }
            } else {
                output
            };
            house.answer = Box::new(move |_| Ok(vec![output.clone()]));
            let body = format!(r#"{{"inputs":[],"parameters":{{"binary_data_output":{binary}}}}}"#);
            let got = infer(&mut house, &body);
            assert_eq!(got.status, 500, "{}", got.text());
        }
    }
}
