//! From operations to the trace that TensorBoard shows: a plane per device, a line per thread, an
//! event per operation.

use std::collections::BTreeMap;

use tensorgate_tensorflow::{Trace, TracedOperation};

use super::messages::{XEvent, XEventMetadata, XLine, XPlane, XSpace};

/// The name that viewers know the host's CPU by.
const HOST: &str = "/host:CPU";

/// The trace of a host.
pub(super) fn xspace(trace: &Trace, host: &str) -> XSpace {
    let mut devices: BTreeMap<&str, Vec<&TracedOperation>> = BTreeMap::new();
    for operation in &trace.operations {
        devices
            .entry(&operation.device)
            .or_default()
            .push(operation);
    }
    let planes = devices.into_iter().zip(1..);
    XSpace {
        planes: planes
            .map(|((device, operations), id)| plane(id, device, &operations))
            .collect(),
        warnings: match trace.left_out {
            0 => Vec::new(),
            count => vec![format!(
                "{count} operations were left out: there were too many"
            )],
        },
        hostnames: vec![host.to_owned()],
    }
}

fn plane(id: i64, device: &str, operations: &[&TracedOperation]) -> XPlane {
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    let mut threads: BTreeMap<u32, Vec<&TracedOperation>> = BTreeMap::new();
    for operation in operations {
        let next = i64::try_from(numbers.len()).unwrap_or(i64::MAX - 1) + 1;
        numbers.entry(&operation.name).or_insert(next);
        threads.entry(operation.thread).or_default().push(operation);
    }
    let lines = threads.into_iter().map(|(thread, mut operations)| {
        operations.sort_by_key(|operation| operation.start_ns);
        let start = operations.first().map_or(0, |first| first.start_ns);
        let events = operations.into_iter().map(|operation| XEvent {
            metadata_id: numbers[operation.name.as_str()],
            offset_ps: picoseconds(operation.start_ns - start),
            duration_ps: picoseconds(operation.duration_ns),
        });
        XLine {
            id: i64::from(thread),
            name: format!("thread {thread}"),
            timestamp_ns: i64::try_from(start).unwrap_or(i64::MAX),
            events: events.collect(),
        }
    });
    XPlane {
        id,
        name: plane_name(device),
        lines: lines.collect(),
        event_metadata: numbers
            .iter()
            .map(|(name, id)| {
                let name = (*name).to_owned();
                (*id, XEventMetadata { id: *id, name })
            })
            .collect(),
    }
}

/// `/job:localhost/replica:0/task:0/device:CPU:0` is the host; other devices keep their name.
fn plane_name(device: &str) -> String {
    if device.ends_with("device:CPU:0") {
        HOST.to_owned()
    } else {
        device.to_owned()
    }
}

fn picoseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(device: &str, thread: u32, name: &str, start_ns: u64) -> TracedOperation {
        TracedOperation {
            device: device.into(),
            thread,
            name: name.to_owned(),
            start_ns,
            duration_ns: 5,
        }
    }

    #[test]
    fn devices_are_planes_threads_are_lines_and_operations_are_events() {
        let cpu = "/job:localhost/replica:0/task:0/device:CPU:0";
        let trace = Trace {
            operations: vec![
                operation(cpu, 1, "b", 300),
                operation(cpu, 1, "a", 100),
                operation(cpu, 2, "a", 200),
                operation("/device:GPU:0", 1, "a", 400),
            ],
            runs: 2,
            left_out: 3,
        };
        let space = xspace(&trace, "here");
        let names: Vec<&str> = space
            .planes
            .iter()
            .map(|plane| plane.name.as_str())
            .collect();
        assert_eq!(names, ["/device:GPU:0", "/host:CPU"]);
        let host = &space.planes[1];
        assert_eq!(host.event_metadata.len(), 2);
        assert_eq!(host.lines.len(), 2);
        let line = &host.lines[0];
        assert_eq!(line.timestamp_ns, 100);
        let events: Vec<_> = line
            .events
            .iter()
            .map(|event| {
                let name = host.event_metadata[&event.metadata_id].name.as_str();
                (name, event.offset_ps, event.duration_ps)
            })
            .collect();
        assert_eq!(events, [("a", 0, 5_000), ("b", 200_000, 5_000)]);
        assert_eq!(space.warnings.len(), 1);
        assert_eq!(space.hostnames, ["here"]);
    }
}
