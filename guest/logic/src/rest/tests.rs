//! Whole requests against a model that gives back what it was given.

use std::cell::RefCell;

use tensorgate_proto::tensorflow as tf;
use tensorgate_types::{
    DType, ModelConfig, ModelSpec, ModelVersionStatus, Result, ServableState, Settings, ShapeCheck,
    Signature, StringData, TensorInfo, VersionChoice,
};

use super::*;
use crate::inference::{Call, Inference, Input, InputData, Model, Output, OutputData};
use crate::services::LogEntry;

/// Holds one model, `m`, version 3, that answers with its inputs under their own names.
#[derive(Default)]
struct Fake {
    strict: bool,
    /// Nobody can say what there is.
    away: bool,
    runs: RefCell<Vec<String>>,
    settings: Settings,
    sampled: bool,
    logged: RefCell<Vec<LogEntry>>,
}

struct FakeModel<'a>(&'a Fake);

impl<'a> Inference for &'a Fake {
    type Model = FakeModel<'a>;

    fn open(&self, spec: &ModelSpec) -> Result<FakeModel<'a>> {
        match (&*spec.name, &spec.version) {
            _ if self.away => Err(Error::unavailable("the host is away")),
            ("m", VersionChoice::Latest | VersionChoice::Specific(3)) => Ok(FakeModel(self)),
            (_, VersionChoice::Label(label)) => Err(Error::invalid_argument(format!(
                "Unrecognized servable version label: {label}"
            ))),
            _ => Err(Error::not_found(format!(
                "Servable not found for request: {spec}"
            ))),
        }
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        let of = |version, state, status| ModelVersionStatus {
            version,
            state,
            status,
        };
        let failed = Err((ErrorCode::NotFound, "no \"saved_model.pb\"".to_owned()));
        Ok([
            of(3, ServableState::Available, Ok(())),
            of(4, ServableState::End, failed),
        ]
        .into_iter()
        .filter(|status| name == "m" && version.is_none_or(|wanted| wanted == status.version))
        .collect())
    }
}

fn inputs_of(name: &str) -> Option<Vec<(&'static str, DType)>> {
    Some(match name {
        "serving_default" => vec![("x", DType::FLOAT)],
        "two" => vec![("a", DType::INT32), ("b", DType::STRING)],
        "none" => vec![],
        "complex" => vec![("x", DType::COMPLEX64)],
        _ => return None,
    })
}

impl Model for FakeModel<'_> {
    fn version(&self) -> i64 {
        3
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        let info = |(name, dtype): (&str, DType)| {
            let info = TensorInfo {
                tensor_name: String::new(),
                dtype,
                shape: Some(vec![-1, 2]),
                optional: false,
            };
            (name.to_owned(), info)
        };
        let signature = Signature {
            method_name: String::new(),
            inputs: inputs_of(name)?.into_iter().map(info).collect(),
            outputs: [].into(),
        };
        let shapes = if self.0.strict {
            ShapeCheck::Strict
        } else {
            ShapeCheck::Lenient
        };
        Some((signature, shapes))
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        use prost::Message as _;
        let dim = |size| tf::tensor_shape_proto::Dim {
            size,
            name: String::new(),
        };
        let info = |name: &str, shape| tf::TensorInfo {
            dtype: 1,
            tensor_shape: Some(shape),
            encoding: Some(tf::tensor_info::Encoding::Name(name.to_owned())),
        };
        let known = tf::TensorShapeProto {
            dim: vec![dim(-1), dim(2)],
            unknown_rank: false,
        };
        let unknown = tf::TensorShapeProto {
            dim: vec![],
            unknown_rank: true,
        };
        let def = tf::SignatureDef {
            inputs: [("x".to_owned(), info("x:0", known))].into(),
            outputs: [("y".to_owned(), info("y:0", unknown))].into(),
            method_name: "tensorflow/serving/predict".to_owned(),
            defaults: [].into(),
        };
        vec![("serving_default".to_owned(), def.encode_to_vec())]
    }

    fn run(&self, calls: &[Call<'_>], _hold_from: u64) -> Result<Vec<Vec<Output>>> {
        calls.iter().map(|call| self.call(call)).collect()
    }
}

impl FakeModel<'_> {
    fn call(&self, call: &Call<'_>) -> Result<Vec<Output>> {
        self.0.runs.borrow_mut().push(call.signature.to_owned());
        let inputs = call.inputs;
        if inputs.is_empty() {
            let data = OutputData::Fixed(vec![1]);
            let (name, shape) = ("ok".to_owned(), vec![]);
            return Ok(vec![Output {
                name,
                dtype: DType::BOOL,
                shape,
                data,
            }]);
        }
        let output = |input: &Input<'_>| {
            let data = match input.data {
                InputData::Fixed(bytes) => OutputData::Fixed(bytes.to_vec()),
                InputData::Strings { offsets, bytes } => {
                    OutputData::Strings(StringData::new(offsets.to_vec(), bytes.to_vec().into())?)
                }
                other => panic!("JSON lies in no message: {other:?}"),
            };
            Ok(Output {
                name: input.name.to_owned(),
                dtype: input.dtype,
                shape: input.shape.to_vec(),
                data,
            })
        };
        inputs.iter().map(output).collect()
    }
}

