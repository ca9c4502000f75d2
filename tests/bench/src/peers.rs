//! Our server against what a user would pick instead from PyPI, each with its own batching on, the
//! same SavedModel and the same rows.
//!
//! Invariant: before a server is measured, its answer is held against ours.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::batching::{Options, all, find_limit};
use crate::bench::{Ask, Bench, Subject};
use crate::client::{Client, request};
use crate::findings;
use crate::load::{Arrivals, Load};
use crate::peer::{ALL, Kind, Peer, Places};
use crate::workload::{Over, Workload};

const CLIENTS: [usize; 5] = [1, 8, 32, 64, 256];
const QUICK_CLIENTS: [usize; 2] = [1, 64];

/// Half a millionth of a score is rounding.
const TOLERANCE: f64 = 1e-5;

/// Measures ours and the peers in `only`, or all.
///
/// # Errors
/// When a server does not start or answers something else than ours.
pub(crate) fn measure(options: &Options<'_>, places: Places<'_>, only: &[String]) -> Result<()> {
    let kinds: Vec<Kind> = ALL
        .into_iter()
        .filter(|kind| only.is_empty() || only.iter().any(|name| name == kind.name))
        .collect();
    ensure!(!kinds.is_empty(), "no peer is called {only:?}");
    let mut bench = Bench::start("peers", options.time, options.out)?;
    for name in ["cnn", "half_plus_two"] {
        let workload = Workload::find(options.models, name)?;
        find_limit(&mut bench, &workload, options)?;
        let wanted = ours(&mut bench, options, &workload)?;
        for kind in &kinds {
            peer(&mut bench, options, &workload, *kind, &wanted, places)?;
        }
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    for finding in findings::of_peers(&bench.run, &names) {
        bench.find(finding);
    }
    bench.finish()
}

fn clients(options: &Options<'_>) -> &'static [usize] {
    if options.quick {
        &QUICK_CLIENTS
    } else {
        &CLIENTS
    }
}

/// Our server in all configurations; gives the scores of its answer.
fn ours(bench: &mut Bench, options: &Options<'_>, workload: &Workload) -> Result<Vec<f64>> {
    let mut scores = Vec::new();
    for configuration in all(options.configurations) {
        let server = bench.serve(options.binary, workload, &configuration)?;
        let path = format!("/v1/models/{}:predict", workload.name);
        let asked = request("POST", &path, &workload.json(2));
        let mut client = Client::connect(server.address)?;
        let (_, body) = client.send(&asked)?;
        scores = numbers_in(body)?;
        let subject = Subject::of(&configuration.name, workload, &server);
        for over in Over::BOTH {
            for clients in clients(options) {
                let ask = Ask {
                    over,
                    rows: 1,
                    clients: *clients,
                    arrivals: Arrivals::Closed,
                };
                bench.ask(subject, ask)?;
            }
        }
        server.stop()?;
    }
    Ok(scores)
}

fn peer(
    bench: &mut Bench,
    options: &Options<'_>,
    workload: &Workload,
    kind: Kind,
    wanted: &[f64],
    places: Places<'_>,
) -> Result<()> {
    let peer = Peer::start(kind, workload, places, options.out)?;
    let answer = peer.answer(kind, workload, 2)?;
    same(&numbers_in(&answer)?, wanted).with_context(|| format!("the answer of {}", kind.name))?;
    let load = Arc::new(Load::rest(&kind.path(workload), kind.body(workload, 1))?);
    let subject = Subject {
        name: kind.name,
        workload,
        process: peer.id(),
        rest: peer.address,
        grpc: peer.address,
        counts_copies: false,
    };
    for clients in clients(options) {
        let ask = Ask {
            over: Over::Rest,
            rows: 1,
            clients: *clients,
            arrivals: Arrivals::Closed,
        };
        bench.put(subject, &load, ask)?;
    }
    // They write once in half a second.
    std::thread::sleep(Duration::from_secs(1));
    let batches = peer.batches()?;
    let largest = batches.keys().max().copied().unwrap_or(0);
    let rows: u64 = batches
        .iter()
        .map(|(size, count)| *size as u64 * count)
        .sum();
    let runs: u64 = batches.values().sum();
    bench.note(format!(
        "{}, {}: {rows} rows in {runs} runs of its model, the largest with {largest}",
        kind.name, workload.name
    ));
    let name = format!("{}, {}", kind.name, workload.name);
    bench.run.batches.insert(name, batches);
    Ok(())
}

/// The numbers of an answer, whatever is round them: the first array under the names that servers
/// have for it, flat.
fn numbers_in(body: &[u8]) -> Result<Vec<f64>> {
    let answer: Value = serde_json::from_slice(body).context("an answer is JSON")?;
    let found = [
        &answer["predictions"],
        &answer["outputs"][0]["data"],
        &answer,
    ]
    .into_iter()
    .find(|value| value.is_array());
    let mut numbers = Vec::new();
    flatten(found.context("no predictions in the answer")?, &mut numbers);
    Ok(numbers)
}

fn flatten(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, numbers)),
        other => numbers.extend(other.as_f64()),
    }
}

fn same(found: &[f64], wanted: &[f64]) -> Result<()> {
    ensure!(!wanted.is_empty(), "there are no numbers to compare with");
    let close = |(one, other): (&f64, &f64)| (one - other).abs() < TOLERANCE;
    ensure!(
        found.len() == wanted.len() && found.iter().zip(wanted).all(close),
        "expected {wanted:?}, got {found:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_numbers_of_every_dialect() {
        for body in [
            r#"{"predictions": [[0.5, 0.25], [1, 2]]}"#,
            r#"{"outputs": [{"name": "y", "shape": [2, 2], "data": [0.5, 0.25, 1, 2]}]}"#,
            "[[0.5, 0.25], [1, 2]]",
        ] {
            let numbers = numbers_in(body.as_bytes()).unwrap();
            assert_eq!(numbers, [0.5, 0.25, 1.0, 2.0]);
        }
        assert!(numbers_in(b"{\"error\": \"no\"}").is_err());
    }

    #[test]
    fn another_answer_is_not_the_same() {
        assert!(same(&[0.5], &[0.500_001]).is_ok());
        assert!(same(&[0.5], &[0.6]).is_err());
        assert!(same(&[0.5, 1.0], &[0.5]).is_err());
        assert!(same(&[], &[]).is_err());
    }
}
