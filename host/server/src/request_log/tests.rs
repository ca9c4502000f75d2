//! The log on a real disk, without a server.

use std::path::Path;

use tensorgate_edge::LogKind;
use tensorgate_proto::config::{LogCollectorConfig, SamplingConfig};

use super::*;
use crate::records::{LoggedKind, RecordReader, log_of_record};

fn config(prefix: &Path) -> LoggingConfig {
    LoggingConfig {
        log_collector_config: Some(LogCollectorConfig {
            r#type: String::new(),
            filename_prefix: prefix.display().to_string(),
        }),
        sampling_config: Some(SamplingConfig {
            sampling_rate: 1.0,
            ..SamplingConfig::default()
        }),
        ..LoggingConfig::default()
    }
}

fn logs() -> (RequestLogs, Arc<Metrics>) {
    let metrics = Metrics::new();
    let tags = vec!["serve".to_owned()];
    (
        RequestLogs::start(tags, Arc::clone(&metrics)).unwrap(),
        metrics,
    )
}

fn entry(request: Vec<Bytes>) -> LogEntry {
    LogEntry {
        kind: LogKind::Predict,
        model: "m".to_owned(),
        version: 3,
        signature_name: "serving_default".to_owned(),
        request,
        response: vec![Bytes::from_static(b"response")],
    }
}

/// The requests in all files of a directory, in their order.
fn requests(directory: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let mut reader = RecordReader::new(bytes.as_slice(), bytes.len() as u64);
        while let Some(record) = reader.next_record().unwrap() {
            let (kind, request) = log_of_record(&record).unwrap();
            assert_eq!(kind, LoggedKind::Of(LogKind::Predict));
            found.push(request);
        }
    }
    found
}

#[test]
fn what_is_queued_is_written_when_the_log_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, metrics) = logs();
    let config = config(&directory.path().join("m"));
    logs.replace(logs.prepare([("m", &config)]).unwrap());
    assert!(logs.sampled("m") && !logs.sampled("other"));
    for number in 0..100u8 {
        logs.write(entry(vec![
            Bytes::from(vec![number]),
            Bytes::from_static(b"!"),
        ]));
    }
    logs.close();
    let expected: Vec<Vec<u8>> = (0..100).map(|number| vec![number, b'!']).collect();
    assert_eq!(requests(directory.path()), expected);
    let counted = metrics.value_of_first_cell("/tensorflow/serving/request_log_count");
    assert_eq!(counted, Some(100));
    logs.write(entry(Vec::new()));
    let page = crate::metrics::page_of(&metrics);
    assert!(
        page.contains("status_code=\"RESOURCE_EXHAUSTED\"} 1\n"),
        "{page}"
    );
}

#[test]
fn an_entry_without_room_in_the_queue_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, _) = logs();
    let config = config(&directory.path().join("m"));
    logs.replace(logs.prepare([("m", &config)]).unwrap());
    let large = Bytes::from(vec![0; 1 << 20]);
    // Shared: it takes a mebibyte, and counts as more than there is room for.
    logs.write(entry(vec![large; (MAX_QUEUED_BYTES >> 20) + 1]));
    logs.write(entry(vec![Bytes::from_static(b"small")]));
    logs.close();
    assert_eq!(requests(directory.path()), [b"small"]);
}

#[test]
fn a_log_that_stays_keeps_its_file_and_one_that_goes_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, _) = logs();
    let config = config(&directory.path().join("m"));
    logs.replace(logs.prepare([("m", &config)]).unwrap());
    logs.write(entry(vec![Bytes::from_static(b"one")]));
    logs.replace(logs.prepare([("m", &config)]).unwrap());
    logs.write(entry(vec![Bytes::from_static(b"two")]));
    logs.replace(logs.prepare([]).unwrap());
    assert!(!logs.sampled("m"));
    logs.close();
    assert_eq!(requests(directory.path()), [b"one", b"two"]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_configuration_that_is_not_used_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, _) = logs();
    let config = config(&directory.path().join("m"));
    drop(logs.prepare([("m", &config)]).unwrap());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, _) = logs();
    let good = config(&directory.path().join("m"));
    let refused = |config: LoggingConfig| {
        let error = logs.prepare([("m", &config)]).err().expect("it is refused");
        assert!(error.message().contains("model m"), "{error}");
        error.to_string()
    };
    let collector = |change: fn(&mut LogCollectorConfig)| {
        let mut config = good.clone();
        change(config.log_collector_config.as_mut().unwrap());
        refused(config)
    };
    let rate = |sampling_rate| {
        let sampling_config = Some(SamplingConfig {
            sampling_rate,
            ..SamplingConfig::default()
        });
        refused(LoggingConfig {
            sampling_config,
            ..good.clone()
        })
    };
    assert!(collector(|it| it.r#type = "kafka".to_owned()).contains("type is 'kafka'"));
    assert!(collector(|it| it.filename_prefix.clear()).contains("filename_prefix is empty"));
    assert!(rate(1.5).contains("sampling_rate is 1.5"));
    assert!(rate(f64::NAN).contains("sampling_rate is NaN"));
    let nowhere = collector(|it| it.filename_prefix.push_str("/no/such/directory"));
    assert!(
        nowhere.contains("cannot create the request log"),
        "{nowhere}"
    );
}