impl Services for &Fake {
    fn settings(&self) -> Settings {
        self.settings
    }

    fn reload(
        &self,
        _models: Option<Vec<ModelConfig>>,
        _metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        Ok(vec![])
    }

    fn log_sampled(&self, _model: &str) -> bool {
        self.sampled
    }

    fn log(&self, entry: LogEntry) {
        self.logged.borrow_mut().push(entry);
    }
}

fn ask(fake: &Fake, method: &str, path: &str, body: &str) -> (u16, String, Outcome) {
    let request = Request {
        method,
        path,
        headers: &[],
        body: body.as_bytes(),
    };
    let (response, outcome) = handle(&request, &fake);
    let body = String::from_utf8(response.body).unwrap();
    (response.status, body, outcome)
}

fn predict(body: &str) -> (u16, String) {
    let (status, body, _) = ask(&Fake::default(), "POST", "/v1/models/m:predict", body);
    (status, body)
}

/// The message of an error, which must have this status.
fn error_of(status: u16, method: &str, path: &str, body: &str) -> String {
    let (actual, body, outcome) = ask(&Fake::default(), method, path, body);
    assert_eq!(actual, status, "{body}");
    assert_ne!(outcome.code, 0);
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    json["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_prediction_goes_there_and_back() {
    let fake = Fake::default();
    let (status, body, outcome) = ask(
        &fake,
        "POST",
        "/v1/models/m/versions/3:predict?verbose=1",
        "{\"instances\": [1.0, 2.0, 5.0]}",
    );
    assert_eq!(status, 200);
    assert_eq!(body, "{\n    \"predictions\": [1.0, 2.0, 5.0\n    ]\n}");
    let expected = Outcome {
        model: "m".to_owned(),
        version: Some(3),
        api: "predict",
        signature: "serving_default".to_owned(),
        rows: 3,
        code: 0,
    };
    assert_eq!(outcome, expected);
    assert_eq!(*fake.runs.borrow(), ["serving_default"]);
}

#[test]
fn formats_of_request_and_answer_agree() {
    assert_eq!(
        predict("{\"inputs\": {\"x\": [[1]]}}"),
        (
            200,
            "{\n    \"outputs\": [\n        [\n            1.0\n        ]\n    ]\n}".to_owned()
        )
    );
    let (status, body) = predict(
        "{\"signature_name\": \"two\", \"instances\": [{\"b\": {\"b64\": \"aGk=\"}, \"a\": [1, 2]}]}",
    );
    assert_eq!(status, 200);
    assert!(
        body.contains("\"a\": [1, 2],\n            \"b\": \"hi\""),
        "{body}"
    );
}

#[test]
fn errors_come_in_the_order_of_the_original() {
    let predict = "/v1/models/m:predict";
    let absent = "/v1/models/absent:predict";
    assert_eq!(
        error_of(400, "POST", absent, "{"),
        "JSON Parse error: Missing a name for object member. at offset: 1"
    );
    assert_eq!(
        error_of(400, "POST", absent, ""),
        "JSON Parse error: The document is empty"
    );
    assert_eq!(
        error_of(400, "POST", absent, "[1]"),
        "JSON Value: [1] Is not object"
    );
    assert_eq!(
        error_of(400, "POST", absent, "{\"signature_name\": 5}"),
        "JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. \
         'signature_name' key must be a string value."
    );
    assert_eq!(
        error_of(404, "POST", absent, "{\"instances\": 1}"),
        "Servable not found for request: Latest(absent)"
    );
    assert_eq!(
        error_of(400, "POST", "/v1/models/m/labels/x:predict", "{}"),
        "Unrecognized servable version label: x"
    );
    assert_eq!(
        error_of(
            400,
            "POST",
            predict,
            "{\"instances\":1,\"signature_name\":\"foo\"}"
        ),
        "Serving signature name: \"foo\" not found in signature def"
    );
    assert_eq!(
        error_of(400, "POST", predict, "{\"instances\":1}"),
        "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array"
    );
    assert_eq!(
        error_of(
            501,
            "POST",
            predict,
            "{\"signature_name\":\"complex\",\"inputs\":[1]}"
        ),
        "Conversion of JSON Value: 1 to type: complex64"
    );
}

#[test]
fn a_body_of_another_type_is_not_called_bad_json_where_nobody_knows_what_the_model_takes() {
    let fake = Fake {
        away: true,
        ..Fake::default()
    };
    let headers = |kind: &str| vec![("content-type".to_owned(), kind.to_owned())];
    for (kind, status) in [
        (None, 400),
        (Some("application/json; charset=utf-8"), 400),
        (Some("application/x-www-form-urlencoded"), 400),
        (Some("text/plain"), 503),
    ] {
        let headers = kind.map(headers).unwrap_or_default();
        let request = Request {
            method: "POST",
            path: "/v1/models/m:predict",
            headers: &headers,
            body: b"not a word of JSON",
        };
        let (response, _) = handle(&request, &&fake);
        assert_eq!(response.status, status, "{kind:?}");
    }
}

#[test]
fn a_signature_without_inputs_can_be_called() {
    let body = "{\"signature_name\": \"none\", \"inputs\": {}}";
    assert_eq!(
        predict(body),
        (200, "{\n    \"outputs\": true\n}".to_owned())
    );
    assert_eq!(
        error_of(
            400,
            "POST",
            "/v1/models/m:predict",
            "{\"signature_name\": \"none\", \"instances\": [{}]}"
        ),
        "Failed to get input map for signature: none"
    );
}

#[test]
fn shapes_are_checked_where_the_operator_asks() {
    let fake = Fake {
        strict: true,
        ..Fake::default()
    };
    let ask = |body| ask(&fake, "POST", "/v1/models/m:predict", body).0;
    assert_eq!(ask("{\"instances\": [[1, 2]]}"), 200);
    assert_eq!(ask("{\"instances\": [1]}"), 400);
    assert_eq!(predict("{\"instances\": [1]}").0, 200);
}

#[test]
fn status_lists_versions_from_the_newest() {
    let (status, body, outcome) = ask(&Fake::default(), "GET", "/v1/models/m", "");
    assert_eq!((status, outcome.api), (200, "status"));
    let available = concat!(
        "  {\n   \"version\": \"3\",\n   \"state\": \"AVAILABLE\",\n   \"status\": {\n",
        "    \"error_code\": \"OK\",\n    \"error_message\": \"\"\n   }\n  }\n"
    );
    assert_eq!(
        body,
        [
            concat!(
                "{\n \"model_version_status\": [\n  {\n   \"version\": \"4\",\n",
                "   \"state\": \"END\",\n   \"status\": {\n    \"error_code\": \"NOT_FOUND\",\n",
                "    \"error_message\": \"no \\\"saved_model.pb\\\"\"\n   }\n  },\n"
            ),
            available,
            " ]\n}\n"
        ]
        .concat()
    );
    let (_, one, _) = ask(&Fake::default(), "GET", "/v1/models/m/versions/3", "");
    assert_eq!(
        one,
        ["{\n \"model_version_status\": [\n", available, " ]\n}\n"].concat()
    );
    assert_eq!(
        error_of(404, "GET", "/v1/models/absent", ""),
        "Could not find any versions of model absent"
    );
    assert_eq!(
        error_of(404, "GET", "/v1/models/m/versions/5", ""),
        "Could not find version 5 of model m"
    );
}

#[test]
fn metadata_is_what_the_exporter_wrote() {
    let (status, body, outcome) = ask(&Fake::default(), "GET", "/v1/models/m/metadata", "");
    assert_eq!((status, outcome.version), (200, Some(3)));
    let expected = r#"{
"model_spec":{
 "name": "m",
 "signature_name": "",
 "version": "3"
}
,
"metadata": {"signature_def": {
 "signature_def": {
  "serving_default": {
   "inputs": {
    "x": {
     "dtype": "DT_FLOAT",
     "tensor_shape": {
      "dim": [
       {
        "size": "-1",
        "name": ""
       },
       {
        "size": "2",
        "name": ""
       }
      ],
      "unknown_rank": false
     },
     "name": "x:0"
    }
   },
   "outputs": {
    "y": {
     "dtype": "DT_FLOAT",
     "tensor_shape": {
      "dim": [],
      "unknown_rank": true
     },
     "name": "y:0"
    }
   },
   "method_name": "tensorflow/serving/predict",
   "defaults": {}
  }
 }
}
}
}
"#;
    assert_eq!(body, expected);
}

