//! The V2 inference protocol, against the real server: by Triton's own client (what each case
//! claims is in `tests/python/v2.py`), and by hand where that client does not go.

use std::path::Path;

use serde_json::{Value, json};
use tensorgate_tests::grpc::Client;
use tensorgate_tests::http::Answer;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::program;
use tensorgate_tests::python::run;
use tensorgate_tests::server::Server;

const LABELS: &str = "model_version_policy { all {} } \
    version_labels { key: 'stable' value: 2 } version_labels { key: 'canary' value: 3 }";

fn serve(models: &[&str], flags: &[&str]) -> Server {
    let paths: Vec<_> = models.iter().map(|name| path(name)).collect();
    let models: Vec<(&str, &Path, &str)> = models
        .iter()
        .zip(&paths)
        .map(|(name, path)| {
            let more = match *name {
                "half_plus_version" => LABELS,
                _ => "",
            };
            (*name, path.as_path(), more)
        })
        .collect();
    Server::with_models(&models, flags)
}

fn triton(cases: &[&str]) {
    let models = [
        "half_plus_two",
        "half_plus_version",
        "identity",
        "no_inputs",
        "signatures",
        "unknown_rank",
    ];
    run(&serve(&models, &[]), cases, &[]);
}

#[test]
fn tensors_by_tritons_client() {
    triton(&["v2.Tensors"]);
}

#[test]
fn choices_and_what_is_told_by_tritons_client() {
    triton(&["v2.Choices", "v2.Told", "v2.Described"]);
}

#[test]
fn refusals_by_tritons_client() {
    triton(&["v2.Refused"]);
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

const HALF: &str = "/v2/models/half_plus_two/infer";

#[test]
fn json_as_anybody_writes_it() {
    let server = serve(&["half_plus_two", "identity"], &[]);
    let answer = server.post(
        HALF,
        r#"{"id": "7", "inputs": [{"name": "x", "shape": [3, 1], "datatype": "FP32",
            "data": [[1.0], [2.0], [5.0]]}]}"#,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.body,
        "{\"id\":\"7\",\"model_name\":\"half_plus_two\",\"model_version\":\"123\",\"outputs\":[\
         {\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[3,1],\"data\":[2.5,3.0,4.5]}]}"
    );
    // Triton's client sends no BF16 as JSON.
    let answer = server.post(
        "/v2/models/identity/infer",
        r#"{"parameters": {"signature_name": "bfloat16"}, "inputs": [{"name": "x",
            "shape": [2], "datatype": "BF16", "data": [1.5, -0.25]}]}"#,
    );
    assert_eq!(body(&answer)["outputs"][0]["data"], json!([1.5, -0.25]));
    let answer = server.post(
        "/v2/models/identity/infer",
        r#"{"parameters": {"signature_name": "string"}, "inputs": [{"name": "x",
            "shape": [1], "datatype": "BYTES", "data": [{"b64": "/w=="}]}]}"#,
    );
    assert_eq!(answer.status, 400);
    let error = body(&answer)["error"].as_str().map(str::to_owned);
    assert!(error.is_some_and(|error| error.contains("ask for it as binary data")));
}

#[test]
fn a_body_without_json_is_the_input_and_the_answer_is_binary() {
    let server = serve(&["half_plus_two"], &[]);
    let headers = [
        ("inference-header-content-length", "0"),
        ("content-type", "application/octet-stream"),
    ];
    let x = [0f32, -4.0].map(f32::to_le_bytes).concat();
    let answer = server.connect().request("POST", HALF, &headers, &x);
    let answer = answer.unwrap_or_else(|error| panic!("{error}; log:\n{}", server.log()));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    let length = answer.header("inference-header-content-length");
    let length: usize = length.expect("it is there").parse().expect("a number");
    let (head, data) = answer.body.split_at(length);
    let head: Value = serde_json::from_str(head).expect("JSON");
    assert_eq!(head["outputs"][0]["shape"], json!([2, 1]));
    assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 8);
    assert_eq!(data.as_bytes(), [2f32, 0.0].map(f32::to_le_bytes).concat());
}

