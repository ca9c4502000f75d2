//! What the rooms say of where models run, put together for whoever asks.

use std::collections::BTreeMap;

use tensorgate_core::Manager;
use tensorgate_types::{Error, ServableId};
use tensorgate_workers::{Device, WorkerStatus, resident_bytes};

use crate::door::{
    DeviceView, ModelHealth, ProcessView, StatusReport, VersionView, WorkerModelView, WorkerView,
};

use super::{Away, MeasuredModel, ModelFactory};

/// The report of a server whose models `factory` loads.
pub(super) fn report(manager: &Manager<MeasuredModel>, factory: &ModelFactory) -> StatusReport {
    let mut left_out = left_out(factory);
    let mut models = Vec::new();
    for name in manager.readiness().models.keys() {
        for status in manager.status(name, None).unwrap_or_default() {
            let id = ServableId::new(name, status.version);
            models.push(VersionView {
                name: name.clone(),
                version: status.version,
                state: status.state.name().into(),
                error: left_out.remove(&id.to_string()),
            });
        }
    }
    let pid = std::process::id();
    let workers = factory.workers().map(|workers| workers.status());
    let workers = workers.unwrap_or_default().into_iter().enumerate();
    StatusReport {
        server: ProcessView {
            pid: Some(pid),
            resident_bytes: resident_bytes(pid),
            devices: factory.devices().iter().map(device).collect(),
        },
        workers: workers
            .map(|(number, status)| worker(number, status))
            .collect(),
        models,
    }
}

/// The versions that are available, as far as the shelf knows, and that no worker can run.
pub(super) fn unable(manager: &Manager<MeasuredModel>, factory: &ModelFactory) -> Vec<ModelHealth> {
    let mut left_out = left_out(factory);
    let mut models = Vec::new();
    if left_out.is_empty() {
        return models;
    }
    for name in manager.readiness().models.keys() {
        for status in manager.status(name, None).unwrap_or_default() {
            let id = ServableId::new(name, status.version);
            if let Some(words) = left_out.remove(&id.to_string()) {
                models.push(ModelHealth {
                    name: name.clone(),
                    version: Some(status.version),
                    state: Some(status.state.name()),
                    error: Some(Error::unavailable(words).to_string()),
                });
            }
        }
    }
    models
}

fn left_out(factory: &ModelFactory) -> BTreeMap<String, String> {
    let workers = factory.workers();
    workers.map(Away::left_out).unwrap_or_default()
}

fn worker(number: usize, status: WorkerStatus) -> WorkerView {
    let models = status.models.into_iter().map(|model| WorkerModelView {
        name: model.name,
        ready: model.is_ready,
        error: model.error,
    });
    WorkerView {
        worker: number,
        device: status.device,
        state: status.stage.name().into(),
        process: ProcessView {
            pid: status.pid,
            resident_bytes: status.resident_bytes,
            devices: status.devices.iter().map(device).collect(),
        },
        restarts: status.restarts,
        last_end: status.last_end,
        running: status.running,
        runs: status.runs,
        models: models.collect(),
    }
}

fn device(device: &Device) -> DeviceView {
    DeviceView {
        name: device.name.clone(),
        kind: device.kind.clone(),
        // For processors it is a number that TensorFlow has made up.
        memory_limit_bytes: (device.kind != "CPU").then_some(device.memory_bytes),
    }
}
