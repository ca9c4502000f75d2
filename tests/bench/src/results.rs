//! What a run of the benchmarks found, as it is written to disk.
//!
//! Invariant: a figure that was not measured is absent, never zero.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::limit::Limit;
use crate::load::{Outcome, milliseconds};

/// One load on one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Case {
    /// Who was asked.
    pub(crate) subject: String,
    pub(crate) workload: String,
    /// REST or gRPC.
    pub(crate) over: String,
    /// In each request.
    pub(crate) rows: usize,
    pub(crate) clients: usize,
    /// In an open loop, how many requests per second were due.
    pub(crate) offered_per_s: Option<f64>,
    pub(crate) requests_per_s: f64,
    pub(crate) rows_per_s: f64,
    /// Latencies; in an open loop from when a request was due.
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// By status.
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
    /// CPU time in the window: of the server with its processes, of the clients, of others.
    pub(crate) server_cpu_s: f64,
    pub(crate) client_cpu_s: f64,
    /// Absent where the system does not count what the machine does.
    pub(crate) others_cpu_s: Option<f64>,
    /// Absent where the server used no time that can be measured.
    pub(crate) rows_per_server_cpu_s: Option<f64>,
    /// In an open loop: how late the clients were to send.
    pub(crate) late_p99_ms: Option<f64>,
    /// Bytes that the server counted as copied, for each request, by counter.
    pub(crate) copied_bytes: Option<BTreeMap<String, f64>>,
    /// Bytes that the server allocated for each request, where it was built to count them.
    pub(crate) allocated_bytes: Option<f64>,
}

/// What names a case.
#[derive(Debug, Clone)]
pub(crate) struct Label<'a> {
    pub(crate) subject: &'a str,
    pub(crate) workload: &'a str,
    pub(crate) over: &'a str,
    pub(crate) rows: usize,
    pub(crate) clients: usize,
    pub(crate) offered: Option<f64>,
}

impl Case {
    pub(crate) fn new(label: &Label<'_>, outcome: &Outcome) -> Self {
        let rows = outcome.times.len() as f64 * label.rows as f64;
        let server = outcome.used.server.as_secs_f64();
        Self {
            subject: label.subject.to_owned(),
            workload: label.workload.to_owned(),
            over: label.over.to_owned(),
            rows: label.rows,
            clients: label.clients,
            offered_per_s: label.offered,
            requests_per_s: outcome.rate(),
            rows_per_s: outcome.rate() * label.rows as f64,
            p50_ms: outcome.ms(0.5),
            p90_ms: outcome.ms(0.9),
            p99_ms: outcome.ms(0.99),
            max_ms: outcome.ms(1.0),
            failed: outcome.failed.clone(),
            seconds: outcome.took.as_secs_f64(),
            server_cpu_s: server,
            client_cpu_s: outcome.used.client.as_secs_f64(),
            others_cpu_s: outcome.used.others().map(|others| others.as_secs_f64()),
            rows_per_server_cpu_s: (server > 0.0).then(|| rows / server),
            late_p99_ms: label.offered.map(|_| milliseconds(&outcome.late, 0.99)),
            copied_bytes: None,
            allocated_bytes: None,
        }
    }

    /// Which part of one CPU others used, in percent, as a cell of a table.
    pub(crate) fn others(&self) -> String {
        self.others_cpu_s.map_or_else(
            || "?".to_owned(),
            |others| format!("{:.0}%", others / self.seconds * 100.0),
        )
    }

    /// How many requests failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// The machine that all of it ran on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// Of one, five and fifteen minutes, before anything ran.
    pub(crate) load_average: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: cpu_name(&read("/proc/cpuinfo")),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg")
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

fn cpu_name(info: &str) -> String {
    let line = info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown", |(_, name)| name.trim())
        .to_owned()
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// Which of the benchmarks.
    pub(crate) kind: String,
    /// Seconds since 1970, UTC.
    pub(crate) started: u64,
    pub(crate) machine: Machine,
    /// Of each case.
    pub(crate) seconds: f64,
    /// The flags of our configurations, by name.
    pub(crate) configurations: BTreeMap<String, Vec<String>>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) cases: Vec<Case>,
    /// Cases of a server that counts its allocations, which makes it slower.
    pub(crate) counted: Vec<Case>,
    /// Sizes of batches that models of other servers saw, with how often, by server and workload.
    pub(crate) batches: BTreeMap<String, BTreeMap<usize, u64>>,
    /// What is to be known beside the figures.
    pub(crate) notes: Vec<String>,
    /// The comparisons, a sentence each.
    pub(crate) findings: Vec<String>,
}

