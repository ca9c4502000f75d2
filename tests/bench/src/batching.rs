//! How much of the machine many small clients get: our server with and without batching, against
//! the bare session at its best batch and against a model that computes nothing.
//!
//! Invariant: the limit, the ceiling and everything that is compared with them run on one machine
//! in one run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bench::{Ask, Bench, Configuration, Subject};
use crate::findings;
use crate::limit;
use crate::load::Arrivals;
use crate::workload::{Over, Workload};

const CLIENTS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const QUICK_CLIENTS: [usize; 3] = [1, 16, 64];
/// Where all is overhead, more numbers of clients would say nothing new.
const OVERHEAD_CLIENTS: [usize; 3] = [1, 8, 64];
const ROWS: [usize; 2] = [1, 16];
/// Enough for batches of several.
const COUNTED_CLIENTS: usize = 32;
/// Connections of an open loop: more than wait at half of the peak.
const OPEN_CONNECTIONS: usize = 128;

/// What to measure.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) models: &'a Path,
    pub(crate) out: &'a Path,
    pub(crate) configurations: &'a [Configuration],
    pub(crate) time: Duration,
    /// Few numbers of clients.
    pub(crate) quick: bool,
}

/// Measures and prints all of it. `counting` is the same server, built to count what it allocates.
///
/// # Errors
/// When a server does not start or cannot be reached.
pub(crate) fn measure(options: &Options<'_>, counting: Option<&Path>) -> Result<()> {
    let mut bench = Bench::start("batching", options.time, options.out)?;
    let clients: &[usize] = if options.quick {
        &QUICK_CLIENTS
    } else {
        &CLIENTS
    };
    let ours = all(options.configurations);
    let unbatched = [Configuration::unbatched()];
    for (name, configurations, rows, clients) in [
        ("cnn", &ours[..], &ROWS[..], clients),
        ("half_plus_two", &ours, &ROWS[..1], &OVERHEAD_CLIENTS),
        ("echo", &unbatched, &ROWS, clients),
    ] {
        let workload = Workload::find(options.models, name)?;
        if name != "echo" {
            find_limit(&mut bench, &workload, options)?;
        }
        for configuration in configurations {
            let server = bench.serve(options.binary, &workload, configuration)?;
            let subject = Subject::of(&configuration.name, &workload, &server);
            sweep(&mut bench, subject, rows, clients, name == "cnn")?;
            server.stop()?;
        }
    }
    if let Some(counting) = counting {
        count(&mut bench, counting, options)?;
    }
    for finding in findings::of_batching(&bench.run) {
        bench.find(finding);
    }
    bench.finish()
}

/// What requests of the network have copied and allocated.
fn count(bench: &mut Bench, binary: &Path, options: &Options<'_>) -> Result<()> {
    let workload = Workload::find(options.models, "cnn")?;
    for configuration in all(options.configurations) {
        let server = bench.serve(binary, &workload, &configuration)?;
        for over in Over::BOTH {
            for rows in ROWS {
                let ask = Ask {
                    over,
                    rows,
                    clients: COUNTED_CLIENTS,
                    arrivals: Arrivals::Closed,
                };
                bench.count(Subject::of(&configuration.name, &workload, &server), ask)?;
            }
        }
        server.stop()?;
    }
    Ok(())
}

/// Without batching first: it is what the others are compared with.
pub(crate) fn all(given: &[Configuration]) -> Vec<Configuration> {
    let mut all = vec![Configuration::unbatched()];
    all.extend_from_slice(given);
    all
}

/// Measures the limit of a workload, and says it.
pub(crate) fn find_limit(
    bench: &mut Bench,
    workload: &Workload,
    options: &Options<'_>,
) -> Result<()> {
    // A point needs less time than a case: there is one client, and it never waits.
    let found = limit::find(workload, options.models, options.time / 3)?;
    let [fast, best, thrifty] = [&found.fastest, &found.best, &found.thriftiest].map(|point| {
        format!(
            "{:.0} rows/s, {:.0} rows per CPU s (batch {}, {} threads, {} kernel threads, {:.3} ms)",
            point.rows_per_s,
            point.rows_per_cpu_s,
            point.batch,
            point.threads,
            match point.kernel_threads {
                0 => "default".to_owned(),
                some => some.to_string(),
            },
            point.run_ms
        )
    });
    let name = workload.name;
    bench.note(format!("Bare session, {name}: fastest {fast}; smallest batch within 5% of that {best}; thriftiest {thrifty}."));
    bench.run.limits.push(found);
    Ok(())
}

/// Closed loops with every number of clients; then, where `at_half`, an open loop at half of the
/// most requests per second of these.
fn sweep(
    bench: &mut Bench,
    subject: Subject<'_>,
    rows: &[usize],
    clients: &[usize],
    at_half: bool,
) -> Result<()> {
    for over in Over::BOTH {
        for rows in rows {
            let mut peak: f64 = 0.0;
            let mut ask = Ask {
                over,
                rows: *rows,
                clients: 0,
                arrivals: Arrivals::Closed,
            };
            for clients in clients {
                ask.clients = *clients;
                peak = peak.max(bench.ask(subject, ask)?.requests_per_s);
            }
            if at_half && peak > 0.0 {
                ask.clients = OPEN_CONNECTIONS;
                ask.arrivals = Arrivals::Open(peak / 2.0);
                bench.ask(subject, ask)?;
            }
        }
    }
    Ok(())
}
