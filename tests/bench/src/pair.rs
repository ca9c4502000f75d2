//! One load on two servers or more in turns: other flags, or another binary. What one change
//! brought shows here on a machine on which others work too.
//!
//! Invariant: all servers run from the beginning to the end, and within a round each has the same
//! load, one after the other, so that what the machine does otherwise hits all alike.

use std::path::PathBuf;

use anyhow::Result;

use crate::batching::{Options, all};
use crate::bench::{Ask, Bench, Configuration, Subject};
use crate::results::Case;
use crate::workload::Workload;

/// Rows per CPU second of the server, and rows per second, of one case.
type Pair = (f64, f64);

/// Measures `rounds` rounds and prints what each server is of the first, by medians.
///
/// `others` are binaries that run with the configurations too.
///
/// # Errors
/// When a server does not start or cannot be reached.
pub(crate) fn measure(
    options: &Options<'_>,
    others: &[PathBuf],
    workload: &str,
    ask: Ask,
    rounds: usize,
) -> Result<()> {
    let mut bench = Bench::start("pair", options.time, options.out)?;
    let workload = Workload::find(options.models, workload)?;
    let binaries = std::iter::once(options.binary).chain(others.iter().map(PathBuf::as_path));
    let mut servers = Vec::new();
    for (number, binary) in binaries.enumerate() {
        for configuration in all(options.configurations) {
            let mut configuration: Configuration = configuration;
            if number > 0 {
                configuration.name = format!("{} of binary {}", configuration.name, number + 1);
            }
            let server = bench.serve(binary, &workload, &configuration)?;
            servers.push((configuration.name, server));
        }
    }
    let mut found: Vec<Vec<Pair>> = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        for ((name, server), found) in servers.iter().zip(&mut found) {
            let case = bench.ask(Subject::of(name, &workload, server), ask)?;
            found.push(figures(&case));
        }
    }
    let medians: Vec<Pair> = found.iter().map(|pairs| medians(pairs)).collect();
    for ((name, server), (per_cpu, rows)) in servers.into_iter().zip(&medians) {
        let (first_per_cpu, first_rows) = medians[0];
        bench.find(format!(
            "{name}: {rows:.0} rows/s ({:.2} of the first), {per_cpu:.0} rows per CPU s ({:.2}), \
             {:.1} µs of the server's CPU a request, the median of {rounds}",
            rows / first_rows,
            per_cpu / first_per_cpu,
            ask.rows as f64 / per_cpu * 1e6
        ));
        server.stop()?;
    }
    bench.finish()
}

fn figures(case: &Case) -> Pair {
    (
        case.rows_per_server_cpu_s.unwrap_or(f64::NAN),
        case.rows_per_s,
    )
}

/// Of each figure by itself.
fn medians(pairs: &[Pair]) -> Pair {
    let middle = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    (
        middle(pairs.iter().map(|pair| pair.0).collect()),
        middle(pairs.iter().map(|pair| pair.1).collect()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_each_figure() {
        let pairs = [(3.0, 10.0), (1.0, 30.0), (2.0, 20.0)];
        assert_eq!(medians(&pairs), (2.0, 20.0));
        assert!(medians(&[]).0.is_nan());
    }
}
