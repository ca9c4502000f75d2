//! What requests are counted as.

use std::time::Instant;

use super::*;
use crate::metrics::text::page;

fn requests() -> (Registry, Requests) {
    let registry = Registry::default();
    let requests = Requests::new(&registry);
    requests.know(|name| name.starts_with('m'));
    (registry, requests)
}

const ENDED: Ended<'static> = Ended {
    entrypoint: Entrypoint::Rest,
    model: "m",
    version: Some(3),
    api: Api::Predict,
    rows: 1,
    code: 0,
    took: Duration::from_micros(150),
    in_model: Some(Duration::from_micros(100)),
};

#[test]
fn each_door_counts_what_the_original_counts() {
    let (registry, requests) = requests();
    let grpc = Ended {
        entrypoint: Entrypoint::Grpc,
        ..ENDED
    };
    requests.record(&ENDED);
    requests.record(&grpc);
    let (api, model) = (Api::Infer, "m2");
    requests.record(&Ended { api, model, ..grpc });
    requests.record(&Ended {
        api,
        model,
        ..ENDED
    });
    for api in [Api::Status, Api::Metadata, Api::MultiInference, Api::Other] {
        let (in_model, code) = (None, 0);
        requests.record(&Ended {
            api,
            in_model,
            code,
            ..grpc
        });
    }
    let (in_model, code) = (None, 5);
    requests.record(&Ended {
        code,
        in_model,
        ..ENDED
    });
    requests.record(&Ended {
        api: Api::Status,
        in_model,
        ..ENDED
    });
    let page = page(&registry);
    for line in [
        ":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} 3",
        ":tensorflow:serving:request_count{model_name=\"m\",status=\"NOT_FOUND\"} 1",
        ":tensorflow:serving:request_latency_sum\
         {model_name=\"m\",API=\"predict\",entrypoint=\"REST\"} 150",
        ":tensorflow:serving:request_latency_count\
         {model_name=\"m\",API=\"Predict\",entrypoint=\"GRPC\"} 1",
        ":tensorflow:serving:request_latency_count\
         {model_name=\"m\",API=\"\",entrypoint=\"REST\"} 1",
        ":tensorflow:serving:request_latency_count\
         {model_name=\"m2\",API=\"Infer\",entrypoint=\"GRPC\"} 1",
        ":tensorflow:serving:request_latency_count\
         {model_name=\"m2\",API=\"infer\",entrypoint=\"REST\"} 1",
        ":tensorflow:serving:runtime_latency_count\
         {model_name=\"m2\",API=\"Infer\",runtime=\"TF1\"} 2",
        ":tensorflow:serving:runtime_latency_sum\
         {model_name=\"m\",API=\"Predict\",runtime=\"TF1\"} 200",
        "tensorgate_requests_total{model_name=\"m\",version=\"3\",api=\"predict\",\
         entrypoint=\"REST\",status=\"NOT_FOUND\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!page.contains("API=\"\",entrypoint=\"GRPC\""), "{page}");
}

#[test]
fn examples_are_those_of_multi_inference() {
    let (registry, requests) = requests();
    let api = Api::MultiInference;
    requests.record(&Ended {
        api,
        rows: 5,
        ..ENDED
    });
    requests.record_warm_up(&Ended {
        api,
        rows: 2,
        ..ENDED
    });
    requests.record(&ENDED);
    let value = |name| registry.value_of_first_cell(name);
    assert_eq!(
        value("/tensorflow/serving/request_example_count_total"),
        Some(7)
    );
    assert!(page(&registry).contains("request_example_counts_count{model=\"m\"} 2"));
}

#[test]
fn invented_names_are_counted_without_the_name() {
    let (registry, requests) = requests();
    for number in 0..100 {
        let model = format!("invented{number}");
        let (version, in_model, code) = (None, None, 5);
        requests.record(&Ended {
            model: &model,
            version,
            in_model,
            code,
            ..ENDED
        });
    }
    let page = page(&registry);
    assert!(!page.contains("invented"), "{page}");
    let line = ":tensorflow:serving:request_count{model_name=\"\",status=\"NOT_FOUND\"} 100\n";
    assert!(page.contains(line), "{page}");
}

#[test]
fn warm_up_counts_the_runtime_only() {
    let (registry, requests) = requests();
    requests.record_warm_up(&ENDED);
    let page = page(&registry);
    assert!(
        page.contains(":runtime_latency_count{model_name=\"m\",API=\"Predict\""),
        "{page}"
    );
    assert!(!page.contains("request_count{"), "{page}");
    assert!(!page.contains("requests_total{"), "{page}");
}

/// `cargo test -p tensorgate-server --release --lib -- --nocapture what_a_record_costs`
#[test]
fn what_a_record_costs_is_printed() {
    const TIMES: u32 = 100_000;
    let (registry, requests) = requests();
    let start = Instant::now();
    for _time in 0..TIMES {
        requests.record(std::hint::black_box(&ENDED));
    }
    println!("one record: {:?}", start.elapsed() / TIMES);
    let count = registry.value_of_first_cell("/tensorflow/serving/request_count");
    assert_eq!(count, Some(u64::from(TIMES)));
}
