//! `wasi:nn` in the real server: a component of the standard in front of a real model, with
//! batching.
//!
//! Where a test says that computations ride together, nobody is let go before the batch is full:
//! the timeout is an hour.

use std::path::Path;
use std::thread;

use tempfile::TempDir;
use tensorgate_tests::http::Answer;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::program;
use tensorgate_tests::server::Server;

const PREDICT: &str = "/v1/models/m:predict";
const METRICS: &str = "/monitoring/prometheus/metrics";
const AN_HOUR: &str = "batch_timeout_micros { value: 3600000000 } num_batch_threads { value: 1 } ";

struct House {
    server: Server,
    _files: TempDir,
}

/// Serves a model that tells how it was batched, with a component of the standard before it.
fn house(parameters: &str) -> House {
    house_with("nn", &path("batch_teller"), parameters)
}

fn house_with(component: &str, model: &Path, parameters: &str) -> House {
    let files = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let file = files.path().join(name);
        std::fs::write(&file, text).expect("it can be written");
        file.display().to_string()
    };
    let batching = write("batching.config", parameters);
    let wasm = program(component);
    let processor = format!("processor {{ model: 'm' path: '{}' }}", wasm.display());
    let processors = write("processors.config", &processor);
    let flags = [
        "--enable_batching".to_owned(),
        format!("--batching_parameters_file={batching}"),
        format!("--processor_config_file={processors}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    House {
        server: Server::with_model("m", model, &flags),
        _files: files,
    }
}

impl House {
    fn tell(&self, words: &str) -> Answer {
        let headers = [("content-type", "text/plain")];
        let mut connection = self.server.connect();
        let answer = connection.request("POST", PREDICT, &headers, words.as_bytes());
        answer.unwrap_or_else(|error| panic!("{error}; log:\n{}", self.server.log()))
    }

    fn metric(&self, sample: &str) -> u64 {
        let page = self.server.get(METRICS).body;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {sample} in\n{page}"));
        value.parse().expect("a number")
    }
}

#[test]
fn computations_of_many_instances_are_one_run() {
    let house = house(&format!("{AN_HOUR} max_batch_size {{ value: 8 }}"));
    let names = ["m", "m@1", "m#serving_default", "m@1#serving_default"];
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|client: usize| {
                let (house, name) = (&house, names[client % names.len()]);
                scope.spawn(move || house.tell(&format!("row {name} {client}")))
            })
            .collect();
        for (client, asked) in clients.into_iter().enumerate() {
            let answer = asked.join().expect("it was answered");
            assert_eq!(answer.status, 200, "{answer:?}");
            let double = client as f32 * 2.0;
            let expected = format!(
                "columns TensorType::I32 [1] [1.0]; double TensorType::Fp32 [1, 1] [{double:?}]; \
                 rows TensorType::I32 [1] [8.0]"
            );
            assert_eq!(answer.body, expected);
        }
    });
    let of = |name: &str| house.metric(&format!(":tensorflow:serving:batching_session:{name}{{}}"));
    assert_eq!(of("wrapped_run_count"), 1);
    assert_eq!(of("input_batch_size_sum"), 8);
    assert_eq!(of("processed_batch_size_sum"), 8);
    let requests = house.metric("tensorgate_processor_requests_total{model=\"m\"}");
    assert_eq!(requests, 8);
}

/// It is built from the crate `wasi-nn` alone, and linked with the adapter.
#[test]
fn a_component_of_the_older_form_computes_together_with_others() {
    let base = BasePath::new();
    base.publish("2", 2);
    let parameters = format!("{AN_HOUR} max_batch_size {{ value: 4 }}");
    let house = house_with("nn_older", base.path(), &parameters);
    thread::scope(|scope| {
        let clients = ["m", "m@2"].map(|name| {
            let house = &house;
            scope.spawn(move || house.tell(&format!("compute {name}")))
        });
        for asked in clients {
            let answer = asked.join().expect("it was answered");
            // Half of 1 and of 2.5, and 2.
            assert_eq!(answer.body, "8 bytes [2.5, 3.25]", "{answer:?}");
        }
    });
    let runs = house.metric(":tensorflow:serving:batching_session:wrapped_run_count{}");
    assert_eq!(runs, 1);
}

#[test]
fn what_tensorflow_says_of_a_computation_reaches_the_component() {
    let house = house("max_batch_size { value: 1 }");
    let told = house.tell("row m 13").body;
    assert!(
        told.starts_with("ErrorCode::InvalidArgument: ") && told.contains("a thirteen"),
        "{told}"
    );
    let told = house.tell("compute m@7 1").body;
    assert!(told.starts_with("ErrorCode::NotFound: "), "{told}");
    let told = house.tell("compute m:canary 1").body;
    assert!(told.starts_with("ErrorCode::InvalidArgument: "), "{told}");
    assert_eq!(house.tell("fine").body, "fine");
}
