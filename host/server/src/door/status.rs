//! What runs where: the process, its workers, their devices and memory, the models.
//!
//! For people and their scripts; probes have `health`. As JSON, or as tables for whoever accepts
//! plain text and nothing else. `tensorgate status` reads the JSON, and makes the tables itself.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use comfy_table::{Table, presets};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::{Door, Handler, health};

/// A device, as TensorFlow tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceView {
    /// `/job:localhost/replica:0/task:0/device:GPU:0`.
    pub(crate) name: String,
    /// `CPU`, `GPU`.
    pub(crate) kind: String,
    /// The memory that TensorFlow may use on it; none for processors, where it says nothing.
    pub(crate) memory_limit_bytes: Option<u64>,
}

/// A process that runs models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessView {
    /// None while there is no process.
    pub(crate) pid: Option<u32>,
    /// The machine's memory that it has.
    pub(crate) resident_bytes: Option<u64>,
    /// Those that it has found; empty before its first model.
    pub(crate) devices: Vec<DeviceView>,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerView {
    pub(crate) worker: usize,
    /// As `--workers` has it.
    pub(crate) device: String,
    pub(crate) state: Cow<'static, str>,
    #[serde(flatten)]
    pub(crate) process: ProcessView,
    pub(crate) restarts: u64,
    /// How its process ended the last time that nobody had told it to.
    pub(crate) last_end: Option<String>,
    pub(crate) running: usize,
    pub(crate) runs: u64,
    pub(crate) models: Vec<WorkerModelView>,
}

/// A version on a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerModelView {
    pub(crate) name: String,
    pub(crate) ready: bool,
    /// Why it could not be loaded again.
    pub(crate) error: Option<String>,
}

/// A version of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionView {
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) state: Cow<'static, str>,
    /// Why none of its workers can run it, although it is available: it could not be loaded there
    /// again.
    pub(crate) error: Option<String>,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// The server itself; it has devices where it runs models.
    pub(crate) server: ProcessView,
    pub(crate) workers: Vec<WorkerView>,
    pub(crate) models: Vec<VersionView>,
}

/// Answers with the report.
pub(super) async fn status<H: Handler>(
    State(door): State<Arc<Door<H>>>,
    headers: HeaderMap,
) -> Response {
    let report = door.handler.get().map(H::status).unwrap_or_default();
    let accepted = headers.get(header::ACCEPT);
    if accepted.is_some_and(|accepted| accepted == "text/plain") {
        let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (text, tables(&report)).into_response();
    }
    health::json(&report)
}

/// The report for people.
pub(crate) fn tables(report: &StatusReport) -> String {
    let mut text = format!(
        "Server: process {}, {}\n",
        number(report.server.pid),
        memory(report.server.resident_bytes)
    );
    for device in &report.server.devices {
        // Infallible, here and below: a String takes everything.
        let _ = writeln!(text, "  {}", shown(device));
    }
    if !report.workers.is_empty() {
        let mut table = table(&[
            "worker", "device", "state", "process", "memory", "models", "running", "runs",
            "restarts",
        ]);
        for worker in &report.workers {
            let ready = worker.models.iter().filter(|model| model.ready).count();
            table.add_row([
                worker.worker.to_string(),
                worker.device.clone(),
                worker.state.to_string(),
                number(worker.process.pid),
                memory(worker.process.resident_bytes),
                format!("{ready} of {}", worker.models.len()),
                worker.running.to_string(),
                worker.runs.to_string(),
                worker.restarts.to_string(),
            ]);
        }
        let _ = writeln!(text, "{table}");
        for worker in &report.workers {
            words(&mut text, worker);
        }
    }
    let mut table = table(&["model", "version", "state"]);
    for model in &report.models {
        table.add_row([&model.name, &model.version.to_string(), &*model.state]);
    }
    let _ = writeln!(text, "{table}");
    for model in &report.models {
        if let Some(error) = &model.error {
            let (name, version) = (&model.name, model.version);
            let _ = writeln!(text, "{name}, version {version}, cannot be run: {error}");
        }
    }
    text
}

/// What does not fit into a table.
fn words(text: &mut String, worker: &WorkerView) {
    let number = worker.worker;
    for device in &worker.process.devices {
        let _ = writeln!(text, "worker {number}: {}", shown(device));
    }
    if let Some(end) = &worker.last_end {
        let _ = writeln!(text, "worker {number}: its process {end}, the last time");
    }
    for model in &worker.models {
        if let Some(error) = &model.error {
            let _ = writeln!(text, "worker {number}: cannot load {}: {error}", model.name);
        }
    }
}

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(heads);
    table
}

fn shown(device: &DeviceView) -> String {
    match device.memory_limit_bytes {
        Some(bytes) => format!(
            "{}, of which {} may be used",
            device.name,
            memory(Some(bytes))
        ),
        None => device.name.clone(),
    }
}

fn number(number: Option<u32>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} MiB", bytes >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_say_what_runs_where() {
        let process = ProcessView {
            pid: Some(12),
            resident_bytes: Some(300 << 20),
            devices: vec![DeviceView {
                name: "/device:GPU:0".to_owned(),
                kind: "GPU".to_owned(),
                memory_limit_bytes: Some(2 << 30),
            }],
        };
        let report = StatusReport {
            server: ProcessView {
                pid: Some(11),
                ..ProcessView::default()
            },
            workers: vec![WorkerView {
                worker: 0,
                device: "gpu:0".to_owned(),
                state: "up".into(),
                process,
                restarts: 2,
                last_end: Some("ended with signal: 9 (SIGKILL)".to_owned()),
                running: 1,
                runs: 77,
                models: vec![WorkerModelView {
                    name: "m:1".to_owned(),
                    ready: false,
                    error: Some("it is gone".to_owned()),
                }],
            }],
            models: vec![VersionView {
                name: "m".to_owned(),
                version: 1,
                state: "AVAILABLE".into(),
                error: Some("worker 0 is out of order".to_owned()),
            }],
        };
        let text = tables(&report);
        for words in [
            "Server: process 11, -\n",
            "gpu:0",
            "300 MiB",
            "0 of 1",
            "worker 0: /device:GPU:0, of which 2048 MiB may be used\n",
            "worker 0: its process ended with signal: 9 (SIGKILL), the last time\n",
            "worker 0: cannot load m:1: it is gone\n",
            "AVAILABLE",
            "m, version 1, cannot be run: worker 0 is out of order\n",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let none = tables(&StatusReport::default());
        assert!(!none.contains("worker"), "{none}");
    }
}