impl Run {
    pub(crate) fn new(kind: &str, seconds: f64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            kind: kind.to_owned(),
            started: now.map_or(0, |now| now.as_secs()),
            machine: Machine::this(),
            seconds,
            configurations: BTreeMap::new(),
            limits: Vec::new(),
            cases: Vec::new(),
            counted: Vec::new(),
            batches: BTreeMap::new(),
            notes: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// The limit of a workload, where it was measured.
    pub(crate) fn limit(&self, workload: &str) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.workload == workload)
    }

    /// Cases of a closed loop, in the order in which they ran.
    pub(crate) fn closed<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Case> {
        self.cases
            .iter()
            .filter(move |case| case.workload == workload && case.offered_per_s.is_none())
    }

    /// Writes `DIRECTORY/KIND-TIME.json` and the report beside it; gives both paths.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> Result<[PathBuf; 2]> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let stem = format!("{}-{}", self.kind, self.started);
        let json = directory.join(format!("{stem}.json"));
        let html = directory.join(format!("{stem}.html"));
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&json, text).with_context(|| format!("cannot write {}", json.display()))?;
        fs::write(&html, crate::report::page(self))
            .with_context(|| format!("cannot write {}", html.display()))?;
        Ok([json, html])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cpu::Usage;
    use crate::load::histogram;

    /// A case of `count` requests in two seconds, each of which took `millis`.
    pub(crate) fn case(label: &Label<'_>, count: u64, millis: u64) -> Case {
        let mut times = histogram();
        times.record_n(millis * 1_000_000, count).unwrap();
        let outcome = Outcome {
            times,
            late: histogram(),
            failed: BTreeMap::from([("503".to_owned(), 2), ("429".to_owned(), 1)]),
            took: Duration::from_secs(2),
            used: Usage {
                server: Duration::from_millis(500),
                client: Duration::from_millis(300),
                machine: Duration::from_millis(900),
            },
        };
        Case::new(label, &outcome)
    }

    /// The label of a closed loop.
    pub(crate) fn label(subject: &str, clients: usize) -> Label<'_> {
        Label {
            subject,
            workload: "cnn",
            over: "gRPC",
            rows: 16,
            clients,
            offered: None,
        }
    }

    #[test]
    fn counts_rows_and_not_requests() {
        let case = case(&label("ours", 8), 1000, 5);
        assert_eq!(case.requests_per_s, 500.0);
        assert_eq!(case.rows_per_s, 8_000.0);
        assert_eq!(case.rows_per_server_cpu_s, Some(32_000.0));
        assert_eq!(case.others_cpu_s, Some(0.1));
        assert_eq!(case.others(), "5%");
        assert_eq!(case.failures(), 3);
        assert!((case.p99_ms - 5.0).abs() < 0.01);
        assert_eq!(case.late_p99_ms, None);
    }

    #[test]
    fn names_the_cpu() {
        assert_eq!(
            cpu_name("model name\t: A  CPU\nmodel name\t: B\n"),
            "A  CPU"
        );
        assert_eq!(cpu_name(""), "unknown");
    }

    #[test]
    fn writes_json_and_a_page() {
        let directory = std::env::temp_dir().join(format!("bench-run-{}", std::process::id()));
        let mut run = Run::new("batching", 2.0);
        run.cases.push(case(&label("ours", 8), 10, 1));
        let [json, html] = run.write(&directory).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        assert_eq!(read["cases"][0]["rows"], 16);
        assert!(fs::read_to_string(html).unwrap().contains("<svg"));
        fs::remove_dir_all(directory).unwrap();
    }
}
