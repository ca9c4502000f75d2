//! Every setting of the batching parameters against the mode that finds them by itself.
//!
//! Invariant: the adaptive mode and the grid run on the same loads in the same run, the adaptive
//! mode first and last, so that a machine that became slower shows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::batching::{Options, find_limit};
use crate::bench::{Ask, Bench, Configuration, Subject};
use crate::load::Arrivals;
use crate::results::Case;
use crate::workload::{Over, Workload};

const CLIENTS: usize = 64;
const OPEN_CONNECTIONS: usize = 128;
const WORKLOADS: [&str; 2] = ["cnn", "half_plus_two"];

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    batch: u32,
    timeout_micros: u32,
    threads: u32,
}

impl Setting {
    fn all(quick: bool) -> Vec<Self> {
        let (batches, timeouts): (&[u32], &[u32]) = if quick {
            (&[8, 32, 128], &[0, 2_000])
        } else {
            (&[8, 16, 32, 64, 128], &[0, 500, 1_000, 2_000, 5_000])
        };
        let mut all = Vec::new();
        for batch in batches {
            for timeout_micros in timeouts {
                for threads in [1, 2] {
                    all.push(Self {
                        batch: *batch,
                        timeout_micros: *timeout_micros,
                        threads,
                    });
                }
            }
        }
        all
    }

    fn name(self) -> String {
        let millis = f64::from(self.timeout_micros) / 1e3;
        format!("b{} t{millis} x{}", self.batch, self.threads)
    }

    /// A `BatchingParameters` in text format. The queue is longer than clients can fill, so that
    /// nobody is refused.
    fn text(self) -> String {
        format!(
            "max_batch_size {{ value: {} }}\nbatch_timeout_micros {{ value: {} }}\n\
             max_enqueued_batches {{ value: 1000 }}\nnum_batch_threads {{ value: {} }}\n",
            self.batch, self.timeout_micros, self.threads
        )
    }

    fn configuration(self, directory: &Path) -> Result<Configuration> {
        let file: PathBuf = directory.join(format!("{}.pbtxt", self.name().replace(' ', "-")));
        fs::write(&file, self.text())
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Configuration {
            name: self.name(),
            flags: vec![
                "--enable_batching".to_owned(),
                format!("--batching_parameters_file={}", file.display()),
            ],
        })
    }
}

/// What one configuration did with both loads.
#[derive(Debug, Clone)]
struct Both {
    closed: Case,
    open: Option<Case>,
}

/// Measures the grid. `rate` is the open loop's; without one it is half of what the first
/// configuration did in the closed loop.
///
/// # Errors
/// When a server of the grid does not start or cannot be reached.
pub(crate) fn measure(
    options: &Options<'_>,
    adaptive: Option<&Configuration>,
    rate: Option<f64>,
) -> Result<()> {
    let mut bench = Bench::start("grid", options.time, options.out)?;
    let directory = options.out.join("grid");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let directory = directory.canonicalize()?;
    for name in WORKLOADS {
        let workload = Workload::find(options.models, name)?;
        find_limit(&mut bench, &workload, options)?;
        let mut rate = rate;
        let mut tried = Vec::new();
        let mut own = Vec::new();
        if let Some(adaptive) = adaptive {
            let measured = both(&mut bench, options, &workload, adaptive, &mut rate);
            own.push(measured.context("`--adaptive ''` measures the grid alone")?);
        }
        for setting in Setting::all(options.quick) {
            let configuration = setting.configuration(&directory)?;
            tried.push(both(
                &mut bench,
                options,
                &workload,
                &configuration,
                &mut rate,
            )?);
        }
        if let Some(adaptive) = adaptive {
            own.push(both(&mut bench, options, &workload, adaptive, &mut rate)?);
        }
        for finding in compare(name, &tried, &own) {
            bench.find(finding);
        }
    }
    bench.finish()
}

