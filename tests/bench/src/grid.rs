//! Every setting of the batching parameters against the mode that finds them by itself.
//!
//! Invariant: the adaptive mode and the grid run on the same loads in the same run, the adaptive
//! mode first and last, so that a machine that became slower shows. The best of fifty is partly
//! luck: it is asked once more, and both figures are given.

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
    /// Right after the start of the server, where that was measured.
    cold: Option<Case>,
    closed: Case,
    open: Option<Case>,
}

impl Both {
    /// Where requests failed, the rest was quick.
    fn open(&self) -> Option<&Case> {
        self.open.as_ref().filter(|case| case.failures() == 0)
    }
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
        let mut asker = Asker {
            bench: &mut bench,
            options,
            workload: &workload,
            rate,
        };
        let mut own = Vec::new();
        if let Some(adaptive) = adaptive {
            let measured = asker.ask(adaptive, true);
            own.push(measured.context("`--adaptive ''` measures the grid alone")?);
        }
        let mut tried = Vec::new();
        for setting in Setting::all(options.quick) {
            let configuration = setting.configuration(&directory)?;
            tried.push((setting, asker.ask(&configuration, false)?));
        }
        let mut again = None;
        if let Some((setting, _)) = fastest(&tried) {
            let configuration = setting.configuration(&directory)?;
            again = Some(asker.ask(&configuration, false)?);
        }
        if let Some(adaptive) = adaptive {
            own.push(asker.ask(adaptive, true)?);
        }
        for finding in compare(name, &tried, again.as_ref(), &own) {
            bench.find(finding);
        }
    }
    bench.finish()
}

struct Asker<'a, 'b> {
    bench: &'a mut Bench,
    options: &'a Options<'b>,
    workload: &'a Workload,
    /// Of the open loop; none before the first closed one.
    rate: Option<f64>,
}

impl Asker<'_, '_> {
    /// Both loads on a server of its own; where `finds`, the closed one is measured twice, since
    /// at first the server has not found its settings.
    fn ask(&mut self, configuration: &Configuration, finds: bool) -> Result<Both> {
        let server = self
            .bench
            .serve(self.options.binary, self.workload, configuration)?;
        let cold = format!("{}, cold", configuration.name);
        let mut subject = Subject::of(&cold, self.workload, &server);
        let mut ask = Ask {
            over: Over::Grpc,
            rows: 1,
            clients: CLIENTS,
            arrivals: Arrivals::Closed,
        };
        let cold = if finds {
            Some(self.bench.ask(subject, ask)?)
        } else {
            None
        };
        subject.name = &configuration.name;
        let closed = self.bench.ask(subject, ask)?;
        let rate = *self.rate.get_or_insert(closed.requests_per_s / 2.0);
        ask.clients = OPEN_CONNECTIONS;
        ask.arrivals = Arrivals::Open(rate);
        // Nothing is due where nothing was answered.
        let open = if rate > 0.0 {
            Some(self.bench.ask(subject, ask)?)
        } else {
            None
        };
        server.stop()?;
        Ok(Both { cold, closed, open })
    }
}

/// The setting with the most rows per second in the closed loop.
fn fastest(tried: &[(Setting, Both)]) -> Option<&(Setting, Both)> {
    let rate = |tried: &(Setting, Both)| tried.1.closed.rows_per_s;
    tried
        .iter()
        .max_by(|one, other| rate(one).total_cmp(&rate(other)))
}

/// The best of the grid, and what the adaptive mode is of it. `again` is what the fastest did when
/// it was asked once more.
fn compare(
    workload: &str,
    tried: &[(Setting, Both)],
    again: Option<&Both>,
    own: &[Both],
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((setting, best)) = fastest(tried) {
        let rate = best.closed.rows_per_s;
        let again = again.map(|again| format!(" (again: {:.0})", again.closed.rows_per_s));
        let of =
            |cases: Vec<&Case>| -> Vec<f64> { cases.iter().map(|case| case.rows_per_s).collect() };
        let settled = of(own.iter().map(|both| &both.closed).collect());
        let cold = of(own.iter().filter_map(|both| both.cold.as_ref()).collect());
        found.push(format!(
            "{workload}, {CLIENTS} clients: the best of the grid is {} with {rate:.0} rows/s{}{}",
            setting.name(),
            again.unwrap_or_default(),
            ratios(&settled, rate, "rows/s")
        ));
        if !cold.is_empty() {
            found.push(format!(
                "{workload}, {CLIENTS} clients, the first {:.0} s of a server{}",
                own[0].closed.seconds,
                ratios(&cold, rate, "rows/s")
            ));
        }
    }
    let calmest = tried
        .iter()
        .filter_map(|(setting, both)| Some((setting, both.open()?)))
        .min_by(|one, other| one.1.p99_ms.total_cmp(&other.1.p99_ms));
    if let Some((setting, best)) = calmest {
        let own: Vec<f64> = own
            .iter()
            .filter_map(Both::open)
            .map(|case| case.p99_ms)
            .collect();
        found.push(format!(
            "{workload}, {:.0} requests/s due: the best of the grid is {} with a p99 of {:.3} ms{}",
            best.offered_per_s.unwrap_or_default(),
            setting.name(),
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
            cold: None,
            closed: case(&label(subject, 64), count, 5),
            open: Some(open),
        }
    }

    fn setting(batch: u32) -> Setting {
        Setting {
            batch,
            timeout_micros: 500,
            threads: 2,
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
        let setting = setting(32);
        assert_eq!(setting.name(), "b32 t0.5 x2");
        assert!(setting.text().starts_with("max_batch_size { value: 32 }\n"));
    }

    #[test]
    fn names_the_best_for_each_load() {
        let tried = [
            (setting(8), both("b8", 500, 2)),
            (setting(32), both("b32", 1000, 4)),
        ];
        let mut own = both("adaptive", 950, 3);
        own.cold = Some(case(&label("adaptive, cold", 64), 800, 5));
        let again = both("b32", 990, 4);
        let found = compare("cnn", &tried, Some(&again), &[own]);
        let best = "b32 t0.5 x2 with 8000 rows/s (again: 7920)";
        assert!(found[0].contains(best), "{found:?}");
        assert!(found[0].contains("0.95 of it"), "{found:?}");
        assert!(found[1].contains("first 2 s of a server"), "{found:?}");
        assert!(found[1].contains("0.80 of it"), "{found:?}");
        assert!(
            found[2].contains("b8 t0.5 x2 with a p99 of 2.0"),
            "{found:?}"
        );
        assert!(found[2].contains("1.50 of it"), "{found:?}");
        let alone = compare("cnn", &tried, None, &[]);
        assert!(alone[0].contains("was not measured"), "{alone:?}");
        assert_eq!(alone.len(), 2);
    }
}