#[test]
fn other_requests_are_refused_in_the_words_of_the_original() {
    assert_eq!(
        error_of(400, "PUT", "/v1/models/m?x=1", ""),
        "Malformed request: PUT /v1/models/m?x=1"
    );
    assert_eq!(
        error_of(400, "GET", "/v1/models", ""),
        "Missing model name in request."
    );
    assert_eq!(
        error_of(400, "GET", "/v1/models/m/versions/99999999999999999999", ""),
        "Failed to convert version: 99999999999999999999 to numeric."
    );
    let (status, page, _) = ask(&Fake::default(), "GET", "/v2/models", "");
    assert_eq!(status, 404);
    assert!(page.starts_with("<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n"));
}

#[test]
fn browsers_may_ask_first() {
    let status = |headers: &[(String, String)]| {
        let request = Request {
            method: "OPTIONS",
            path: "/v1/models/m:predict",
            headers,
            body: b"",
        };
        handle(&request, &&Fake::default()).0.status
    };
    let origin = |value: &str| [("origin".to_owned(), value.to_owned())];
    assert_eq!(status(&origin("https://example.org")), 200);
    assert_eq!(status(&origin("null")), 400);
    assert_eq!(status(&[]), 400);
}

#[path = "log_tests.rs"]
mod log_tests;