#[test]
fn what_is_wrong_has_its_status_and_words() {
    let server = serve(&["half_plus_two"], &[]);
    for (method, path, sent, status, words) in [
        ("GET", "/v2/nothing", "", 404, "nothing at /v2/nothing"),
        ("GET", HALF, "", 405, "expected POST"),
        ("POST", "/v2/models/nobody/infer", "", 404, "nobody"),
        ("GET", "/v2/models/nobody/ready", "", 404, "nobody"),
        ("POST", HALF, "{", 400, "failed to parse the request JSON"),
        ("POST", HALF, "{}", 400, "has no 'inputs'"),
        (
            "POST",
            HALF,
            r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}"#,
            400,
            "neither 'data' nor the parameter 'binary_data_size'",
        ),
        ("GET", "/v2/models/half_plus_two/stats", "", 501, "metrics"),
    ] {
        let answer = server.request(method, path, sent);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = body(&answer)["error"].to_string();
        assert!(error.contains(words), "{method} {path}: {error}");
    }
    let half = server.connect().request(
        "POST",
        HALF,
        &[("inference-header-content-length", "99")],
        b"{}",
    );
    let half = half.expect("an answer");
    assert_eq!(half.status, 400);
    assert!(half.body.contains("says that the JSON has 99 bytes"));
}

#[test]
fn health_says_that_it_is_ready() {
    let server = serve(&["half_plus_two"], &[]);
    for path in [
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/half_plus_two/ready",
        "/v2/models/half_plus_two/versions/123/ready",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let metadata = body(&server.get("/v2"));
    assert_eq!(metadata["name"], "tensorgate");
}

#[test]
fn requests_go_through_a_version_s_processor() {
    let base = BasePath::new();
    base.publish_with(2, |extra| {
        std::fs::copy(program("words"), extra.join("processor.wasm")).expect("it can be copied");
    });
    let server = Server::with_model("m", base.path(), &["--enable_batching"]);
    let metadata = body(&server.get("/v2/models/m"));
    let words = json!([{"name": "words", "datatype": "BYTES", "shape": [-1]}]);
    assert_eq!(metadata["inputs"], words);
    let answer = server.post(
        "/v2/models/m/infer",
        r#"{"inputs": [{"name": "words", "shape": [2], "datatype": "BYTES",
            "data": ["one", "four"]}], "outputs": [{"name": "numbers"}]}"#,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let numbers = &body(&answer)["outputs"][0];
    assert_eq!(numbers["name"], "numbers");
    assert_eq!(numbers["data"], json!([2.5, 4.0]));
    let answer = server.post(
        "/v2/models/m/infer",
        r#"{"inputs": [{"name": "words", "shape": [1], "datatype": "BYTES",
            "data": ["ten"]}]}"#,
    );
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("is no number from zero to nine"));
}

#[test]
fn what_is_asked_counts_by_its_name() {
    let server = serve(&["half_plus_two"], &[]);
    let asked = r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}"#;
    assert_eq!(server.post(HALF, asked).status, 200);
    let mut client = Client::connect(server.grpc_port().expect("a port for gRPC"));
    // ModelInferRequest { model_name: "half_plus_two" }, without its input.
    let request = [&[0x0A, 13][..], b"half_plus_two"].concat();
    let reply = client.call("/inference.GRPCInferenceService/ModelInfer", &request);
    assert_eq!(reply.status, Some(3), "{}", reply.message);
    let page = server.get("/monitoring/prometheus/metrics").body;
    for line in [
        "tensorgate_requests_total{model_name=\"half_plus_two\",version=\"123\",api=\"infer\",\
         entrypoint=\"REST\",status=\"OK\"} 1",
        "tensorgate_requests_total{model_name=\"half_plus_two\",version=\"123\",api=\"infer\",\
         entrypoint=\"GRPC\",status=\"INVALID_ARGUMENT\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}