fn both(
    bench: &mut Bench,
    options: &Options<'_>,
    workload: &Workload,
    configuration: &Configuration,
    rate: &mut Option<f64>,
) -> Result<Both> {
    let server = bench.serve(options.binary, workload, configuration)?;
    let subject = Subject {
        name: &configuration.name,
        workload,
        process: server.id(),
        rest: server.address,
        grpc: server.grpc,
        counts_copies: true,
    };
    let mut ask = Ask {
        over: Over::Grpc,
        rows: 1,
        clients: CLIENTS,
        arrivals: Arrivals::Closed,
    };
    let closed = bench.ask(subject, ask)?;
    let rate = *rate.get_or_insert(closed.requests_per_s / 2.0);
    ask.clients = OPEN_CONNECTIONS;
    ask.arrivals = Arrivals::Open(rate);
    // Nothing is due where nothing was answered.
    let open = if rate > 0.0 {
        Some(bench.ask(subject, ask)?)
    } else {
        None
    };
    server.stop()?;
    Ok(Both { closed, open })
}

/// The best of the grid, and what the adaptive mode is of it.
fn compare(workload: &str, tried: &[Both], own: &[Both]) -> Vec<String> {
    let mut found = Vec::new();
    let fastest = tried
        .iter()
        .map(|both| &both.closed)
        .max_by(|one, other| one.rows_per_s.total_cmp(&other.rows_per_s));
    if let Some(best) = fastest {
        let own: Vec<f64> = own.iter().map(|both| both.closed.rows_per_s).collect();
        found.push(format!(
            "{workload}, {CLIENTS} clients: the best of the grid is {} with {:.0} rows/s{}",
            best.subject,
            best.rows_per_s,
            ratios(&own, best.rows_per_s, "rows/s")
        ));
    }
    let open = |both: &[Both]| -> Vec<Case> {
        let open = both.iter().filter_map(|both| both.open.clone());
        // Where requests failed, the rest was quick.
        open.filter(|case| case.failures() == 0).collect()
    };
    let open_tried = open(tried);
    let calmest = open_tried
        .iter()
        .min_by(|one, other| one.p99_ms.total_cmp(&other.p99_ms));
    if let Some(best) = calmest {
        let own: Vec<f64> = open(own).iter().map(|case| case.p99_ms).collect();
        found.push(format!(
            "{workload}, {:.0} requests/s due: the best of the grid is {} with a p99 of {:.3} ms{}",
            best.offered_per_s.unwrap_or_default(),
            best.subject,
            best.p99_ms,
            ratios(&own, best.p99_ms, "ms")
        ));
    }
    found
}

fn ratios(own: &[f64], best: f64, unit: &str) -> String {
    if own.is_empty() {
        return "; the adaptive mode was not measured".to_owned();
    }
    let shown: Vec<String> = own
        .iter()
        .map(|value| format!("{value:.3} {unit}, {:.2} of it", value / best))
        .collect();
    format!("; the adaptive mode: {}", shown.join("; again: "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{case, label};

    fn both(subject: &str, count: u64, p99: u64) -> Both {
        let mut open = case(&label(subject, 128), 100, p99);
        open.offered_per_s = Some(50.0);
        open.failed.clear();
        Both {
            closed: case(&label(subject, 64), count, 5),
            open: Some(open),
        }
    }

    #[test]
    fn the_grid_is_what_it_is_said_to_be() {
        let all = Setting::all(false);
        assert_eq!(all.len(), 50);
        let batches = all.iter().map(|setting| setting.batch);
        assert_eq!((batches.clone().min(), batches.max()), (Some(8), Some(128)));
        let timeouts = all.iter().map(|setting| setting.timeout_micros);
        assert_eq!(
            (timeouts.clone().min(), timeouts.max()),
            (Some(0), Some(5_000))
        );
        assert_eq!(Setting::all(true).len(), 12);
    }

    #[test]
    fn a_setting_is_written_in_the_words_of_the_parameters_file() {
        let setting = Setting {
            batch: 32,
            timeout_micros: 500,
            threads: 2,
        };
        assert_eq!(setting.name(), "b32 t0.5 x2");
        assert!(setting.text().starts_with("max_batch_size { value: 32 }\n"));
    }

    #[test]
    fn names_the_best_for_each_load() {
        let tried = [both("b8", 500, 2), both("b32", 1000, 4)];
        let found = compare("cnn", &tried, &[both("adaptive", 950, 3)]);
        assert!(found[0].contains("b32 with 8000 rows/s"), "{found:?}");
        assert!(found[0].contains("0.95 of it"), "{found:?}");
        assert!(found[1].contains("b8 with a p99 of 2.0"), "{found:?}");
        assert!(found[1].contains("1.50 of it"), "{found:?}");
        let alone = compare("cnn", &tried, &[]);
        assert!(alone[0].contains("was not measured"), "{alone:?}");
    }
}
