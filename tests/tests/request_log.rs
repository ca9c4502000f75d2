//! Request logs of the real server, made by calls over gRPC and REST and read with TensorFlow.

use std::path::Path;
use std::process::Command;

use tensorgate_tests::models::path;
use tensorgate_tests::python;
use tensorgate_tests::server::{Server, config, tensorgate};

const PAGE: &str = "/monitoring/prometheus/metrics";

/// Calls a server: one Predict, Classify, Regress and MultiInference each, and a Predict that
/// fails. Prints how many outputs there were.
const CALL: &str = r#"
import sys
import grpc
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc, regression_pb2

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
model = sys.argv[2]

def examples():
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example]))

predict = predict_pb2.PredictRequest(model_spec={"name": model})
predict.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0]] * 20000, dtype=tf.float32))
stub.Predict(predict, 60)
spec = {"name": model, "signature_name": "classify_x_to_y"}
stub.Classify(classification_pb2.ClassificationRequest(model_spec=spec, input=examples()), 60)
spec = {"name": model, "signature_name": "regress_x_to_y"}
stub.Regress(regression_pb2.RegressionRequest(model_spec=spec, input=examples()), 60)
task = inference_pb2.InferenceTask(model_spec=spec, method_name="tensorflow/serving/regress")
stub.MultiInference(inference_pb2.MultiInferenceRequest(tasks=[task], input=examples()), 60)
try:
    stub.Predict(predict_pb2.PredictRequest(model_spec={"name": model}), 60)
except grpc.RpcError:
    pass
"#;

/// Prints what is in the files, one line for each record.
const READ: &str = r#"
import glob
import sys
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

files = sorted(glob.glob(sys.argv[1] + ".*"))
for record in tf.data.TFRecordDataset(files):
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    meta = log.log_metadata
    kind = log.WhichOneof("log_type")
    body = getattr(log, kind)
    if kind == "predict_log":
        what = (len(tf.make_ndarray(body.request.inputs["x"])),
                float(tf.make_ndarray(body.response.outputs["y"])[-1][0]))
    elif kind == "classify_log":
        what = body.response.result.classifications[0].classes[0].score
    elif kind == "regress_log":
        what = body.response.result.regressions[0].value
    else:
        what = body.response.results[0].regression_result.regressions[0].value
    spec = meta.model_spec
    print(kind, spec.name, spec.version.value, spec.signature_name,
          meta.sampling_config.sampling_rate, list(meta.saved_model_tags),
          meta.timestamp_secs > 1700000000, what)
"#;

fn logging(prefix: &Path, more: &str) -> String {
    format!(
        "logging_config {{ log_collector_config {{ filename_prefix: '{}' {more} }} \
         sampling_config {{ sampling_rate: 1 }} }}",
        prefix.display()
    )
}

fn call(server: &Server, model: &str) {
    let port = server.grpc_port().expect("there is one").to_string();
    python::output(python::program("python").args(["-c", CALL, &port, model]));
}

#[test]
fn sampled_calls_are_written_down_for_tensorflow_to_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = directory.path().join("half");
    let model = path("half_plus_version");
    let logged = logging(&prefix, "");
    let models = [
        ("half", model.as_path(), logged.as_str()),
        ("quiet", model.as_path(), ""),
    ];
    let mut server = Server::with_models(&models, &[]);
    call(&server, "half");
    call(&server, "quiet");
    let count = ":tensorflow:serving:request_log_count{model_name=\"half\",status_code=\"OK\"} 4\n";
    server.wait_for(PAGE, |answer| answer.body.contains(count));
    let read = || {
        let mut reader = python::program("python");
        python::output(reader.args(["-c", READ]).arg(&prefix))
    };
    let expected = "\
predict_log half 3 serving_default 1.0 ['serve'] True (20000, 3.5)
classify_log half 3 classify_x_to_y 1.0 ['serve'] True 4.0
regress_log half 3 regress_x_to_y 1.0 ['serve'] True 4.0
multi_inference_log half 3  1.0 ['serve'] True 4.0
";
    assert_eq!(read(), expected);

    // What was logged an instant before the end is there after it.
    call(&server, "half");
    server.terminate();
    assert!(server.wait().success());
    assert_eq!(read(), expected.repeat(2));
}

#[test]
fn calls_over_rest_are_written_down_as_those_of_grpc() {
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = directory.path().join("half");
    let model = path("half_plus_version");
    let logged = logging(&prefix, "");
    let mut server = Server::with_models(&[("half", model.as_path(), logged.as_str())], &[]);
    for (call, body) in [
        ("half:predict", r#"{"instances": [[1.0], [2.0]]}"#),
        (
            "half/versions/3:classify",
            r#"{"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}"#,
        ),
        (
            "half:regress",
            r#"{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}"#,
        ),
    ] {
        let answer = server.post(&format!("/v1/models/{call}"), body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    // What fails is not written down.
    let answer = server.post("/v1/models/half:predict", r#"{"instances": ["no"]}"#);
    assert_eq!(answer.status, 400, "{}", answer.body);
    server.terminate();
    assert!(server.wait().success());
    let read = python::output(python::program("python").args(["-c", READ]).arg(&prefix));
    let expected = "\
predict_log half 3 serving_default 1.0 ['serve'] True (2, 4.0)
classify_log half 3 classify_x_to_y 1.0 ['serve'] True 4.0
regress_log half 3 regress_x_to_y 1.0 ['serve'] True 4.0
";
    assert_eq!(read, expected);
}

#[test]
fn a_log_that_cannot_be_written_keeps_the_server_from_starting() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("models.config");
    let model = path("half_plus_version");
    for (logging, words) in [
        (
            logging(&directory.path().join("no/such/half"), ""),
            "FAILED_PRECONDITION: cannot create the request log of model half at '",
        ),
        (
            logging(&directory.path().join("half"), "type: 'kafka'"),
            "INVALID_ARGUMENT: logging_config of model half: log_collector_config.type is 'kafka'",
        ),
    ] {
        let text = config(&[("half", &model, &logging)]);
        std::fs::write(&file, text).expect("it can be written");
        let mut command: Command = tensorgate();
        let flag = format!("--model_config_file={}", file.display());
        let output = command
            .args(["serve", &flag, "--port=auto", "--rest_api_port=auto"])
            .output()
            .expect("it can be run");
        assert_eq!(output.status.code(), Some(255));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Failed to start server. Error: "), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
